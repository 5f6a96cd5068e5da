"""The tab Training."""

from typing import TYPE_CHECKING

from llm_studio.i18n import N_, _
from llm_studio.ui.tab import Fact, Tab, step_of

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview


def _fact(overview: "Overview") -> Fact:
    if not overview.runs:
        return "to do", _("no run yet")
    run = max(overview.runs, key=lambda run: run.created)
    return "ready" if run.state in ("finished", "stopped") else "out of date", step_of(run.step, run.max_steps)


TAB = Tab(
    name="training",
    title=N_("Training"),
    page="llm_studio.ui.tabs.training.page:TrainingPage",
    lesson="training",
    more_lessons={"recipe": N_("Recipes")},
    fact=_fact,
    needs_project=True,
    preload=("llm_studio.workflows.training.runs",),
)

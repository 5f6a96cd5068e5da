"""The tab Generation."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_studio.i18n import N_, _
from llm_studio.ui.tab import Fact, Tab

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview


@dataclass(frozen=True)
class CheckpointTarget:
    """Requests the model of a run at a step, or its best one if the step is None (see `Page.show_target`)."""

    run: str
    step: int | None


def _fact(overview: "Overview") -> Fact:
    best = overview.best_run
    if best is not None:
        return "ready", _("best: {run}").format(run=best.name)
    saved = max((run for run in overview.runs if run.step), key=lambda run: run.created, default=None)
    return ("ready", saved.name) if saved else ("to do", _("no model yet"))


TAB = Tab(
    name="generation",
    title=N_("Generation"),
    page="llm_studio.ui.tabs.generation.page:GenerationPage",
    lesson="generation",
    fact=_fact,
    needs_project=True,
    preload=(
        "llm_studio.workflows.generation.chats",
        "llm_studio.workflows.generation.favourites",
        "llm_studio.workflows.generation.next_token",
        "llm_studio.workflows.generation.stop_strings",
    ),
)

"""The tab Model."""

from typing import TYPE_CHECKING

from llm_studio.i18n import N_, _, short_number
from llm_studio.ui.tab import Fact, Tab

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview


def _fact(overview: "Overview") -> Fact:
    if overview.settings_problem is not None:
        return "out of date", _("settings to fix")
    return "ready", _("{n} parameters").format(n=short_number(overview.cost.parts.total))


TAB = Tab(
    name="model",
    title=N_("Model"),
    page="llm_studio.ui.tabs.model.page:ModelPage",
    lesson="model",
    fact=_fact,
    needs_project=True,
    preload=("llm_studio.workflows.model_advice", "llm_studio.workflows.projects"),
)

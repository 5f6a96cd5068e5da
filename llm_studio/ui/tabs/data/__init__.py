"""The tab Data."""

from typing import TYPE_CHECKING

from llm_studio.i18n import N_, _, ngettext, number, size
from llm_studio.ui.tab import Fact, Tab, step_state

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview


def _fact(overview: "Overview") -> Fact:
    count = len(overview.sources)
    sources = ngettext("{n} source", "{n} sources", count).format(n=number(count))
    total = sum(source.bytes for source in overview.sources)
    return step_state(overview.steps.data), f"{size(total)} · {sources}" if count else _("no texts yet")


TAB = Tab(
    name="data",
    title=N_("Data"),
    page="llm_studio.ui.tabs.data.page:DataPage",
    lesson="data",
    fact=_fact,
    needs_project=True,
    preload=(
        "difflib", "llm_studio.workflows.data.cleaning", "llm_studio.workflows.data.download",
        "llm_studio.workflows.data.sources",
    ),
)  # fmt: skip

"""The tab Data."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llm_studio.i18n import N_, _, ngettext, number, size
from llm_studio.ui.tab import Fact, Tab, step_state

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview


@dataclass(frozen=True)
class MoreTexts:
    """A target of the page (see `Page.show_target`): add texts from the "hub", whose dialog opens, or "stories"."""

    origin: Literal["hub", "stories"]
    language: str


def _fact(overview: "Overview") -> Fact:
    count = len(overview.sources)
    sources = ngettext("{n} source", "{n} sources", count).format(n=number(count))
    total = sum(source.bytes for source in overview.sources)
    if overview.unusable:
        unread = len(overview.unusable)
        unreadable = ngettext("{n} unreadable", "{n} unreadable", unread).format(n=number(unread))
        return "out of date", f"{sources} · {unreadable}" if count else unreadable
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

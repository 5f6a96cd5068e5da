"""The tab Generation."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_studio.i18n import N_, _
from llm_studio.ui.tab import Fact, Tab

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview


@dataclass(frozen=True)
class CheckpointTarget:
    """Asks the page to load the model of a run as it was at a step (see `Page.show_target`)."""

    run: str
    step: int


def _fact(overview: "Overview") -> Fact:
    evaluated = [run for run in overview.runs if run.best_loss is not None]
    comparable = all(run.best_bits_per_byte is not None for run in evaluated)  # runs may have other vocabularies
    best = min(evaluated, key=lambda run: (run.best_bits_per_byte if comparable else run.best_loss) or 0, default=None)
    text = _("best: {run}").format(run=best.name) if best else _("no model yet")
    return "ready" if overview.runs else "to do", text


TAB = Tab(
    name="generation",
    title=N_("Generation"),
    page="llm_studio.ui.tabs.generation.page:GenerationPage",
    lesson="generation",
    fact=_fact,
    needs_project=True,
    preload=("llm_studio.workflows.generation.chats", "llm_studio.workflows.generation.favourites"),
)

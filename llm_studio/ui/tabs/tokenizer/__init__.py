"""The tab Tokenizer."""

from typing import TYPE_CHECKING

from llm_studio.i18n import N_, _, number
from llm_studio.ui.tab import Fact, StepState, Tab, step_state

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview


def _fact(overview: "Overview") -> Fact:
    return _state(overview), _text(overview)


def _state(overview: "Overview") -> StepState:
    """The state of the tokenizer or the tokens, whichever is less advanced."""
    order: tuple[StepState, ...] = ("to do", "out of date", "ready")
    states = step_state(overview.steps.tokenizer), step_state(overview.steps.tokens)
    return min(states, key=order.index)


def _text(overview: "Overview") -> str:
    if overview.tokenizer is None:
        return _("no tokenizer yet")
    if overview.steps.tokenizer.value == "out of date":
        return _("needs retraining")
    if not overview.tokens:
        return _("texts to prepare")
    return _("{n} tokens").format(n=number(overview.tokenizer.vocab_size))


TAB = Tab(
    name="tokenizer",
    title=N_("Tokenizer"),
    page="llm_studio.ui.tabs.tokenizer.page:TokenizerPage",
    lesson="tokenizer",
    fact=_fact,
    needs_project=True,
    preload=("llm_studio.workflows.tokenizer.figures", "llm_studio.workflows.tokenizer.lab"),
)

"""Whether what is written is a question or the beginning of a text, for a model that was trained on conversations."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _
from llm_studio.ui.widgets.basics import Segmented
from llm_studio.workflows.generation import chats

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Chat

_ASK, _TEXT = "ask", "text"


class QuestionToggle(Segmented):
    """A switch that is only there where a model can be asked; asking comes first."""

    changed = Signal(bool)
    """Whether what is written is a question now."""

    def __init__(self, parent: QWidget) -> None:
        choices = {_ASK: _("Ask"), _TEXT: _("Continue a text")}
        super().__init__(parent, choices, _("What the model does with what you write"))
        self.setToolTip(
            _("This model was trained on conversations: it answers questions, and can also continue a text.")
        )
        self._offered = False
        self.chosen.connect(self._on_chosen)
        self.hide()

    def offer(self, offered: bool) -> None:
        """Whether the model can be asked."""
        if offered != self._offered:
            self._offered = offered
            self.choose(_ASK)
            self.setVisible(offered)
            self.changed.emit(self.asks())

    def asks(self) -> bool:
        """Whether what is written is a question."""
        return self._offered and self.current() == _ASK

    def set_asks(self, asks: bool) -> None:
        """Ask, or continue with a text, as the prompt that is edited did."""
        if self._offered and asks != self.asks():
            self.choose(_ASK if asks else _TEXT)
            self.changed.emit(self.asks())

    @Slot()
    def _on_chosen(self) -> None:
        self.changed.emit(self.asks())


def following(base: "Chat", text: str) -> str:
    """`text`, to be resumed, with the space that it needs after all that is in the chat."""
    last = base.turns[-1] if base.turns else None
    return chats.joined(last.text if last is not None and last.question else base.text, text)


def upcoming(base: "Chat", typed: str, written: str, asks: bool) -> "tuple[tuple[chats.Turn, ...], str, bool]":
    """What the model would read: the turns before, the text after them, and whether that is a question.

    `typed` is what the user has written, `written` the same with the space before it. Without questions all is one
    text.
    """
    if asks and typed:
        return base.turns, typed, True
    if any(turn.question for turn in base.turns):
        return base.turns, written.rstrip(" "), False
    return (), (base.text + written).rstrip(" "), False

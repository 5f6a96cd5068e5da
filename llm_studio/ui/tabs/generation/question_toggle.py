"""Whether the input is a question, the beginning of a text, or continues the text above."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _
from llm_studio.ui.widgets.basics import Segmented
from llm_studio.workflows.generation import chats

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Chat, Turn

_ASK, _TEXT, _JOIN = "ask", "text", "join"


class QuestionToggle(Segmented):
    """A switch between the available modes: asking a question (first, if the model was trained on conversations), and
    continuing the text above, if there is one."""

    changed = Signal(bool)
    """Whether the input is now a question."""

    def __init__(self, parent: QWidget) -> None:
        choices = {_ASK: _("Ask"), _TEXT: _("New text"), _JOIN: _("Continue the text")}
        super().__init__(parent, choices, _("What the model does with what you write"))
        self.setToolTip(_("A question is answered; a new text has nothing to do with those above it."))
        self._offered = self._has_text = False
        self.chosen.connect(self._on_chosen)
        self.choose(_TEXT)
        self._show_choices()

    def offer(self, offered: bool) -> None:
        """Whether the model can answer questions."""
        if offered != self._offered:
            self._offered = offered
            self.choose(_ASK if offered else _TEXT)
            self._show_choices()
            self.changed.emit(self.asks())

    def show_text(self, has_text: bool) -> None:
        """Whether there is a text above that can be continued."""
        if has_text != self._has_text:
            self._has_text = has_text
            if not has_text and self.current() == _JOIN:
                self.choose(_TEXT)
            self._show_choices()

    def _show_choices(self) -> None:
        self.show_choice(_ASK, self._offered)
        self.show_choice(_JOIN, self._has_text)
        self.setVisible(self._offered or self._has_text)

    def asks(self) -> bool:
        """Whether the input is a question."""
        return self._offered and self.current() == _ASK

    def joins(self) -> bool:
        """Whether the input continues the text above."""
        return self._has_text and self.current() == _JOIN

    def follow(self, turn: "Turn") -> None:
        """Set the mode of an existing prompt that is being edited."""
        before = self.asks()
        if self._offered and turn.question:
            self.choose(_ASK)
        else:
            self.choose(_TEXT if turn.prompt.startswith(chats.NEW_TEXT) or not self._has_text else _JOIN)
        if self.asks() != before:
            self.changed.emit(self.asks())

    @Slot()
    def _on_chosen(self) -> None:
        self.changed.emit(self.asks())


def following(base: "Chat", text: str, joins: bool) -> str:
    """`text` as the continuation of a chat: with the space it needs if it `joins` the last text, otherwise as a new
    text."""
    if not joins and text and base.turns:
        return chats.NEW_TEXT + text.lstrip()
    last = base.turns[-1] if base.turns else None
    return chats.joined(last.text if last is not None and last.question else base.text, text)

"""The input box with its buttons, and how its text is used."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.tabs.generation.parts import EditingNote, PromptBox
from llm_studio.ui.tabs.generation.question_toggle import QuestionToggle, following
from llm_studio.ui.widgets.basics import button, row
from llm_studio.workflows.generation import chats

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Chat, Turn


class Composer(QWidget):
    """A prompt that the user is writing."""

    sent = Signal()
    stop_requested = Signal()
    cancelled = Signal()
    """Editing an earlier prompt was cancelled."""
    changed = Signal()
    """The text, or how it is used, has changed."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.note = EditingNote(self)
        self.asking = QuestionToggle(self)
        self.box = PromptBox(self)
        self.go = button(_("Generate"), self, self.sent.emit, "primary")
        self.stop = button(_("Stop"), self, self.stop_requested.emit, "danger")
        self._taken = ""
        """The last prompt given to the model, until the model has written."""
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self.note)
        inside.addWidget(self.asking)
        inside.addLayout(row(self.box, self.go, self.stop, spacing=12))
        self.note.cancelled.connect(self.cancelled)
        self.box.sent.connect(self.sent)
        self.box.textChanged.connect(self.changed)
        self.asking.changed.connect(self.box.expect)
        self.asking.changed.connect(self.changed)

    def turn(self, base: "Chat") -> "Turn":
        """The text as a turn after `base`, with a space before it; trailing spaces would be half a token."""
        text = self.box.toPlainText().rstrip(" ")
        if self.asking.asks() and text.strip():
            return chats.Turn(text.strip(), question=True)
        return chats.Turn(following(base, text, self.asking.joins()))

    def show_state(self, can_send: bool, writing: bool, has_text: bool) -> None:
        """Whether it can be sent, whether the model is writing, and whether there is a text above to continue."""
        self.go.setVisible(not writing)
        self.go.setEnabled(can_send)
        self.stop.setVisible(writing)
        self.stop.setEnabled(True)
        self.asking.show_text(has_text and not writing)

    def put(self, turn: "Turn") -> None:
        """Put the prompt of a turn into the box."""
        self.asking.follow(turn)
        self.box.start_with(turn.prompt.strip(" ").removeprefix(chats.NEW_TEXT))

    def take(self, turn: "Turn") -> None:
        """The prompt of this turn is now part of the chat."""
        if turn.prompt and turn.prompt.strip() == self.box.toPlainText().strip():
            self._taken = self.box.toPlainText()
            self.box.clear()

    def keep_or_put_back(self, written: bool) -> None:
        """The prompt was `written` into the chat, or is put back into the box."""
        if self._taken and not written and not self.box.toPlainText():
            self.box.setPlainText(self._taken)
        self._taken = ""

    def follow(self, before: "Sequence[Turn]", after: "Sequence[Turn]") -> None:
        """A change of the chat was undone or restored: put a prompt that lost its answer into the box, or remove it."""
        if len(after) < len(before) and not self.box.toPlainText():
            self.put(before[len(after)])
        elif len(after) > len(before):
            self.take(after[len(before)])
            self._taken = ""

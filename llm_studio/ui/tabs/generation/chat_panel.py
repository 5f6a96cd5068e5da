"""The left side of Generation: the chat with its list, and the box to write in."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QWidget

from llm_studio.events import Event
from llm_studio.i18n import _
from llm_studio.ui.tabs.generation.chat import ChatView
from llm_studio.ui.tabs.generation.parts import ChatMenu, EditingNote, Legend, PromptBox
from llm_studio.ui.tabs.generation.question_toggle import QuestionToggle, following, upcoming
from llm_studio.ui.tabs.generation.token_buffer import TokenBuffer
from llm_studio.ui.widgets.basics import Card, button, row
from llm_studio.workflows.generation import chats

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Chat


class ChatPanel(Card):
    """Shows a chat and what is written to it; asks for what the user wants."""

    write_requested = Signal(object, object, bool, bool)
    """The chat to write in, the prompt or None to go on, whether it is in place of an answer and is a question."""
    stop_requested = Signal()
    text_changed = Signal()
    """The text that the model would continue with is another."""
    keep_requested = Signal(object)
    """A chat that is to be written."""
    open_requested = Signal(str)
    delete_requested = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setMinimumWidth(380)
        self.content.setContentsMargins(16, 10, 16, 14)
        self.chat: Chat = chats.new()
        self.is_writing = False
        self._ready = False
        self.editing: int | None = None
        self.glued = False
        """What is in the box follows the text without a space: it began with a token that was chosen."""
        self._prompt: str | None = None
        self.menu = ChatMenu(self)
        self.legend = Legend(self)
        self.legend.hide()
        self.turns = ChatView(self)
        self._buffer = TokenBuffer(self, self.turns.append)
        self._note = EditingNote(self)
        self._note.cancelled.connect(self.cancel_editing)
        self.asking = QuestionToggle(self)
        self.box = PromptBox(self)
        self.go = button(_("Generate"), self, self.send, "primary")
        self.stop = button(_("Stop"), self, self.stop_requested.emit, "danger")
        self.content.addWidget(self.menu)
        self.content.addWidget(self.turns, 1)
        self.content.addWidget(self.legend)
        self.content.addWidget(self._note)
        self.content.addWidget(self.asking)
        self.content.addLayout(row(self.box, self.go, self.stop, spacing=12))
        self._connect()
        self._show_state()

    def _connect(self) -> None:
        self.menu.new_requested.connect(self.start_new)
        self.menu.open_requested.connect(self.open_requested)
        self.menu.delete_requested.connect(self._on_delete)
        self.box.sent.connect(self.send)
        self.box.textChanged.connect(self._on_typed)
        for heard in (self.box.expect, self.turns.expect, self._on_typed):
            self.asking.changed.connect(heard)
        self.turns.regenerate_requested.connect(self._regenerate)
        self.turns.continue_requested.connect(self._continue)
        self.turns.edit_requested.connect(self._edit)
        self.turns.branch_requested.connect(self._branch)
        self.turns.star_toggled.connect(self._star)

    # --- What is shown ----------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Another project."""
        self.end()
        self.box.clear()
        self._ready = False
        self.menu.show_chats(())
        self.show_chat(chats.new())

    def show_chat(self, chat: "Chat") -> None:
        """Show a chat as it is kept."""
        if chat.id != self.chat.id:
            self.editing = None
        self.chat = chat
        self._buffer.forget()
        self.turns.show_chat(chat)
        self._show_state()
        self.text_changed.emit()

    @Slot(str)
    def show_view(self, view: str) -> None:
        """Show the text alone, or tinted by probability."""
        self.turns.set_tinted(view == "probabilities")
        self.legend.setVisible(view == "probabilities")

    def set_ready(self, ready: bool) -> None:
        """Whether there is a model to write."""
        self._ready = ready
        self._show_state()

    def _show_state(self) -> None:
        busy = self.is_writing
        self.go.setVisible(not busy)
        self.go.setEnabled(self._can_send())
        self.stop.setVisible(busy)
        self.stop.setEnabled(True)
        self._note.show_editing(self.editing is not None, self._is_branching())
        self.menu.show_title(self.chat.id, self.chat.title)
        self.menu.set_busy(busy, bool(self.chat.turns))
        self.asking.show_text(bool(self._base().turns) and not busy)
        self.turns.set_busy(busy or not self._ready)

    # --- The prompt -------------------------------------------------------------------------------------------

    def _base(self) -> "Chat":
        """The chat that what is in the box follows."""
        return self.chat if self.editing is None else self.chat.before(self.editing)

    def _is_branching(self) -> bool:
        """Whether what is edited has turns after it: these stay in the chat as it is."""
        return self.editing is not None and self.editing < len(self.chat.turns) - 1

    def _written(self, base: "Chat") -> str:
        """What is in the box, with the space before it; a space at its end would be half a token for the model."""
        text = self.box.toPlainText().rstrip(" ")
        return text if self.glued else following(base, text, self.asking.joins())

    def upcoming(self) -> "tuple[tuple[chats.Turn, ...], str, bool]":
        """What the model would read: the turns before, what is written, and whether that is a question."""
        base = self._base()
        return upcoming(base, self.box.toPlainText().strip(), self._written(base), self.asking.asks())

    def _can_send(self) -> bool:
        nothing = not self.box.toPlainText().strip() and not self._base().turns
        return self._ready and not self.is_writing and not (nothing and self.asking.asks())

    def draft(self) -> "tuple[Chat, str, int | None, bool] | None":
        """The prompt that is being written, with its chat; None where the box is empty."""
        text = self.box.toPlainText()
        return (self.chat, text, self.editing, self.glued) if text else None

    def take_draft(self, chat: "Chat", text: str, editing: int | None, glued: bool) -> bool:
        """Continue with a draft; whether its chat is shown: while an answer is being written, that one's chat stays."""
        shows = not self.is_writing
        if shows:
            self.chat, self.editing = chat, editing
            self.show_chat(chat)
        self.box.start_with(text)
        self.glued = glued
        return shows

    @Slot(str)
    def append_token(self, text: str) -> None:
        """Put a token after what is written."""
        if self.is_writing:
            return
        if not self.box.toPlainText():
            self.glued = bool(self._base().turns)
        self.box.moveCursor(QTextCursor.MoveOperation.End)
        self.box.insertPlainText(text)

    @Slot()
    def _on_typed(self) -> None:
        if not self.box.toPlainText():
            self.glued = False
        self.go.setEnabled(self._can_send())
        self.text_changed.emit()

    @Slot()
    def send(self) -> None:
        """Let the model continue with what is in the box; with nothing in it, with its own text."""
        if not self._can_send():
            return
        base, asks = self._base(), self.asking.asks()
        prompt = self.box.toPlainText().strip() if asks else self._written(base)
        if not prompt and base.turns and self.editing is None:
            self._continue()
            return
        if self._is_branching():
            base = chats.Chat(chats.new().id, base.turns)  # what follows stays, in the chat before
        self.editing = None
        self.write_requested.emit(base, prompt, False, asks)

    # --- While the model writes -------------------------------------------------------------------------------

    def begin(self, chat: "Chat", prompt: str | None) -> None:
        """The model is going to write."""
        self._prompt = prompt
        self.is_writing = True
        self.turns.show_chat(chat)
        self.turns.begin(None if prompt is None and chat.turns else chats.Turn(prompt or ""))
        if prompt is not None and prompt.strip() == self.box.toPlainText().strip():
            self.box.clear()
        self._buffer.begin()
        self._show_state()

    def take(self, event: Event) -> None:
        """A token was written: it is shown a moment later."""
        self._buffer.take(event)

    def take_back(self) -> None:
        """Nothing came of it: show the chat as it was, and what was written in the box."""
        if self._prompt and not self.box.toPlainText():
            self.box.setPlainText(self._prompt.lstrip())
        self.turns.show_chat(self.chat)

    def end(self) -> None:
        """The model has ended."""
        self._buffer.end()
        self._prompt = None
        self.is_writing = False
        self._show_state()

    # --- What is asked of the chat ----------------------------------------------------------------------------

    @Slot()
    def start_new(self) -> None:
        """A new chat; the one before stays in the list."""
        self.box.clear()
        self.show_chat(chats.new())
        self.box.setFocus()

    @Slot()
    def _on_delete(self) -> None:
        self.delete_requested.emit(self.chat.id)

    @Slot()
    def _regenerate(self) -> None:
        before, last = self.chat.before(len(self.chat.turns) - 1), self.chat.turns[-1]
        self.write_requested.emit(before, last.prompt, True, last.question)

    @Slot()
    def _continue(self) -> None:
        self.write_requested.emit(self.chat, None, False, False)

    @Slot(int)
    def _edit(self, index: int) -> None:
        self.editing = index
        self._show_state()
        self.asking.follow(self.chat.turns[index])
        self.box.begin(self.chat.turns[index].prompt.strip(" ").removeprefix(chats.NEW_TEXT))

    @Slot()
    def cancel_editing(self) -> None:
        """Leave the prompt as it is."""
        self.editing = None
        self.box.clear()
        self._show_state()

    @Slot(int)
    def _branch(self, index: int) -> None:
        self.keep_requested.emit(chats.Chat(chats.new().id, self.chat.turns[: index + 1]))

    @Slot(int)
    def _star(self, index: int) -> None:
        marked = self.chat.marked(index, not self.chat.turns[index].favourite)
        self.show_chat(marked)  # at once: a second click before it is written is about the new state
        self.keep_requested.emit(marked)

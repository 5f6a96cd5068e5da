"""The left side of Generation: the chat with its list, and the input box."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QWidget

from llm_studio.ui.tabs.generation.chat import ChatView
from llm_studio.ui.tabs.generation.composer import Composer
from llm_studio.ui.tabs.generation.parts import ChatMenu, Legend
from llm_studio.ui.tabs.generation.token_buffer import TokenBuffer
from llm_studio.ui.widgets.basics import Card
from llm_studio.workflows.generation import chats

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Chat


class ChatPanel(Card):
    """Shows a chat and its input; emits the user's requests."""

    write_requested = Signal(object, object, bool)
    """The chat before, the turn to write in, and whether it is another version of its answer."""
    stop_requested = Signal()
    chat_shown = Signal(object)
    text_changed = Signal()
    """The text that the model would continue has changed."""
    keep_requested = Signal(object)
    """A chat to be saved."""
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
        self.place: tuple[int, int] | None = None
        """Turn and token that are being replaced; None for the end of the text."""
        self.menu = ChatMenu(self)
        self.legend = Legend(self)
        self.legend.hide()
        self.turns = ChatView(self)
        self.buffer = TokenBuffer(self, self.turns.append)
        self.composer = Composer(self)
        self.box, self.asking = self.composer.box, self.composer.asking
        self.go, self.stop = self.composer.go, self.composer.stop
        self.content.addWidget(self.menu)
        self.content.addWidget(self.turns, 1)
        self.content.addWidget(self.legend)
        self.content.addWidget(self.composer)
        self._connect()
        self._show_state()

    def _connect(self) -> None:
        self.menu.new_requested.connect(self.start_new)
        self.menu.open_requested.connect(self.open_requested)
        self.menu.delete_requested.connect(self.delete_requested)
        self.composer.sent.connect(self.send)
        self.composer.stop_requested.connect(self.stop_requested)
        self.composer.cancelled.connect(self.cancel_editing)
        self.composer.changed.connect(self._on_typed)
        self.asking.changed.connect(self.turns.expect)
        self.turns.regenerate_requested.connect(self._regenerate)
        self.turns.continue_requested.connect(self._continue)
        self.turns.edit_requested.connect(self._edit)
        self.turns.branch_requested.connect(self._branch)
        self.turns.star_toggled.connect(self._star)
        self.turns.place_chosen.connect(self._on_place)

    # --- Showing ----------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Clear everything: another project was opened."""
        self.end()
        self.box.clear()
        self._ready = False
        self.menu.show_chats(())
        self.show_chat(chats.new())

    def show_chat(self, chat: "Chat") -> None:
        """Show a saved chat."""
        if chat.id != self.chat.id:
            self.editing = None
        self.chat = chat
        self.place = None
        self.buffer.forget()
        self.turns.show_chat(chat)
        self._show_state()
        self.chat_shown.emit(chat)
        self.text_changed.emit()

    def restore(self, chat: "Chat") -> None:
        """Show a chat as it was before or after a change. An unanswered prompt is put into the input box."""
        before = self.chat.turns
        self.show_chat(chat)
        self.composer.follow(before, chat.turns)

    @Slot(str)
    def show_view(self, view: str) -> None:
        """Show the plain text, or the text tinted by probability."""
        self.turns.set_tinted(view != "text")
        self.legend.setVisible(view != "text")

    def set_ready(self, ready: bool) -> None:
        """Whether a model is loaded."""
        self._ready = ready
        self._show_state()

    def _show_state(self) -> None:
        busy = self.is_writing
        self.composer.show_state(self._can_send(), busy, bool(self._base().turns))
        others_follow = self.editing is not None and self.editing < len(self.chat.turns) - 1
        self.composer.note.show_editing(self.editing is not None, others_follow)
        self.menu.show_title(self.chat.id, self.chat.title)
        self.menu.set_busy(busy, bool(self.chat.turns))
        self.turns.set_busy(busy or not self._ready)

    # --- The prompt -------------------------------------------------------------------------------------------

    def _base(self) -> "Chat":
        """The chat that the content of the input box follows."""
        return self.chat if self.editing is None else self.chat.before(self.editing)

    def target(self) -> "tuple[Chat, chats.Turn]":
        """The turn that the next token belongs to, and the chat before it. Later turns remain in the saved chat."""
        if self.place is not None:
            index, count = self.place
            return self.chat.up_to(index), self.chat.turns[index].cut(count)
        base = self._base()
        turn = self.composer.turn(base)
        if not turn.prompt and base.last is not None and self.editing is None:
            return base.up_to(len(base.turns) - 1), base.last
        return self.chat.up_to(len(base.turns)), turn

    def upcoming(self) -> "tuple[chats.Turn, ...]":
        """The turns that the model would read now."""
        base, turn = self.target()
        return (*base.turns, turn)

    def written(self) -> int | None:
        """The token at the place where one is being replaced."""
        return None if self.place is None else self.chat.turns[self.place[0]].tokens[self.place[1]].id

    def _can_send(self) -> bool:
        nothing = not self.box.toPlainText().strip() and not self._base().turns
        return self.can_choose and not (nothing and self.asking.asks())

    @property
    def can_choose(self) -> bool:
        """Whether a token can be chosen: a model is loaded and isn't writing."""
        return self._ready and not self.is_writing

    def draft(self) -> "tuple[Chat, str, int | None] | None":
        """The prompt in the input box, with its chat; None if it is empty."""
        text = self.box.toPlainText()
        return (self.chat, text, self.editing) if text else None

    def take_draft(self, chat: "Chat", text: str, editing: int | None) -> bool:
        """Continue with a draft; returns whether its chat is shown: while the model writes, its chat remains."""
        shows = not self.is_writing
        if shows:
            self.chat, self.editing = chat, editing
            self.show_chat(chat)
        self.box.start_with(text)
        return shows

    @Slot()
    def _on_typed(self) -> None:
        self.back_to_end()
        self.go.setEnabled(self._can_send())
        self.text_changed.emit()

    @Slot()
    def send(self) -> None:
        """Let the model continue the content of the input box, or, if that is empty, its own text."""
        if self._can_send():
            base, turn = self.target()
            self.editing = None
            self.write_requested.emit(base, turn, False)

    @Slot(int, int)
    def _on_place(self, turn: int, token: int) -> None:
        """Show the alternatives of the token that was clicked; a second click hides them."""
        if not self.is_writing and token < len(self.chat.turns[turn].tokens):
            self._set_place(None if self.place == (turn, token) else (turn, token))

    @Slot()
    def back_to_end(self) -> None:
        """Stop replacing a token."""
        if self.place is not None:
            self._set_place(None)

    def _set_place(self, place: tuple[int, int] | None) -> None:
        self.place = place
        self.turns.mark_place(place)
        self._show_state()
        self.text_changed.emit()

    # --- While the model writes -------------------------------------------------------------------------------

    def begin(self, chat: "Chat", turn: "chats.Turn") -> None:
        """The model starts to write in `turn`, which follows `chat`."""
        self.is_writing = True
        self.place = None
        self.turns.show_chat(chat.followed_by(turn))
        self.turns.begin()
        self.composer.take(turn)
        self.buffer.begin()
        self._show_state()

    def take_back(self) -> None:
        """The model has failed: show the chat as it was, and put the prompt back into the input box."""
        self.composer.keep_or_put_back(written=False)
        self.turns.show_chat(self.chat)

    def end(self) -> None:
        """The model has stopped."""
        self.buffer.end()
        self.composer.keep_or_put_back(written=True)
        self.is_writing = False
        self._show_state()

    # --- Actions on the chat ----------------------------------------------------------------------------------

    @Slot()
    def start_new(self) -> None:
        """Start a new chat; the previous one stays in the list."""
        self.box.clear()
        self.show_chat(chats.new())
        self.box.setFocus()

    @Slot()
    def _regenerate(self) -> None:
        before, last = self.chat.before(len(self.chat.turns) - 1), self.chat.turns[-1]
        self.write_requested.emit(before, last.cut(0), True)

    @Slot()
    def _continue(self) -> None:
        before, last = self.chat.before(len(self.chat.turns) - 1), self.chat.turns[-1]
        self.write_requested.emit(before, last, False)

    @Slot(int)
    def _edit(self, index: int) -> None:
        self.editing = index
        self._show_state()
        self.composer.put(self.chat.turns[index])
        self.box.setFocus()

    @Slot()
    def cancel_editing(self) -> None:
        """Leave the prompt unchanged."""
        self.editing = None
        self.box.clear()
        self._show_state()

    @Slot(int)
    def _branch(self, index: int) -> None:
        self.keep_requested.emit(chats.Chat(chats.new().id, self.chat.turns[: index + 1]))

    @Slot(int)
    def _star(self, index: int) -> None:
        marked = self.chat.marked(index, not self.chat.turns[index].favourite)
        self.show_chat(marked)  # at once, so that a second click acts on the new state
        self.keep_requested.emit(marked)

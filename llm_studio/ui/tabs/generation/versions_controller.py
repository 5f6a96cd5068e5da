"""The versions of the model's text: replacing a token, undo and redo."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.workflows.generation import chats
from llm_studio.workflows.generation.version_tree import History

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Chat, Turn
    from llm_studio.workflows.overview import Project


class VersionsController(Controller):
    """Holds the history of the displayed chat. Receivers of a change show and save it."""

    changed = Signal(object)
    """The new Chat, chosen by the user."""
    history_changed = Signal(bool, bool)
    """Whether there is a change to undo, and to redo."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.history: History[Chat] = History(chats.new())

    def open_project(self, project: "Project | None") -> None:
        """Forget the history."""
        self._move(History(chats.new()))

    @Slot(object)
    def follow(self, chat: "Chat") -> None:
        """This chat is displayed: a changed version of the previous one, or another chat."""
        self._move(self.history.then(chat) if chat.id == self.history.present.id else History(chat))

    def choose(self, base: "Chat", turn: "Turn") -> None:
        """Let `turn` follow `base`."""
        self.changed.emit(base.followed_by(turn))

    def switch(self, node: int) -> None:
        """Show the version of the last turn that ends at this node of its tree."""
        chat = self.history.present
        if chat.last is not None:
            turn = chat.last.with_tree(chat.last.tree.at(node))
            self.changed.emit(chat.before(len(chat.turns) - 1).followed_by(turn))

    def undo(self) -> None:
        """Show the chat as it was before the last change."""
        self._restore(self.history.undo())

    def redo(self) -> None:
        """Show the chat as it was before the last undo."""
        self._restore(self.history.redo())

    def _restore(self, history: "History[Chat]") -> None:
        if history is not self.history:
            self._move(history)
            self.changed.emit(history.present)

    def _move(self, history: "History[Chat]") -> None:
        self.history = history
        self.history_changed.emit(bool(history.past), bool(history.future))

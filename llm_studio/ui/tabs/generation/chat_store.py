"""How Generation keeps its chats: which there are, opening, writing and deleting them, each in the background."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _
from llm_studio.ui.page import Page
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tabs.generation.chat_panel import ChatPanel
from llm_studio.ui.tasks import Query, Write
from llm_studio.workflows.generation import chats

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Chat, Summary
    from llm_studio.workflows.overview import Overview, Project

LIST, READ, KEEP, DELETE = "generation/chats", "generation/open", "generation/keep", "generation/delete"


class ChatsPage(Page):
    """A page with a chat; what it shows is in the project's files."""

    def __init__(self, title: str, parent: QWidget) -> None:
        super().__init__(title, "", parent)
        self._chats_known = False
        self.talk = ChatPanel(self)
        self.talk.keep_asked.connect(self._keep)
        self.talk.open_asked.connect(self._open_chat)
        self.talk.delete_asked.connect(self._delete_chat)
        self.context.listen(LIST, succeeded=self._on_chats)
        self.context.listen(READ, succeeded=self._on_read, failed=self._on_chat_failed)
        self.context.listen(KEEP, succeeded=self._on_read)
        self.context.listen(DELETE, succeeded=self._on_deleted, failed=self._on_chat_failed)

    def open_project(self, project: "Project | None") -> None:
        """Forget the chats of the project before."""
        super().open_project(project)
        self._chats_known = False
        self.talk.forget()

    def show_overview(self, overview: "Overview") -> None:
        """Look for chats, the first time."""
        super().show_overview(overview)
        if not self._chats_known:
            self.ask_chats()

    def draft(self) -> object:
        """The prompt that is being written, with its chat."""
        talk, text = self.talk, self.talk.box.toPlainText()
        return (talk.chat, text, talk.editing, talk.glued) if text else None

    def take_draft(self, draft: "tuple[Chat, str, int | None, bool] | None") -> None:
        """Go on with that prompt, in its chat; while an answer is being written, that one's chat stays."""
        if draft is None:
            return
        talk, (chat, text, editing, glued) = self.talk, draft
        if not talk.is_writing:
            talk.chat, talk.editing = chat, editing
            talk.show_chat(chat)
            self._chats_known = True  # the newest one isn't asked for
            self.ask_chats()
        talk.box.setPlainText(text)
        talk.box.moveCursor(QTextCursor.MoveOperation.End)
        talk.glued = glued

    def tell_replaced(self, text: str, old: "Chat") -> None:
        """A short word, with the way back to the chat as it was."""
        project = self.project
        if project is not None:
            self.context.toast_requested.emit(Toast(text, Write(KEEP, lambda job: chats.write(project, old))))

    def ask_chats(self) -> None:
        """Look which chats there are."""
        project = self.project
        if project is not None:
            self.context.request(Query(LIST, lambda job: (chats.listed(project), chats.newest(project))))

    def _on_chats(self, found: "tuple[list[Summary], Chat | None]") -> None:
        summaries, newest = found
        if not self._chats_known and newest is not None and not self.talk.is_writing and not self.talk.chat.turns:
            self.talk.show_chat(newest)
        self._chats_known = True
        self.talk.menu.show_chats(summaries)

    @Slot(str)
    def _open_chat(self, chat_id: str) -> None:
        project = self.project
        if project is not None:
            self.context.request(Query(READ, lambda job: chats.read(project, chat_id)))

    def _on_read(self, chat: "Chat") -> None:
        self.talk.show_chat(chat)
        self.ask_chats()

    def _on_chat_failed(self, _error: BaseException) -> None:
        self.ask_chats()

    @Slot(object)
    def _keep(self, chat: "Chat") -> None:
        project = self.project
        if project is not None:
            self.context.request(Write(KEEP, lambda job: chats.write(project, chat)))

    @Slot(str)
    def _delete_chat(self, chat_id: str) -> None:
        project = self.project
        if project is not None:
            self.context.request(Write(DELETE, lambda job: chats.delete(project, chat_id)))

    def _on_deleted(self, chat: "Chat") -> None:
        self.tell_replaced(_("The chat was deleted."), chat)
        if chat.id == self.talk.chat.id:
            self.talk.show_chat(chats.new())
        self.ask_chats()

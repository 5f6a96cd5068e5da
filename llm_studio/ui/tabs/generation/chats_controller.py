"""The chats of a project: listing, opening, saving and deleting them, each in the background."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.i18n import _, ngettext, number
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext, Toast
from llm_studio.ui.tasks import Query, Write
from llm_studio.workflows.generation import chats

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Chat, Listing
    from llm_studio.workflows.overview import Overview, Project

LIST, READ, KEEP, DELETE = "generation/chats", "generation/open", "generation/keep", "generation/delete"
SAVE = "generation/save"


class ChatsController(Controller):
    """Reads and writes chats/<id>.json."""

    listed = Signal(object)
    """The Summary of each chat, the newest first."""
    newest_read = Signal(object)
    """The newest Chat of a project that has just been opened."""
    opened = Signal(object)
    """A Chat was read, or written."""
    deleted = Signal(object)
    """The Chat that was deleted."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._listed = False
        context.listen(LIST, succeeded=self._on_listed)
        context.listen(READ, succeeded=self._on_read, failed=self._on_failed)
        context.listen(KEEP, succeeded=self._on_read)
        context.listen(SAVE, succeeded=self._on_saved)
        context.listen(DELETE, succeeded=self._on_deleted, failed=self._on_failed)

    def open_project(self, project: "Project | None") -> None:
        """Forget the chats."""
        self._listed = False

    def show_overview(self, overview: "Overview") -> None:
        """List the chats of a project that has just been opened."""
        if not self._listed:
            self.list_chats()

    def list_chats(self, open_newest: bool = True) -> None:
        """List the chats; the first time in a project, the newest one is opened unless another is shown."""
        self._listed = self._listed or not open_newest
        project = self.project
        if project is not None:
            self.context.request(Query(LIST, lambda job: (chats.scan(project), chats.newest(project))))

    @Slot(str)
    def open(self, chat_id: str) -> None:
        """Read a chat."""
        project = self.project
        if project is not None:
            self.context.request(Query(READ, lambda job: chats.read(project, chat_id)))

    @Slot(object)
    def write(self, chat: "Chat") -> None:
        """Save a chat."""
        project = self.project
        if project is not None:
            self.context.request(Write(KEEP, lambda job: chats.write(project, chat)))

    def save(self, chat: "Chat", path: Path, pdf: bytes | None = None) -> None:
        """Save the text of a chat, or its pages as a PDF."""
        self.context.request(Write(SAVE, lambda job: chats.save_as(chat, path, pdf)))

    def _on_saved(self, path: Path) -> None:
        self.context.toast_requested.emit(Toast(_("Saved as {name}.").format(name=path.name)))

    @Slot(str)
    def delete(self, chat_id: str) -> None:
        """Delete a chat and show a toast that can undo it."""
        project = self.project
        if project is not None:
            self.context.request(Write(DELETE, lambda job: chats.delete(project, chat_id)))

    def offer_undo(self, text: str, old: "Chat") -> None:
        """Show a toast that can restore a chat."""
        project = self.project
        if project is not None:
            self.context.toast_requested.emit(Toast(text, Write(KEEP, lambda job: chats.write(project, old))))

    def _on_listed(self, found: "tuple[Listing, Chat | None]") -> None:
        listing, newest = found
        if not self._listed and newest is not None:
            self.newest_read.emit(newest)
        if not self._listed and listing.unreadable:
            self._say_unreadable(listing.unreadable)
        self._listed = True
        self.listed.emit(listing.chats)

    def _say_unreadable(self, files: list[str]) -> None:
        count = len(files)
        text = ngettext(
            "{n} chat can't be read: its file {file} is damaged, or of a newer LLM Studio.",
            "{n} chats can't be read: their files are damaged, or of a newer LLM Studio. The first is {file}.", count,
        )  # fmt: skip
        self.context.toast_requested.emit(Toast(text.format(n=number(count), file=f"chats/{files[0]}")))

    def _on_read(self, chat: "Chat") -> None:
        self.opened.emit(chat)
        self.list_chats()

    def _on_failed(self, _error: BaseException) -> None:
        self.list_chats()

    def _on_deleted(self, chat: "Chat") -> None:
        self.offer_undo(_("The chat was deleted."), chat)
        self.deleted.emit(chat)
        self.list_chats()

"""Reads and searches the documents that the preview of the Data tab shows."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot

from llm_studio.i18n import _
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tasks import Query, Task

if TYPE_CHECKING:
    from llm_studio.ui.tabs.data.preview import DocumentPreview
    from llm_studio.workflows.data.browsing import Document, Found
    from llm_studio.workflows.data.sources import Source
    from llm_studio.workflows.overview import Project

PREVIEW, SEARCH = "data/preview", "data/search"


class FileReading(Controller):
    """Answers the requests of the preview."""

    def __init__(self, context: PageContext, preview: "DocumentPreview") -> None:
        super().__init__(context)
        self._preview = preview
        self._chosen = ("", "")
        self._words = ""
        preview.document_requested.connect(self._read)
        preview.search_requested.connect(self._search)
        preview.stop_requested.connect(self._on_stop)
        context.listen(PREVIEW, succeeded=self._show, failed=self._failed)
        context.listen(SEARCH, started=self._search_started, reported=preview.take, succeeded=self._found,
                    failed=self._search_failed, cancelled=self._search_cancelled, ended=preview.end_search)  # fmt: skip

    def open_project(self, project: "Project | None") -> None:
        """Show no source."""
        self._chosen = ("", "")
        self._preview.forget()

    def open_source(self, source: "Source | None") -> None:
        """Switch the preview to a source, unless it already shows it, unchanged."""
        chosen = (source.name, source.sha256) if source else ("", "")
        if chosen != self._chosen:
            self._chosen = chosen
            self._on_stop()
            self._preview.open_source(source.documents if source else 0)

    @Slot(int)
    def _read(self, place: int) -> None:
        project, name = self.project, self._chosen[0]
        if project is None:
            return

        from llm_studio.workflows.data import browsing

        self.context.request(Query(PREVIEW, lambda job: browsing.read_document(project, name, place, job)))

    def _show(self, document: "Document") -> None:
        if document.source == self._chosen[0]:
            self._preview.show_document(document)

    def _failed(self, error: BaseException) -> None:
        del error
        self._preview.show_problem()

    @Slot(str, int, int)
    def _search(self, words: str, place: int, start: int) -> None:
        project, name = self.project, self._chosen[0]
        if project is None:
            return

        from llm_studio.workflows.data import browsing

        self._words = words
        self.context.request(Query(SEARCH, lambda job: browsing.search(project, name, words, place, start, job)))

    def _search_started(self, task: Task) -> None:
        del task
        self._preview.begin_search()

    def _found(self, found: "Found | None") -> None:
        if found is None or found.document.source == self._chosen[0]:
            self._preview.show_found(self._words, found)

    def _search_failed(self, error: BaseException) -> None:
        del error
        self._preview.say("")

    def _search_cancelled(self) -> None:
        self._preview.say(_("Stopped."))

    @Slot()
    def _on_stop(self) -> None:
        self.context.stop_requested.emit(SEARCH)

"""Downloads for the Data tab: the requests of the dialog of datasets, new downloads, and resumed ones."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal, Slot

from llm_studio.errors import StudioError
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tasks import Query
from llm_studio.workflows.data import download as hub

if TYPE_CHECKING:
    from llm_studio.ui.dialogs.hub import HubDialog
    from llm_studio.ui.page import Page
    from llm_studio.ui.tabs.data.adding_controller import AddingController
    from llm_studio.workflows.data.download import DownloadRequest, Preview, SearchResult, Unfinished
    from llm_studio.workflows.data.sources import Source
    from llm_studio.workflows.overview import Overview, Project

_SEARCH, _LOOK, _UNFINISHED = "data/hub/search", "data/hub/look", "data/hub/unfinished"
_MORE = 2
"""Factor by which the number of documents grows when more of a source is requested."""


class Downloads(Controller):
    """Opens the dialog of datasets, downloads what the user chooses there, and knows which downloads can be resumed."""

    unfinished = Signal(list)
    """The downloads that can be resumed, as `Unfinished`."""

    def __init__(self, page: "Page", adding: "AddingController") -> None:
        super().__init__(page.context)
        self._page, self._adding = page, adding
        self._dialog: HubDialog | None = None
        self._left: dict[str, Unfinished] = {}
        self.context.listen(_SEARCH, succeeded=self._show_found, failed=self._search_failed)
        self.context.listen(_LOOK, succeeded=self._show_preview, failed=self._look_failed)
        self.context.listen(_UNFINISHED, succeeded=self._show_unfinished)

    def open_project(self, project: "Project | None") -> None:
        """Forget the downloads of the previous project."""
        self._left = {}

    def show_overview(self, overview: "Overview") -> None:
        """Request the downloads that can be resumed."""
        project = overview.project
        self.context.request(Query(_UNFINISHED, lambda job: hub.unfinished(project), page_shows_errors=True))

    def _show_unfinished(self, found: "list[Unfinished]") -> None:
        self._left = {one.name: one for one in found}
        self.unfinished.emit(found)

    # --- The dialog -----------------------------------------------------------------------------------------------

    @Slot()
    def show_dialog(self, language: str = "") -> None:
        """Open the dialog of datasets. `language`: show only the recommended datasets in it; "" for all."""
        from llm_studio.ui.dialogs.hub import HubDialog

        self._dialog = dialog = HubDialog(hub.catalogue(), self._page)
        dialog.search_requested.connect(self._search)
        dialog.choice.look_requested.connect(self._look)
        dialog.choice.download_requested.connect(self.begin)
        dialog.finished.connect(self._on_closed)
        if language:
            dialog.choose_language(language)
        dialog.open()

    @Slot()
    def _on_closed(self) -> None:
        self._dialog = None
        for key in (_SEARCH, _LOOK):
            self.context.stop_requested.emit(key)

    @Slot(str)
    def _search(self, words: str) -> None:
        self.context.request(
            Query(_SEARCH, lambda job: (words, hub.search(words, job)), page_shows_errors=True, outlives_project=True)
        )

    def _show_found(self, answer: "tuple[str, list[SearchResult]]") -> None:
        words, found = answer
        if self._dialog is not None and self._dialog.words.text().strip() == words:
            self._dialog.show_found(found)

    def _search_failed(self, error: BaseException) -> None:
        if self._dialog is not None:
            self._dialog.show_search_problem(_reported(error))

    @Slot(str, str, str)
    def _look(self, dataset: str, config: str, split: str) -> None:
        self.context.request(Query(_LOOK, lambda job: hub.preview(dataset, config or None, split or None, job),
                                   page_shows_errors=True, outlives_project=True))  # fmt: skip

    def _show_preview(self, seen: "Preview") -> None:
        if self._dialog is not None:
            self._dialog.choice.show_preview(seen)

    def _look_failed(self, error: BaseException) -> None:
        if self._dialog is not None:
            self._dialog.choice.show_look_problem(_reported(error))

    # --- Downloading ----------------------------------------------------------------------------------------------

    @Slot(dict)
    def begin(self, requested: dict[str, Any]) -> None:
        """Start a download, given by the arguments of `workflows.data.download.wanted`."""
        try:
            wanted = hub.wanted(**requested)
        except StudioError as error:
            self.context.toast_requested.emit(Toast(_reported(error)))
            return
        if wanted is not None:
            self._download(wanted)

    @Slot(str)
    def resume(self, name: str) -> None:
        """Resume the download of a source. If all requested documents are there, download the same number again."""
        left, project = self._left.get(name), self.project
        if left is None or project is None:
            return
        more = _MORE * left.documents if left.state == "capped" else None

        def work(job: Job) -> "list[Source]":
            return [hub.resume_download(project, name, job, max_documents=more)]

        self._add(work, left.wanted)

    def _download(self, wanted: "DownloadRequest") -> None:
        project = self.project
        if project is None:
            return

        def work(job: Job) -> "list[Source]":
            return [hub.download(project, wanted, job)]

        self._add(work, wanted)

    def _add(self, work: "Callable[[Job], list[Source]]", wanted: "DownloadRequest") -> None:
        title = _("Downloading {name}").format(name=wanted.dataset.rpartition("/")[2])
        self._adding.add(work, title, keep_awake=True)


def _reported(error: BaseException) -> str:
    return (
        str(error) if isinstance(error, StudioError) else _("The hub can't be reached: {reason}").format(reason=error)
    )

"""Replacement of a damaged source: from its origin, or by a file that the user chooses."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QFileDialog

from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.ui.controller import Controller
from llm_studio.ui.tasks import Query
from llm_studio.workflows.data import replacing, sources

if TYPE_CHECKING:
    from llm_studio.ui.page import Page
    from llm_studio.ui.tabs.data.adding_controller import AddingController
    from llm_studio.ui.tabs.data.sources import FileOptions
    from llm_studio.workflows.data.sources import Source
    from llm_studio.workflows.overview import Overview

_ORIGINS = "data/origins"


class Replacing(Controller):
    """Finds out which unusable sources can be read again from their origin, and requests the jobs that replace them."""

    known = Signal(object)
    """The origins from which unusable sources can be read again, by the source's name: see `replacing.origin_of`."""

    def __init__(self, page: "Page", options: "FileOptions", adding: "AddingController") -> None:
        super().__init__(page.context)
        self._page, self._options, self._adding = page, options, adding
        self._name = ""
        self.context.listen(_ORIGINS, succeeded=self.known.emit)

    def show_overview(self, overview: "Overview") -> None:
        """Request the origins of the sources that can't be read."""
        project, unusable = overview.project, overview.unusable
        if unusable:

            def work(job: Job) -> dict[str, str]:
                del job
                found = {source.name: replacing.origin_of(project, source) for source in unusable}
                return {name: origin for name, origin in found.items() if origin is not None}

            self.context.request(Query(_ORIGINS, work, page_shows_errors=True))

    @Slot(str)
    def make_again(self, name: str) -> None:
        """Replace a source by reading it again from its origin."""
        self._begin(name, None)

    @Slot(str)
    def choose_file(self, name: str) -> None:
        """Ask for the file that replaces a source."""
        self._name = name
        kinds = " ".join(f"*{kind}" for kind in sources.readable_suffixes())
        chooser = QFileDialog(self._page, _("Replace “{name}”").format(name=name), str(Path.home()))
        chooser.setFileMode(QFileDialog.FileMode.ExistingFile)
        chooser.setNameFilters([_("Texts ({kinds})").format(kinds=kinds), _("All files (*)")])
        chooser.filesSelected.connect(self._on_selected)
        chooser.finished.connect(chooser.deleteLater)
        chooser.open()

    @Slot(list)
    def _on_selected(self, names: list[str]) -> None:
        if names:
            self._begin(self._name, Path(names[0]))

    def _begin(self, name: str, path: Path | None) -> None:
        project = self.project
        if project is None:
            return
        separator, field = self._options.separator(), self._options.text_field()

        def work(job: Job) -> "list[Source]":
            return [replacing.replace_source(project, name, job, path, separator=separator, text_field=field)]

        self._adding.add(work, _("Replacing {name}").format(name=name), keep_awake=True)

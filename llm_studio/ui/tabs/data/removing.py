"""Removes sources for the Data tab, with a way to have them back."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tasks import Write

if TYPE_CHECKING:
    from llm_studio.ui.page import Page
    from llm_studio.ui.tabs.data.table import SourcesTable
    from llm_studio.workflows.overview import Project

REMOVE, RESTORE = "data/remove", "data/restore"


class SourceRemoval(QObject):
    """One removal at a time; each is told with an undo."""

    restored = Signal(str)
    """The name of a source that is back."""

    def __init__(self, page: "Page", sources: "SourcesTable") -> None:
        super().__init__(page)
        self._page = page
        self._project: Project | None = None
        self._busy = False
        sources.remove_requested.connect(self._remove)
        page.context.listen(REMOVE, succeeded=self._removed, ended=self._ended)
        page.context.listen(RESTORE, succeeded=self.restored.emit)

    def open_project(self, project: "Project | None") -> None:
        """Forget the project before."""
        self._project, self._busy = project, False

    @Slot(str)
    def _remove(self, name: str) -> None:
        project = self._project
        if project is None or self._busy:
            return

        from llm_studio.workflows.data import sources

        def work(job: Job) -> "tuple[Project, str]":
            del job
            sources.remove_source(project, name, undoable=True)
            return project, name

        self._busy = True
        self._page.context.request(Write(REMOVE, work, changes_project=True))

    def _removed(self, result: "tuple[Project, str]") -> None:
        from llm_studio.workflows.data import sources

        project, name = result

        def work(job: Job) -> str:
            del job
            sources.restore_source(project, name)
            return name

        undo = Write(RESTORE, work, changes_project=True)
        self._page.context.toast_requested.emit(Toast(_("“{name}” removed.").format(name=name), undo))

    def _ended(self) -> None:
        self._busy = False

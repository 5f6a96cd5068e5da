"""Removal of sources from the project, with undo."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext, Toast
from llm_studio.ui.tasks import Write

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Project

REMOVE, RESTORE = "data/remove", "data/restore"


class RemovalController(Controller):
    """Removes one source at a time; a message with an undo button follows."""

    restored = Signal(str)
    """The name of a source that was restored."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._busy = False
        context.listen(REMOVE, succeeded=self._on_removed, ended=self._on_ended)
        context.listen(RESTORE, succeeded=self.restored.emit)

    def open_project(self, project: "Project | None") -> None:
        """Allow removals: none is in progress in this project."""
        self._busy = False

    @Slot(str)
    def remove(self, name: str) -> None:
        """Remove the source with this name, unless another removal is in progress."""
        project = self.project
        if project is None or self._busy:
            return

        from llm_studio.workflows.data import sources

        known = self.context.overview.all_sources if self.context.overview else ()
        title = sources.titles(known).get(name, name)

        def work(job: Job) -> "tuple[Project, str, str]":
            del job
            sources.remove_source(project, name, undoable=True)
            return project, name, title

        self._busy = True
        self.context.request(Write(REMOVE, work, changes_project=True))

    def _on_removed(self, result: "tuple[Project, str, str]") -> None:
        from llm_studio.workflows.data import sources

        project, name, title = result

        def work(job: Job) -> str:
            del job
            sources.restore_source(project, name)
            return name

        undo = Write(RESTORE, work, changes_project=True)
        self.context.toast_requested.emit(Toast(_("“{name}” removed.").format(name=title), undo))

    def _on_ended(self) -> None:
        self._busy = False

"""The favourite samples of the project."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tabs.generation import TAB as GENERATION
from llm_studio.ui.tabs.generation import CheckpointTarget
from llm_studio.ui.tabs.training import tasks

if TYPE_CHECKING:
    from llm_studio.workflows.generation.favourites import Favourite
    from llm_studio.workflows.overview import Overview, Project


class SamplesController(Controller):
    """Reads the favourites once per project, and adds or removes one."""

    favourites_changed = Signal(object)
    """A tuple of Favourite."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._read = False
        context.listen(tasks.FAVOURITES, succeeded=self.favourites_changed.emit)

    def open_project(self, project: "Project | None") -> None:
        """Forget the favourites."""
        self._read = False
        self.favourites_changed.emit(())

    def show_overview(self, overview: "Overview") -> None:
        """Read the favourites of a project that has just been opened."""
        if not self._read:
            self._read = True
            self.context.request(tasks.favourites(overview.project))

    @Slot(object, bool)
    def change(self, favourite: "Favourite", kept: bool) -> None:
        """Add or remove a favourite."""
        if self.project is not None:
            self.context.request(tasks.keep(self.project, favourite, kept))

    @Slot(str, int)
    def chat(self, run: str, step: int | None) -> None:
        """Show Generation with the model of a run at a step, or its best one if `step` is None."""
        self.context.target_requested.emit(GENERATION.name, CheckpointTarget(run, step))

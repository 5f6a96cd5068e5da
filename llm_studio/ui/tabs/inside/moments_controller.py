"""Which runs have models, and the moments of the chosen one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from llm_studio.events import Event
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tasks import TRAINING, Query

if TYPE_CHECKING:
    from llm_studio.workflows.generation.generate import RunPoints
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.training.moments import RunMoments

MOMENTS = "inside/moments"
_NEW = ("checkpoint", "moment")
"""Events of a run after which it has another moment."""


@dataclass(frozen=True, eq=False)
class Found:
    """The runs that have a model, newest first, and the moments of one of them; None where there is no run."""

    points: "tuple[RunPoints, ...]"
    moments: "RunMoments | None"

    @property
    def best(self) -> int:
        """The step of the best checkpoint of the run."""
        run = self.moments.run if self.moments else ""
        return next((one.best for one in self.points if one.run == run), 0)


class MomentsController(Controller):
    """Reads the moments of a run: by default of the best one."""

    found = Signal(object)
    """A Found."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._run = ""
        context.listen(MOMENTS, succeeded=self.found.emit)
        context.listen(TRAINING, reported=self._on_training)

    def open_project(self, project: "Project | None") -> None:
        """Forget the run."""
        self._run = ""

    def show_overview(self, overview: "Overview") -> None:
        """There may be other runs."""
        self.read(self._run)

    def read(self, run: str) -> None:
        """Read the moments of a run, "" for the best one."""
        project = self.project
        self._run = run
        if project is not None:
            self.context.request(Query(MOMENTS, lambda job: _read(project, run)))

    def _on_training(self, event: Event) -> None:
        if event.kind in _NEW:
            self.read(self._run)


def _read(project: "Project", run: str) -> Found:
    from llm_studio.workflows.generation.generate import points
    from llm_studio.workflows.training.moments import read_moments

    known = points(project)
    if not any(one.run == run for one in known):
        run = next((one.run for one in known if one.is_best), known[0].run if known else "")
    return Found(known, read_moments(project, run) if run else None)

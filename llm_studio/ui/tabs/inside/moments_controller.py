"""The runs that have models, and the moments of the selected run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from llm_studio.events import Event
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tasks import TRAINING, Query
from llm_studio.ui.views.timeline import PinnedMoment

if TYPE_CHECKING:
    from llm_studio.workflows.generation.generate import RunPoints
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.training.moments import RunMoments

MOMENTS, PINNED = "inside/moments", "inside/pinned"
_NEW = ("checkpoint", "moment")
"""Kinds of the events after which a run has a new moment."""


@dataclass(frozen=True, eq=False)
class Found:
    """The runs that have a model, newest first, and the moments of one of them, None if there are no runs."""

    points: "tuple[RunPoints, ...]"
    moments: "RunMoments | None"

    @property
    def best(self) -> int:
        """The step of the best checkpoint of the run."""
        run = self.moments.run if self.moments else ""
        return next((one.best for one in self.points if one.run == run), 0)


@dataclass(frozen=True, eq=False)
class Pinned:
    """A pinned moment, and the step of the saved weights that represent it."""

    pinned: PinnedMoment
    weights: int

    @property
    def checkpoint(self) -> str:
        """The reference of the model."""
        return f"{self.pinned.run}/{self.weights}"


class MomentsController(Controller):
    """Reads the moments of a run, by default the best one, and the pinned moment of this or another run."""

    found = Signal(object)
    """A Found."""
    pinned_changed = Signal()

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._run = ""
        self.pinned: Pinned | None = None
        context.listen(MOMENTS, succeeded=self.found.emit)
        context.listen(PINNED, succeeded=self._on_pinned)
        context.listen(TRAINING, reported=self._on_training)

    def open_project(self, project: "Project | None") -> None:
        """Forget the runs of the previous project."""
        self._run = ""
        self._on_pinned(None)

    def show_overview(self, overview: "Overview") -> None:
        """Read the moments again, since runs may have been added or removed."""
        self.read(self._run)
        if self.pinned is not None:  # its run may be gone
            self.pin(self.pinned.pinned.run, self.pinned.pinned.moment.step)

    def read(self, run: str) -> None:
        """Read the moments of a run; "" for the best one."""
        project = self.project
        self._run = run
        if project is not None:
            self.context.request(Query(MOMENTS, lambda job: _read(project, run)))

    def pin(self, run: str, step: int) -> None:
        """Pin the moment of a run that is nearest to a step; unpin if `run` is ""."""
        project = self.project
        if project is not None:
            self.context.request(Query(PINNED, lambda job: _pinned(project, run, step)))

    def _on_pinned(self, pinned: Pinned | None) -> None:
        self.pinned = pinned
        self.pinned_changed.emit()

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


def _pinned(project: "Project", run: str, step: int) -> Pinned | None:
    from llm_studio.workflows.generation.generate import points
    from llm_studio.workflows.training.moments import read_moments

    if not any(one.run == run for one in points(project)):
        return None
    found = read_moments(project, run)
    moment, weights = found.nearest(step), found.nearest_weights(step)
    return Pinned(PinnedMoment(run, moment), weights) if moment is not None and weights is not None else None

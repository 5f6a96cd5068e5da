"""The curves that the page knows: read from the logs in the background, and kept up to date while a run trains."""

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_studio.events import Event, RunStarted
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.workflows.curves import Curves
    from llm_studio.workflows.overview import Project


@dataclass(frozen=True)
class Answer:
    """What was read: the run that the page is about, the one that trains, and the curves by name."""

    main: str
    running: str
    read: "dict[str, Curves]" = field(default_factory=dict)


def read(project: "Project", main: str, names: tuple[str, ...], job: Job) -> Answer:
    """In a worker: read the logs of these runs; of the newest one too, where there is no `main` yet."""
    importlib.import_module("pyqtgraph")  # a quarter of a second, not in the UI thread
    from llm_studio.workflows import curves

    running = curves.running_run(project) or ""
    chosen = main or running or curves.newest_run(project) or ""
    wanted = dict.fromkeys(name for name in (chosen, *names) if name)
    return Answer(chosen, running, {name: curves.read(project, name, job) for name in wanted})


class KnownCurves:
    """Joins what the logs told with what is heard from the training, without gaps and without doubles."""

    def __init__(self) -> None:
        self.live = ""
        """The run that trains in this window, once it is known."""
        self._curves: dict[str, Curves] = {}
        self._heard: list[Event] | None = None
        """What was heard of the live run while its log is being read."""

    def get(self, name: str) -> "Curves | None":
        """The curves of a run, if they are known."""
        return self._curves.get(name)

    def has(self, name: str) -> bool:
        """Whether the curves of a run are known."""
        return name in self._curves

    def begin(self) -> None:
        """A training begins, or runs already: what it tells is kept until its log was read."""
        self.live, self._heard = "", []

    def end(self) -> None:
        """The training is over."""
        self.live, self._heard = "", None

    def take(self, event: Event) -> None:
        """Hear an event of the training."""
        from llm_studio.workflows.curves import Curves

        if isinstance(event, RunStarted):
            self.live = event.run
            known = self._curves.get(event.run)
            if event.step == 0:
                known = self._curves[event.run] = Curves(event.run)
            if known is None or known.last_step < event.step:
                self._curves.pop(event.run, None)
                self._heard = [event]
                return
            self._heard = None
        if self._heard is not None:
            self._heard.append(event)
        elif self.live:
            self._curves[self.live].take(event)

    def take_answer(self, answer: Answer, training: bool) -> None:
        """Take what was read. A run that trains is followed from the log's end on."""
        if training and not self.live and self._heard is not None:
            self.live = answer.running
        for name, curves in answer.read.items():
            if name != self.live or self._heard is not None:
                self._curves[name] = curves
        live = self._curves.get(self.live)
        if live is not None and self._heard is not None:
            for event in self._heard:
                live.take(event)
            self._heard = None

    def rename(self, old: str, new: str) -> None:
        """A run has another name."""
        curves = self._curves.pop(old, None)
        if curves is not None:
            curves.run = new
            self._curves[new] = curves

    def forget(self, name: str) -> None:
        """A run is gone."""
        self._curves.pop(name, None)

    def forget_if_behind(self, name: str, step: int) -> None:
        """A run has done `step` steps: what is known of fewer is out of date."""
        if name in self._curves and self._curves[name].last_step < step:
            self.forget(name)

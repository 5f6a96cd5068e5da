"""The curves known to the page: read from logs in the background, and updated while a run trains."""

import importlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_studio.events import Event, RunStarted
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Project
    from llm_studio.workflows.training.curves import Curves, News, Place


_WITHOUT_QT = ("cProfile", "multiprocessing.connection", "numpy", "pydoc", "xml.etree.ElementTree")
"""Modules that pyqtgraph imports besides Qt, a third of its import time: the UI thread imports pyqtgraph itself."""


@dataclass(frozen=True)
class Answer:
    """The result of reading: the main run of the page, and the running one if it was requested.

    Contains, by name, the curves that were read from the start, and for other runs the additions to their logs.
    """

    main: str
    running: str
    read: "dict[str, Curves]" = field(default_factory=dict)
    news: "dict[str, News]" = field(default_factory=dict)


def read(project: "Project", main: str, places: "Mapping[str, Place | None]", job: Job) -> Answer:
    """Read the logs of these runs, in a worker; if there is no `main` run yet, also that of the newest run.

    Logs with a known place are read from there on.
    """
    for module in _WITHOUT_QT:
        importlib.import_module(module)
    from llm_studio.workflows.training import curves

    running = "" if main else curves.running_run(project) or ""
    chosen = main or running or curves.newest_run(project) or ""
    answer = Answer(chosen, running)
    for name in dict.fromkeys(name for name in (chosen, *places) if name):
        place = places.get(name)
        news = curves.news(project, name, place, job) if place else None
        if news is None:
            answer.read[name] = curves.read(project, name, job)
        else:
            answer.news[name] = news
    return answer


class CurveStore:
    """Merges the events in logs with those of the running training, without gaps and duplicates."""

    def __init__(self) -> None:
        self.live = ""
        """The run that trains in this window, once it is known."""
        self._curves: dict[str, Curves] = {}
        self._heard: list[Event] | None = None
        """Events of the live run received while its log is being read."""
        self._being_read: tuple[str, frozenset[str]] | None = None
        """The main run and the names of the pending query."""

    def get(self, name: str) -> "Curves | None":
        """The curves of a run, if they are known."""
        return self._curves.get(name)

    def has(self, name: str) -> bool:
        """Whether the curves of a run are known."""
        return name in self._curves

    def begin(self) -> None:
        """A training run starts, or was already running: its events are stored until its log has been read."""
        self.live, self._heard, self._being_read = "", [], None

    def end(self) -> None:
        """The training run has ended."""
        self.live, self._heard = "", None

    def take(self, event: Event) -> None:
        """Add an event of the training run."""
        from llm_studio.workflows.training.curves import Curves

        if isinstance(event, RunStarted):
            self.live, self._being_read = event.run, None  # the pending query may not contain it yet
            known = self._curves.get(event.run)
            if known is not None:
                known.place = None
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
        """Add the result of a query. A run that trains is followed from the end of its log on."""
        self.end_reading()
        if training and not self.live and self._heard is not None:
            self.live = answer.running
        for name, curves in answer.read.items():
            if name != self.live or self._heard is not None:
                self._curves[name] = curves
        for name, news in answer.news.items():
            known = self._curves.get(name)
            if known is not None and known.place == news.begin:
                for event in news.events:
                    known.take(event)
                known.place = news.end
        live = self._curves.get(self.live)
        if live is not None and self._heard is not None:
            live.place = None
            for event in self._heard:
                live.take(event)
            self._heard = None

    def rename(self, old: str, new: str) -> None:
        """A run was renamed."""
        curves = self._curves.pop(old, None)
        if curves is not None:
            curves.run = new
            self._curves[new] = curves

    def forget(self, name: str) -> None:
        """A run was deleted."""
        self._curves.pop(name, None)

    def place(self, name: str) -> "Place | None":
        """The position up to which the log of a run was read; None if it must be read from the start, if at all."""
        return self._curves[name].place if name in self._curves else None

    def wanted(self, shown: Iterable[str], further: bool) -> "dict[str, Place | None]":
        """The shown runs to be read: unknown ones, and with `further` also known ones; each with its position."""
        places = {name: self.place(name) for name in shown}
        return {name: place for name, place in places.items() if (further and place) or not self.has(name)}

    def begin_reading(self, main: str, names: Collection[str]) -> bool:
        """Whether to send a query for these: not while it is pending, which may take longer than the interval."""
        if self._being_read and self._being_read[0] == main and self._being_read[1].issuperset(names):
            return False
        self._being_read = main, frozenset(names)
        return True

    def end_reading(self) -> None:
        """The query has ended."""
        self._being_read = None

    def let_follow(self, name: str, step: int, active: bool) -> None:
        """A run outside this window has done `step` steps: read its log again if its curves came from events."""
        known = self._curves.get(name)
        if known is not None and known.place is None and (active or known.last_step < step):
            self.forget(name)

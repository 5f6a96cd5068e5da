"""The curves that the page knows: read from the logs in the background, and kept up to date while a run trains."""

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
"""What pyqtgraph imports besides Qt, a third of its import time: the UI thread imports pyqtgraph itself."""


@dataclass(frozen=True)
class Answer:
    """What was read: the run that the page is about, and the one that trains, if that was asked.

    By name the curves that were read from the beginning, and for others what is new in their logs.
    """

    main: str
    running: str
    read: "dict[str, Curves]" = field(default_factory=dict)
    news: "dict[str, News]" = field(default_factory=dict)


def read(project: "Project", main: str, places: "Mapping[str, Place | None]", job: Job) -> Answer:
    """In a worker: read the logs of these runs; of the newest one too, where there is no `main` yet.

    Those that are read already up to a place are read from there on.
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
    """Joins what the logs told with what is heard from the training, without gaps and without doubles."""

    def __init__(self) -> None:
        self.live = ""
        """The run that trains in this window, once it is known."""
        self._curves: dict[str, Curves] = {}
        self._heard: list[Event] | None = None
        """What was heard of the live run while its log is being read."""
        self._being_read: tuple[str, frozenset[str]] | None = None
        """The main run and the names in a question that isn't answered yet."""

    def get(self, name: str) -> "Curves | None":
        """The curves of a run, if they are known."""
        return self._curves.get(name)

    def has(self, name: str) -> bool:
        """Whether the curves of a run are known."""
        return name in self._curves

    def begin(self) -> None:
        """A training run begins, or runs already: what it tells is kept until its log was read."""
        self.live, self._heard, self._being_read = "", [], None

    def end(self) -> None:
        """The training is over."""
        self.live, self._heard = "", None

    def take(self, event: Event) -> None:
        """Hear an event of the training."""
        from llm_studio.workflows.training.curves import Curves

        if isinstance(event, RunStarted):
            self.live, self._being_read = event.run, None  # what is being read may not have it yet
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
        """Take what was read. A run that trains is followed from the log's end on."""
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
        """A run has another name."""
        curves = self._curves.pop(old, None)
        if curves is not None:
            curves.run = new
            self._curves[new] = curves

    def forget(self, name: str) -> None:
        """A run is gone."""
        self._curves.pop(name, None)

    def place(self, name: str) -> "Place | None":
        """How far the log of a run is read; None where it is to be read from its beginning, if at all."""
        return self._curves[name].place if name in self._curves else None

    def wanted(self, shown: Iterable[str], further: bool) -> "dict[str, Place | None]":
        """Of the runs that are shown those to read: not known yet, or to be read `further`; each from a place on."""
        places = {name: self.place(name) for name in shown}
        return {name: place for name, place in places.items() if (further and place) or not self.has(name)}

    def begin_reading(self, main: str, names: Collection[str]) -> bool:
        """Whether to ask for these: not again while they are being read, which may take longer than a look."""
        if self._being_read and self._being_read[0] == main and self._being_read[1].issuperset(names):
            return False
        self._being_read = main, frozenset(names)
        return True

    def end_reading(self) -> None:
        """A question was answered, or can't be."""
        self._being_read = None

    def let_follow(self, name: str, step: int, goes_on: bool) -> None:
        """A run that isn't trained here has done `step` steps: what was only heard can't be followed in its log."""
        known = self._curves.get(name)
        if known is not None and known.place is None and (goes_on or known.last_step < step):
            self.forget(name)

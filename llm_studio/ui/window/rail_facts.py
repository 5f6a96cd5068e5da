"""What the rail shows of each step: its state and one line."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from llm_studio.events import EndMoved, RunStarted, StepDone
from llm_studio.ui import tabs
from llm_studio.ui.tab import step_of, time_left
from llm_studio.ui.tasks import BackgroundJob, Task
from llm_studio.ui.widgets.rail import Rail

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview

_REDRAW = 250
"""Milliseconds between two updates of a run's step."""


@dataclass(frozen=True)
class _Run:
    """A running training run. `timed`: it has a time limit, so `max_steps` is an estimate; `left`: seconds, if
    known."""

    step: int
    max_steps: int
    timed: bool
    left: float | None = None

    @property
    def text(self) -> str:
        """Its progress."""
        timed = self.timed and self.left is not None
        return time_left(self.step, self.left or 0.0) if timed else step_of(self.step, self.max_steps)


class RailFacts(QObject):
    """Shows the facts that tabs declare; a tab with a running job is "running", with the step if it is a run."""

    def __init__(self, rail: Rail) -> None:
        super().__init__(rail)
        self._rail = rail
        self._overview: Overview | None = None
        self._jobs: dict[str, str] = {}
        """The tabs of the running jobs, by key."""
        self._runs: dict[str, _Run] = {}
        """The running training runs, by the key of their job."""
        self._timer = QTimer(self, interval=_REDRAW)
        self._timer.timeout.connect(self._draw_steps)

    def forget(self) -> None:
        """Clear everything: no project is open."""
        self._overview = None
        for tab in tabs.TABS:
            if tab.is_step:
                self._rail.item(tab.name).show_state("to do", "")

    def show_overview(self, overview: "Overview") -> None:
        """Show the facts of the project."""
        self._overview = overview
        self._draw()

    def task_started(self, task: Task) -> None:
        """A job has started: its tab is running."""
        if isinstance(task, BackgroundJob):
            self._jobs[task.key] = task.tab
            self._draw()

    def task_reported(self, key: str, event: object) -> None:
        """A run has started or done a step."""
        if isinstance(event, RunStarted):
            self._runs[key] = _Run(event.step, event.max_steps, event.minutes > 0)
            self._timer.start()
        elif isinstance(event, StepDone) and key in self._runs:
            self._runs[key] = replace(self._runs[key], step=event.step, left=event.seconds_left)
        elif isinstance(event, EndMoved) and key in self._runs:
            self._runs[key] = replace(self._runs[key], step=event.step, max_steps=event.max_steps)

    def take_over(self, before: "RailFacts") -> None:
        """Continue to follow the runs that `before` follows."""
        self._runs = {key: run for key, run in before._runs.items() if key in self._jobs}
        if self._runs:
            self._timer.start()
            self._draw_steps()

    def task_ended(self, key: str) -> None:
        """A job has ended."""
        if self._jobs.pop(key, None) is None:
            return
        self._runs.pop(key, None)
        if not self._runs:
            self._timer.stop()
        self._draw()

    def _draw(self) -> None:
        if self._overview is None:
            return
        running = set(self._jobs.values())
        for tab in tabs.TABS:
            if tab.fact is not None:
                state, text = tab.fact(self._overview)
                self._rail.item(tab.name).show_state("running" if tab.name in running else state, text)
        self._draw_steps()

    @Slot()
    def _draw_steps(self) -> None:
        for key, run in self._runs.items():
            tab = tabs.find(self._jobs.get(key, ""))
            if tab is not None and tab.is_step:
                self._rail.item(tab.name).show_state("running", run.text)

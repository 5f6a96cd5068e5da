"""The status bar: the running job, on every page."""

import time

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QWidget

from llm_studio.events import CheckpointSaved, EndMoved, Event, Progress, RunStarted, StepDone
from llm_studio.i18n import _, duration, number, short_number, translated
from llm_studio.ui.icons import put_icon
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import button, label

_TICKS = 1000
_REDRAW = 100
"""Milliseconds between two updates: events only store their figures, a timer draws them."""


class JobProgress:
    """The progress that a job has reported, stored apart from the widget, since several jobs can run.

    `title` is as in BackgroundJob.
    """

    def __init__(self, title: str, tab: str) -> None:
        self.title, self.tab = title, tab
        self.share: float | None = None
        self.left: float | None = None
        self.stopping = False
        self._begun: tuple[str, float, float] | None = None
        self._amount = ""
        self._step: tuple[int, int] | None = None
        """Step and last step, if it is a training run without another progress."""
        self._last: int | None = None
        self._timed = False
        """Whether it is a run with a time limit: its last step is an estimate."""

    @property
    def text(self) -> str:
        """The job and its progress, in the current language."""
        title = translated(self.title)
        if self._step is not None:
            step, last = map(number, self._step)
            text = _("{job}: step {step} of about {last}") if self._timed else _("{job}: step {step} / {last}")
            return text.format(job=title, step=step, last=last)
        return _line(title, self._begun[0] if self._begun else "") + self._amount

    def take(self, event: Event) -> None:
        """Handle an event."""
        if isinstance(event, Progress):
            self._take_progress(event)
        elif isinstance(event, RunStarted):
            self._timed = event.minutes > 0
            self._steps(event.step, event.max_steps)
        elif isinstance(event, EndMoved):
            self._steps(event.step, event.max_steps)
        elif isinstance(event, StepDone) and self._last is not None:
            self._steps(event.step, self._last)
            self.left = event.seconds_left

    def _steps(self, step: int, last: int) -> None:
        self._step, self._last = (step, last), last
        self.share = step / max(1, last)

    def _take_progress(self, event: Progress) -> None:
        now = time.monotonic()
        if self._begun is None or self._begun[0] != event.task:
            self._begun = (event.task, now, event.done)
        self._step, self._amount = None, ""
        if event.total:
            self.share = event.done / event.total
            done, spent = event.done - self._begun[2], now - self._begun[1]
            self.left = (event.total - event.done) * spent / done if done > 0 and spent > 2 else None
        else:
            self.share, self.left = None, None
            self._amount = f" · {short_number(event.done)} {event.unit}"


class Footer(QFrame):
    """Shows the oldest running job with its progress, the remaining time, and a button to stop it."""

    stop_pressed = Signal(str)
    job_pressed = Signal(str)
    """The tab that shows more of the job."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        set_role(self, "footer")
        self.setFixedHeight(34)
        self._jobs: dict[str, JobProgress] = {}
        self._saved: float | None = None
        self._job = button("", self, self._on_job, "link")
        self._bar = QProgressBar(self)
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(220)
        self._bar.setRange(0, _TICKS)
        self._left = label("", self, "caption")
        self._stop = button(_("Stop"), self, self._on_stop, "small")
        put_icon(self._stop, "stop-fill", "bad")
        self._checkpoint = label("", self, "caption")
        inside = QHBoxLayout(self)
        inside.setContentsMargins(12, 0, 16, 0)
        inside.setSpacing(12)
        for part in (self._job, self._bar, self._left, self._stop):
            inside.addWidget(part)
        inside.addStretch(1)
        inside.addWidget(self._checkpoint)
        self._timer = QTimer(self, interval=_REDRAW)
        self._timer.timeout.connect(self.draw)
        self.draw()

    def add(self, key: str, title: str, tab: str) -> None:
        """A job has started."""
        self._jobs[key] = JobProgress(title, tab)
        self._timer.start()
        self.draw()

    def take_over(self, before: "Footer") -> None:
        """Continue with the running jobs of the footer `before`."""
        self._jobs |= {key: job for key, job in before._jobs.items() if key in self._jobs}
        self._saved = before._saved
        self.draw()

    def take(self, key: str, event: Event) -> None:
        """A job has reported an event."""
        if key in self._jobs:
            self._jobs[key].take(event)
            if isinstance(event, CheckpointSaved):
                self._saved = time.monotonic()

    def show_stopping(self, key: str) -> None:
        """A job was asked to end."""
        if key in self._jobs:
            self._jobs[key].stopping = True
            self.draw()

    def remove(self, key: str) -> None:
        """A job has ended."""
        self._jobs.pop(key, None)
        if not self._jobs:
            self._timer.stop()
            self._saved = None
        self.draw()

    @Slot()
    def draw(self) -> None:
        """Show the current figures."""
        shown = bool(self._jobs)
        for part in (self._job, self._bar, self._left, self._stop):
            part.setVisible(shown)
        self._checkpoint.setVisible(shown and self._saved is not None)
        if not shown:
            return
        job = next(iter(self._jobs.values()))
        more = len(self._jobs) - 1
        text = job.text + (_(" (and {n} more)").format(n=more) if more else "")
        self._job.setText(f"▶ {text}".replace("&", "&&"))
        self._bar.setRange(0, 0 if job.share is None else _TICKS)
        if job.share is not None:
            self._bar.setValue(round(_TICKS * job.share))
        self._bar.setAccessibleName(job.text)
        self._left.setText(_("stopping…") if job.stopping else _("{time} left").format(time=duration(job.left))
                           if job.left is not None else "")  # fmt: skip
        self._stop.setEnabled(not job.stopping)
        if self._saved is not None:
            ago = duration(time.monotonic() - self._saved)
            self._checkpoint.setText(_("Last checkpoint: {time} ago").format(time=ago))

    @Slot()
    def _on_stop(self) -> None:
        if self._jobs:
            self.stop_pressed.emit(next(iter(self._jobs)))

    @Slot()
    def _on_job(self) -> None:
        if self._jobs:
            self.job_pressed.emit(next(iter(self._jobs.values())).tab)


def _line(title: str, task: str) -> str:
    """The job and its current task, if that has its own name."""
    return _("{job}: {task}").format(job=title, task=task) if task and task != title else title

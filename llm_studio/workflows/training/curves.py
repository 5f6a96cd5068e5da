"""The curves of a run: its log as arrays that grow during training."""

import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from llm_studio import records
from llm_studio.events import (
    CheckpointSaved,
    EndMoved,
    Evaluated,
    Event,
    MomentStored,
    Notice,
    RunStarted,
    SampleWritten,
    StepDone,
)
from llm_studio.i18n import ngettext, number
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import registry, snapshots
from llm_studio.runs.log import open_log
from llm_studio.runs.record import ACTIVE

Floats = NDArray[np.float64]

STEP, LOSS, RATE, NORM, SPEED, TOKENS = range(6)
"""The columns of `Curves.steps`; STEP and LOSS also those of `Curves.evaluations`."""
BITS = 2
"""The third column of `Curves.evaluations`: bits per byte, NaN in logs of earlier versions."""
_BLOCK = 64
"""Number of steps smoothed by one matrix product."""
_SHORT = 24
"""Smallest ratio of a run's steps to the steps that its moving average may cover."""
_CHECKED_LINES = 5000
"""Lines of a log between two checks whether the job should end."""
_MAX_NEW_BYTES = 2_000_000
"""Number of new bytes in a log above which it is read again from the start."""


@dataclass(frozen=True)
class Place:
    """A position in a log: the offset in bytes, and the `line` that ends there."""

    size: int = 0
    line: bytes = b""


@dataclass(frozen=True)
class News:
    """What was added to a log between two positions."""

    begin: Place
    end: Place
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Sample:
    """What the model wrote after `prompt` at a step."""

    step: int
    prompt: str
    text: str


class GrowingCurves:
    """A growing table of numbers. Columns are read without a copy."""

    def __init__(self, width: int) -> None:
        self._cells = np.empty((width, 256))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, *row: float) -> None:
        """Append one row."""
        if self._count == self._cells.shape[1]:
            larger = np.empty((self._cells.shape[0], 2 * self._count))
            larger[:, : self._count] = self._cells
            self._cells = larger
        self._cells[:, self._count] = row
        self._count += 1

    def column(self, index: int) -> Floats:
        """One column as it is now; the view doesn't grow."""
        return self._cells[index, : self._count]

    def cut(self, count: int) -> None:
        """Remove all but the first `count` rows."""
        self._count = min(count, self._count)


class Curves:
    """One run's figures by step. `version` changes with each addition, `cuts` when steps are removed."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.place: Place | None = None
        """The position up to which the log was read; None if the figures came from events of the training."""
        self.max_steps = 0
        self.device = "cpu"
        self.data = ""
        """Fingerprint of the training tokens, and of which targets count."""
        self.steps = GrowingCurves(6)
        self.evaluations = GrowingCurves(3)
        self.checkpoints: list[int] = []
        self.moments: list[int] = []
        self.snapshots: list[int] = []
        """Steps whose weights were on disk when the log was read; those of `moments` have texts."""
        self.samples: list[Sample] = []
        self.story: list[Event] = []
        """Starts, evaluations and checkpoints, in order, and problems with the log."""
        self.damage: Notice | None = None
        """A notice of how many lines of the log can't be read, if any."""
        self.seconds_left: float | None = None
        self.version = 0
        self.cuts = 0
        self._smooth: dict[int, tuple[float, int, _Smooth]] = {}

    @property
    def last_step(self) -> int:
        """The last known step; 0 if there is none."""
        return int(self.steps.column(STEP)[-1]) if len(self.steps) else 0

    @property
    def best_loss(self) -> float | None:
        """The lowest validation loss."""
        losses = self.evaluations.column(LOSS)
        return float(np.nanmin(losses)) if len(losses) and not np.isnan(losses).all() else None

    @property
    def last_bits_per_byte(self) -> float | None:
        """The last validation loss in bits per byte; None in logs of earlier versions."""
        return _number(self.evaluations.column(BITS)[-1]) if len(self.evaluations) else None

    def bits_per_byte_until(self, step: float) -> float | None:
        """The last validation loss in bits per byte measured at or before a step."""
        place = int(np.searchsorted(self.evaluations.column(STEP), step, "right")) - 1
        return _number(self.evaluations.column(BITS)[place]) if place >= 0 else None

    def validation_at(self, step: int) -> float | None:
        """The validation loss measured at exactly this step."""
        steps = self.evaluations.column(STEP)
        place = int(np.searchsorted(steps, step))
        found = place < len(steps) and steps[place] == step
        return float(self.evaluations.column(LOSS)[place]) if found else None

    def take(self, event: Event) -> None:
        """Add an event of the run. Events that are already known are ignored."""
        if isinstance(event, StepDone):
            self.seconds_left = event.seconds_left
            self._add_step(event.step, event.loss, event.learning_rate, event.gradient_norm,
                           event.tokens_per_second, event.tokens)  # fmt: skip
        elif isinstance(event, Evaluated):
            self._add_evaluation(event)
        elif isinstance(event, SampleWritten):
            self._add_sample(Sample(event.step, event.prompt, event.text))
        elif isinstance(event, MomentStored):
            if event.step not in self.moments[-4:]:
                self.moments.append(event.step)
        elif isinstance(event, CheckpointSaved):
            if event.step not in self.checkpoints[-4:]:
                self.checkpoints.append(event.step)
                self.story.append(event)
        elif isinstance(event, RunStarted):
            self._begin(event)
        elif isinstance(event, EndMoved):
            self.max_steps = event.max_steps
        else:
            return
        self.version += 1

    def _begin(self, event: RunStarted) -> None:
        self.cut_after(event.step)
        self.max_steps, self.device, self.data = event.max_steps, event.device, event.data
        self.seconds_left = None
        self._report(event)

    def _add_step(self, step: int, *figures: float) -> None:
        if step > self.last_step:
            self.steps.add(step, *(value if math.isfinite(value) else math.nan for value in figures))

    def _add_evaluation(self, event: Evaluated) -> None:
        known = self.evaluations.column(STEP)
        if len(known) and known[-1] == event.step:  # repeated after a resume
            self.evaluations.cut(len(known) - 1)
        elif len(known) and known[-1] > event.step:
            return
        self.evaluations.add(event.step, event.loss, math.nan if event.bits_per_byte is None else event.bits_per_byte)
        self._report(event)

    def note_damaged(self, lines: int) -> None:
        """Note that `lines` lines of the log can't be read."""
        if lines:
            text = ngettext(
                "{n} line of the log of “{run}” is damaged: the curves have a gap there.",
                "{n} lines of the log of “{run}” are damaged: the curves have gaps there.", lines,
            )  # fmt: skip
            self.damage = Notice(text.format(n=number(lines), run=self.run), "warning")
            self._report(self.damage)

    def _report(self, event: Event) -> None:
        if event not in self.story[-16:]:  # may also have been received while the log was read
            self.story.append(event)

    def _add_sample(self, sample: Sample) -> None:
        recent = self.samples[-16:]
        if not any((s.step, s.prompt) == (sample.step, sample.prompt) for s in recent):
            self.samples.append(sample)

    def cut_after(self, step: int) -> None:
        """Remove later steps: they are repeated."""
        if self.last_step > step:
            self.cuts += 1
            self.steps.cut(int(np.searchsorted(self.steps.column(STEP), step, "right")))
        self.evaluations.cut(int(np.searchsorted(self.evaluations.column(STEP), step, "right")))
        self.checkpoints = [saved for saved in self.checkpoints if saved <= step]
        self.moments = [stored for stored in self.moments if stored <= step]
        self.snapshots = [stored for stored in self.snapshots if stored <= step]
        self.samples = [sample for sample in self.samples if sample.step <= step]

    def inside_steps(self) -> list[int]:
        """The steps that the tab Inside shows, once there is a model; runs of earlier versions have only samples."""
        known = {*(self.moments or (sample.step for sample in self.samples)), *self.snapshots}
        return sorted(known) if self.moments or self.snapshots or self.checkpoints else []

    def smoothed(self, column: int, weight: float) -> Floats:
        """A column's exponential moving average with bias correction, computed incrementally.

        A short run is smoothed less: the average covers at most 1/24 of its steps.
        """
        doubled = 1 << max(0, len(self.steps) - 1).bit_length()
        weight = min(weight, 1.0 - min(1.0, _SHORT / doubled))
        known = self._smooth.get(column)
        if known is None or known[:2] != (weight, self.cuts):
            known = self._smooth[column] = (weight, self.cuts, _Smooth(weight))
        return known[2].of(self.steps.column(column))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


class _Smooth:
    """A moving average that is continued when values are added."""

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._sum = 0.0
        self._last = 0.0
        self._averages = np.empty(256)
        self._count = 0

    def of(self, values: Floats) -> Floats:
        """The averages of `values`, which start with the values of the last call."""
        new = _filled(values[self._count :], self._last)
        if len(new):
            if len(values) > len(self._averages):
                larger = np.empty(max(len(values), 2 * len(self._averages)))
                larger[: self._count] = self._averages[: self._count]
                self._averages = larger
            sums = moving_sums(new, self._weight, self._sum)
            seen = np.arange(self._count + 1, len(values) + 1)
            self._averages[self._count : len(values)] = sums / (1.0 - self._weight**seen)
            self._sum, self._last, self._count = float(sums[-1]), float(new[-1]), len(values)
        return self._averages[: len(values)]


def _filled(values: Floats, before: float) -> Floats:
    """`values` with each NaN replaced by the last number before it."""
    gaps = np.isnan(values)
    if not gaps.any():
        return values
    places = np.maximum.accumulate(np.where(gaps, -1, np.arange(len(values))))
    return np.where(places < 0, before, values[places])


def moving_sums(values: Floats, weight: float, before: float = 0.0) -> Floats:
    """s[t] = weight · s[t-1] + (1 - weight) · values[t], with s[-1] = `before`.

    Computed in blocks, each by one product with a triangular matrix: a million values take a few milliseconds.
    """
    rows = -(-len(values) // _BLOCK)
    padded = np.zeros(rows * _BLOCK)
    padded[: len(values)] = values
    ages = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)[None, :]
    matrix = np.where(ages >= 0, (1.0 - weight) * weight ** np.maximum(ages, 0), 0.0)
    inside = padded.reshape(rows, _BLOCK) @ matrix.T  # (rows, _BLOCK): each block with s[-1] = 0
    whole, carried, starts = float(weight**_BLOCK), before, [0.0] * rows
    for row, last in enumerate(inside[:, -1].tolist()):
        starts[row] = carried
        carried = whole * carried + last
    inside += np.asarray(starts)[:, None] * weight ** np.arange(1, _BLOCK + 1)[None, :]
    return inside.reshape(-1)[: len(values)]


# --- Reading --------------------------------------------------------------------------------------------------


def read(project: Project, run: str, job: Job) -> Curves:
    """The curves of a run as in its log now; empty if there is no log. Raises Cancelled."""
    curves, path = Curves(run), project.log_file(run)
    curves.place = Place()
    if path.exists():
        damaged: list[bytes] = []
        with open_log(path) as log:
            curves.place = _read_events(log, curves.place, curves.take, job, damaged.append)
        curves.note_damaged(len(damaged))
    curves.snapshots = sorted(snapshots.listed(registry.folder(project, run)))
    return curves


def news(project: Project, run: str, place: Place, job: Job) -> News | None:
    """What was added to a log after `place`. None if it must be read again: it has grown a lot, or was replaced.

    A log that was cut has another line there, since each line contains the speed of its step. Raises Cancelled.
    """
    path, events = project.log_file(run), list[Event]()
    if not place.size or not path.exists() or path.stat().st_size > place.size + _MAX_NEW_BYTES:
        return None
    with open_log(path) as log:
        log.seek(place.size - len(place.line))
        if log.read(len(place.line)) != place.line:
            return None
        end = _read_events(log, place, events.append, job)
    return News(place, end, tuple(events))


def _read_events(
    log: IO[bytes], place: Place, take: Callable[[Event], object], job: Job,
    damaged: Callable[[bytes], object] = bool,
) -> Place:  # fmt: skip
    """Pass the events of a log from `place` on to `take`; returns the position after the last complete line.

    `damaged` is called with the lines that can't be read.
    """
    size, last = place.size, place.line
    for count, line in enumerate(records.lines(log)):
        if count % _CHECKED_LINES == 0:
            job.check()
        record = _record(line)
        event = _event(record) if record else None
        if event is not None:
            take(event)
        elif line.endswith(b"\n") and (record is None or str(record.get("event")) in _KINDS):
            damaged(line)
        if line.endswith(b"\n"):  # otherwise it is being written, or was cut off by a crash
            size, last = size + len(line), line
    return Place(size, last)


_TYPES = (RunStarted, EndMoved, StepDone, Evaluated, SampleWritten, MomentStored, CheckpointSaved)
_KINDS: dict[str, type[Event]] = {kind.kind: kind for kind in _TYPES}

_FLOATS = {
    kind: [field.name for field in fields(kind) if field.type is float and field.default is MISSING]
    for kind in _KINDS.values()
}
"""For each event, the fields that are null in the log if they weren't finite. Others may be missing in old logs."""


def _record(line: bytes) -> dict[str, Any] | None:
    """The record in a line of the log; None if it is damaged or incomplete."""
    return records.parse_line(line.decode(errors="replace"))


def _event(record: dict[str, Any]) -> Event | None:
    """The event of a record; None for damaged ones and those that curves don't need."""
    kind = _KINDS.get(str(record.get("event")))
    if kind is None:
        return None
    try:
        event = records.decode(record, kind, {name: math.nan for name in _FLOATS[kind] if record.get(name, 0) is None})
    except records.Misfit:
        return None
    for figure in vars(event).values():  # all numbers in these events are non-negative
        if isinstance(figure, int | float) and figure < 0:
            return None
    return event


def newest_run(project: Project) -> str | None:
    """The run that was started last; None if nothing was trained."""
    from llm_studio.runs import registry

    return max(((run.created, run.name) for run in registry.listed(project)), default=("", None))[1]


def running_run(project: Project) -> str | None:
    """The run that is being trained now, by this or another window or command."""
    from llm_studio.runs import registry

    return max(((r.created, r.name) for r in registry.listed(project) if r.state in ACTIVE), default=("", None))[1]

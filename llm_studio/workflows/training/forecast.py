"""What a run will take, before it starts: memory, time and disk; and settings that fit this machine.

First an estimate by arithmetic, for which the machine's speed is measured in a moment; then a measurement of a few real
steps on a model that is discarded. Measurements are cached as long as the program runs, so that all callers, such as
the tabs Model and Training, get the same forecast for the same step.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llm_studio.config import Settings
from llm_studio.device import Compute, memory_bytes
from llm_studio.errors import TrainingError
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.model.cost import optimizer_bytes, step_seconds, training_bytes
from llm_studio.project import Project
from llm_studio.runs import moments, snapshots
from llm_studio.runs.snapshots import Storage
from llm_studio.workflows.projects import model_cost

if TYPE_CHECKING:
    from llm_studio.training.measure import Attempt, Trial
    from llm_studio.training.subprocess_trial import SubprocessTrial

STEPS = 5
USED = 0.95
"""Fraction of a run's time that is spent on steps; the rest is for evaluations and saves."""
_CHECKPOINTS = 4
"""The last three and the best are kept."""
_MEMORY_FRACTION = 0.9
"""Fraction of the free memory that a training run may take."""
_MICRO_BATCH_SECONDS = 1.5
"""A fit tries each micro-batch for about this long, starts with one of `_FIRST_TOKENS` tokens, and takes `_MAX_SECONDS`
seconds in all."""
_FIRST_TOKENS = 256
_MAX_SECONDS = 9.0
_MIN_GAIN = 1.04
"""Minimum gain in tokens per second that justifies the memory of a larger micro-batch."""


_IRRELEVANT = frozenset((
    "learning_rate", "muon_learning_rate", "muon_momentum", "warmup_steps", "max_steps", "minutes", "gradient_clip",
    "schedule",
    "final_learning_rate_ratio", "decay_share", "weight_decay", "beta1", "beta2", "eval_interval", "eval_sequences",
    "checkpoint_interval", "checkpoint_minutes", "snapshot_megabytes", "sample_prompts", "seed",
))  # fmt: skip
"""The training settings that affect neither the time nor the memory of a step."""


@dataclass(frozen=True)
class Forecast:
    """Bytes and seconds. `memory` is the peak in addition to the program's own memory, `free` what a run may use.

    `measured`: time and memory come from real steps. `passes` over the training tokens, None if there are none.
    `minutes`: the time limit of the run, if any; `steps` are then those that fit into it.
    """

    memory: int
    free: int
    steps: int
    tokens: int
    passes: float | None
    checkpoints: int
    snapshots: Storage
    device: str
    precision: str
    seconds_per_step: float
    measured: bool = False
    minutes: float = 0.0

    @property
    def seconds(self) -> float:
        """The time limit of the run if it has one; otherwise the time of all steps, without evaluations and saves."""
        return 60 * self.minutes or self.steps * self.seconds_per_step

    @property
    def disk(self) -> int:
        """Bytes of checkpoints and snapshots."""
        return self.checkpoints + self.snapshots.total


@dataclass(frozen=True)
class Fit:
    """The micro-batch that suits this machine. `changes` are the settings to apply; the batch stays the same.

    `tried`: the measured attempts.
    """

    changes: Mapping[str, object]
    batch_size: int
    micro_batches: int
    checkpointing: bool
    memory: int
    tokens_per_second: float
    tried: "tuple[Attempt, ...]"


@dataclass(frozen=True)
class _Measurement:
    """Seconds per step and peak bytes; None if not measured."""

    seconds: float
    memory: int | None


_measurements: dict[tuple[str, int, Compute], _Measurement] = {}


def step_key(settings: Settings) -> str:
    """A key for what the time and the memory of a step depend on: equal for settings whose steps cost the same."""
    return repr((settings.model, settings.training.model_dump(exclude=set(_IRRELEVANT))))


def _remember(settings: Settings, vocab_size: int, compute: Compute, seconds: float, memory: int | None = None) -> None:
    _measurements[step_key(settings), vocab_size, compute] = _Measurement(seconds, memory)


def forecast(project: Project, settings: Settings) -> Forecast:
    """The forecast for a run with these settings, from a cached measurement or by arithmetic. Imports torch."""
    from llm_studio.training.threads import known_compute

    vocab_size = model_cost(project, settings).vocab_size
    compute = known_compute(settings, vocab_size)
    known = _measurements.get((step_key(settings), vocab_size, compute))
    if known is None:
        return _forecast(project, settings, compute, _estimated_seconds(settings, vocab_size, compute))
    found = replace(_forecast(project, settings, compute, known.seconds), measured=True)
    return found if known.memory is None else replace(found, memory=known.memory)


def steps_in(minutes: float, seconds_per_step: float) -> int:
    """Approximate number of steps of a run of `minutes`."""
    return max(2, int(USED * 60 * minutes / seconds_per_step))


def _estimated_seconds(settings: Settings, vocab_size: int, compute: Compute) -> float:
    """Estimated seconds per step."""
    from llm_studio.training import speed

    training = settings.training
    machine = speed.of_this_machine(settings, vocab_size, compute)
    step = step_seconds(settings.model, vocab_size, training.batch_size, machine, training.optimizer == "muon",
                        training.activation_checkpointing)  # fmt: skip
    return training.gradient_accumulation_steps * step.micro_batch + step.update


def _forecast(project: Project, settings: Settings, compute: Compute, seconds_per_step: float) -> Forecast:
    from llm_studio.workflows.overview import token_facts

    cost, training = model_cost(project, settings), settings.training
    steps = steps_in(training.minutes, seconds_per_step) if training.minutes else training.max_steps
    sequences = training.batch_size * training.gradient_accumulation_steps
    tokens = sequences * settings.model.max_seq_len * steps
    here = token_facts(project)
    muon = training.optimizer == "muon"
    return Forecast(
        memory=_by_formula(settings, cost.vocab_size, compute, training.batch_size, training.activation_checkpointing),
        free=memory_bytes(compute.device),
        steps=steps,
        tokens=tokens,
        passes=tokens / here.train if here and here.train else None,
        checkpoints=_CHECKPOINTS * (4 * cost.parts.total + optimizer_bytes(cost.parts, muon)),
        snapshots=snapshots.storage(cost.parts.total, moments.count(steps), training.snapshot_megabytes * 1_000_000),
        device=compute.device,
        precision=compute.precision,
        seconds_per_step=seconds_per_step,
        minutes=training.minutes,
    )


def _by_formula(settings: Settings, vocab_size: int, compute: Compute, batch_size: int, checkpointing: bool) -> int:
    return training_bytes(
        settings.model, vocab_size, batch_size, compute.precision, device=compute.device,
        checkpointing=checkpointing, muon=settings.training.optimizer == "muon",
    ).total  # fmt: skip


def measured(project: Project, settings: Settings, job: Job) -> Forecast:
    """The forecast from a few real steps; takes seconds. Raises Cancelled, TrainingError if memory runs out."""
    from llm_studio.training import memory
    from llm_studio.training.threads import compute_for

    training, vocab_size = settings.training, model_cost(project, settings).vocab_size
    micro_batches = training.gradient_accumulation_steps
    compute = compute_for(settings, vocab_size, job)
    with memory.translate_memory_errors(), _trial(settings, vocab_size, compute, job) as trial:
        found = trial.attempt(training.batch_size, micro_batches, training.activation_checkpointing, STEPS)
    if not found.fits:
        raise TrainingError(_("There is not enough memory for this training."),
                            _("“llm-studio train --fit” finds what fits, or take a smaller preset."))  # fmt: skip
    peak = _peak(found, _by_formula(settings, vocab_size, compute, training.batch_size, found.checkpointing), compute)
    _remember(settings, vocab_size, compute, found.step_seconds(micro_batches), peak)
    return forecast(project, settings)


def _peak(found: "Attempt", by_formula: int, compute: Compute) -> int:
    """Peak memory. On a processor it still grows after the few steps of an attempt, which the formula includes."""
    return found.memory if compute.device == "cuda" else max(found.memory, by_formula)


def seconds_per_step(project: Project, settings: Settings, job: Job, steps: int = STEPS) -> float:
    """Measured seconds per step, without memory: faster than `measured`. Raises Cancelled, TrainingError."""
    return measure_step(settings, model_cost(project, settings).vocab_size, job, steps)


def measure_step(settings: Settings, vocab_size: int, job: Job, steps: int = STEPS) -> float:
    """The same for a model without a project."""
    from llm_studio.training import memory
    from llm_studio.training.measure import StepTimer
    from llm_studio.training.threads import compute_for

    with memory.translate_memory_errors():
        compute = compute_for(settings, vocab_size, job)
        timed = StepTimer(settings, vocab_size, compute, job).time(steps)
    seconds = timed.of_step(settings.training.gradient_accumulation_steps)
    _remember(settings, vocab_size, compute, seconds)
    return seconds


def _trial(settings: Settings, vocab_size: int, compute: Compute, job: Job) -> "Trial | SubprocessTrial":
    """In this process on a graphics card, since a second process would need the card's memory twice."""
    from llm_studio.training.measure import Trial
    from llm_studio.training.subprocess_trial import SubprocessTrial

    return (Trial if compute.device == "cuda" else SubprocessTrial)(settings, vocab_size, compute, job)


def fit(project: Project, settings: Settings, job: Job, free: int | None = None) -> Fit:
    """The micro-batch that suits this machine, found by trying: the smallest one that is about as fast as the fastest
    that fits. Takes about ten seconds.

    The batch stays the same: smaller micro-batches are accumulated more often. Activation checkpointing is used only
    if not even a single sequence fits. `free`: bytes that it may take, by default all available. Raises Cancelled,
    TrainingError if nothing fits.
    """
    from llm_studio.training import memory
    from llm_studio.training.threads import known_compute

    training, vocab_size = settings.training, model_cost(project, settings).vocab_size
    compute = known_compute(settings, vocab_size)
    sequences = training.batch_size * training.gradient_accumulation_steps
    free = memory_bytes(compute.device) if free is None else free
    wanted = dict.fromkeys((training.activation_checkpointing, True))
    for checkpointing in wanted:

        def summary(batch_size: int, again: bool = checkpointing) -> int:
            return _by_formula(settings, vocab_size, compute, batch_size, again)

        if summary(1) > free:  # not even tried: with overcommitted memory the system would freeze
            continue
        began = time.monotonic()
        with memory.translate_memory_errors(), _trial(settings, vocab_size, compute, job) as trial:
            tried, ended = _try_up(trial, summary, settings, checkpointing, int(_MEMORY_FRACTION * free), began, job)
        best = _best([attempt for attempt in tried if attempt.memory <= free])
        if best is not None and ended == "time" and best.batch_size < training.batch_size:
            best = _as_configured(best, training.batch_size, summary, int(_MEMORY_FRACTION * free))
        if best is not None:
            found = _fitted(settings, best, sequences, tried)
            peak = _peak(best, summary(best.batch_size), compute)
            seconds = best.step_seconds(found.micro_batches)
            _remember(settings.replaced(found.changes), vocab_size, compute, seconds, peak)
            return found
    raise TrainingError(_("This model doesn't fit into the memory here, not even one sequence at a time."),
                        _("Take a smaller preset, or set model.max_seq_len lower."))  # fmt: skip


def _try_up(
    trial: "Trial | SubprocessTrial", summary: Callable[[int], int], settings: Settings, checkpointing: bool, room: int,
    began: float, job: Job,
) -> "tuple[list[Attempt], str]":  # fmt: skip
    """Attempts with more and more sequences, and why they ended: "memory", no "use", no "time", or "all" done."""
    tried: list[Attempt] = []
    ratio, sequences = 1.0, settings.training.batch_size * settings.training.gradient_accumulation_steps
    sizes = [size for size in range(1, sequences + 1) if sequences % size == 0]
    few = max(1, _FIRST_TOKENS // settings.model.max_seq_len)
    first = next((place for place, size in enumerate(sizes) if size >= few and summary(size) <= room), 0)
    for batch_size in sizes[first:]:
        if tried and ratio * summary(batch_size) > room:
            return tried, "memory"
        spent = time.monotonic() - began
        if tried and spent + 2 * batch_size / tried[-1].batch_size * tried[-1].seconds > _MAX_SECONDS:
            return tried, "time"
        job.report(Progress(_("Finding what fits"), min(spent, _MAX_SECONDS), _MAX_SECONDS, _("seconds")))
        found = trial.attempt(batch_size, 1, checkpointing, STEPS, seconds=_MICRO_BATCH_SECONDS)
        if not found.fits:
            return tried, "memory"
        tried.append(found)
        if found.memory > room:
            return tried, "memory"
        ratio = max(ratio, found.memory / summary(batch_size))
        if len(tried) > 2 and _speed(found) < _MIN_GAIN * _speed(tried[-3]):
            return tried, "use"
    return tried, "all"


def _as_configured(best: "Attempt", batch_size: int, summary: Callable[[int], int], room: int) -> "Attempt":
    """The micro-batch of the settings, if there was no time to try it and it should fit."""
    memory = round(summary(batch_size) * max(1.0, best.memory / summary(best.batch_size)))
    if memory > room:
        return best
    return replace(best, batch_size=batch_size, memory=memory, seconds=best.seconds * batch_size / best.batch_size)


def _speed(attempt: "Attempt") -> float:
    """Sequences per second."""
    return attempt.batch_size / attempt.seconds


def _best(tried: "list[Attempt]") -> "Attempt | None":
    """The smallest of those that are about as fast as the fastest."""
    fastest = max((_speed(attempt) for attempt in tried), default=0.0)
    return next((attempt for attempt in tried if _speed(attempt) * _MIN_GAIN >= fastest), None)


def _fitted(settings: Settings, best: "Attempt", sequences: int, tried: "list[Attempt]") -> Fit:
    micro_batches = sequences // best.batch_size
    wanted = {"batch_size": best.batch_size, "gradient_accumulation_steps": micro_batches,
              "activation_checkpointing": best.checkpointing}  # fmt: skip
    changes = {f"training.{name}": value for name, value in wanted.items() if getattr(settings.training, name) != value}
    tokens = sequences * settings.model.max_seq_len
    return Fit(changes, best.batch_size, micro_batches, best.checkpointing, best.memory,
               tokens / best.step_seconds(micro_batches), tuple(tried))  # fmt: skip


def fit_and_forecast(project: Project, settings: Settings, job: Job) -> tuple[Fit, Forecast]:
    """A fit, and the forecast for a run with it, as measured by the fit."""
    found = fit(project, settings, job)
    return found, forecast(project, settings.replaced(found.changes))

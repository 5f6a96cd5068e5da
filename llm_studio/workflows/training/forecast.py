"""What a training will take, told before it starts: memory, time and disk; and settings that fit this machine.

First by arithmetic, for which the machine's speed is measured in a moment; then from a few real steps on a model that
is thrown away.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llm_studio.config import Settings
from llm_studio.device import Compute, choose, memory_bytes
from llm_studio.errors import TrainingError
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.model.cost import optimizer_bytes, snapshot_count, step_seconds, training_bytes
from llm_studio.project import Project
from llm_studio.workflows.projects import model_cost

if TYPE_CHECKING:
    from llm_studio.training.subprocess_trial import SubprocessTrial
    from llm_studio.training.trial import Attempt, Trial

STEPS = 5
_CHECKPOINTS = 4
"""The last three and the best are kept."""
_ROOMY = 0.9
"""Share of the free memory that a training may take."""
_MICRO_BATCH_SECONDS = 1.5
"""A fit tries a micro-batch for about so long, and begins with one of so many tokens; `_ENOUGH` seconds in all."""
_FIRST_TOKENS = 256
_ENOUGH = 9.0
_WORTH = 1.04
"""Times as many tokens per second that make a larger micro-batch worth its memory."""


@dataclass(frozen=True)
class Forecast:
    """Bytes and seconds. `memory` is the peak beside what the program itself holds, `free` what a training may use.

    `measured`: memory and time are those of real steps. `passes` over the training tokens, None where there are none.
    """

    memory: int
    free: int
    steps: int
    tokens: int
    passes: float | None
    checkpoints: int
    snapshots: int
    device: str
    precision: str
    seconds_per_step: float
    measured: bool = False

    @property
    def seconds(self) -> float:
        """Of all steps, without evaluations and checkpoints."""
        return self.steps * self.seconds_per_step


@dataclass(frozen=True)
class Fit:
    """The micro-batch that suits this machine. `changes` by setting make it so; the step stays the same.

    `tried`: what each attempt took.
    """

    changes: Mapping[str, object]
    batch_size: int
    micro_batches: int
    checkpointing: bool
    memory: int
    tokens_per_second: float
    tried: "tuple[Attempt, ...]"


def forecast(project: Project, settings: Settings) -> Forecast:
    """What a training with these settings will take, by arithmetic. Imports torch, for the machine's sake."""
    from llm_studio.training import speed
    from llm_studio.workflows.overview import token_facts

    compute, cost, training = choose(settings.training), model_cost(project, settings), settings.training
    sequences = training.batch_size * training.gradient_accumulation_steps
    tokens = sequences * settings.model.max_seq_len * training.max_steps
    here = token_facts(project)
    snapshots = snapshot_count(training.max_steps) * 2 * cost.parts.total
    muon = training.optimizer == "muon"
    machine = speed.of_this_machine(settings, cost.vocab_size, compute)
    step = step_seconds(settings.model, cost.vocab_size, training.batch_size, machine, muon,
                        training.activation_checkpointing)  # fmt: skip
    return Forecast(
        memory=_by_formula(settings, cost.vocab_size, compute, training.batch_size, training.activation_checkpointing),
        free=memory_bytes(compute.device),
        steps=training.max_steps,
        tokens=tokens,
        passes=tokens / here.train if here and here.train else None,
        checkpoints=_CHECKPOINTS * (4 * cost.parts.total + optimizer_bytes(cost.parts, muon)),
        snapshots=min(snapshots, training.snapshot_megabytes * 1_000_000),
        device=compute.device,
        precision=compute.precision,
        seconds_per_step=training.gradient_accumulation_steps * step.micro_batch + step.update,
    )


def _by_formula(settings: Settings, vocab_size: int, compute: Compute, batch_size: int, checkpointing: bool) -> int:
    return training_bytes(
        settings.model, vocab_size, batch_size, compute.precision, device=compute.device,
        checkpointing=checkpointing, muon=settings.training.optimizer == "muon",
    ).total  # fmt: skip


def measured(project: Project, settings: Settings, job: Job) -> Forecast:
    """The same from a few real steps; takes seconds. Raises Cancelled, TrainingError where memory runs out."""
    from llm_studio.training import memory

    first, compute = forecast(project, settings), choose(settings.training)
    training = settings.training
    with memory.translate_memory_errors(), _trial(settings, model_cost(project, settings).vocab_size, compute) as trial:
        found = trial.attempt(training.batch_size, training.activation_checkpointing, STEPS, job)
    if not found.fits:
        raise TrainingError(_("There is not enough memory for this training."),
                            _("“llm-studio train --fit” finds what fits, or take a smaller preset."))  # fmt: skip
    # a processor's memory creeps up over some more steps than are done here, which the formula knows of
    peak = found.memory if compute.device == "cuda" else max(found.memory, first.memory)
    return replace(first, memory=peak, measured=True,
                   seconds_per_step=found.step_seconds(training.gradient_accumulation_steps))  # fmt: skip


def _trial(settings: Settings, vocab_size: int, compute: Compute) -> "_InPlace | SubprocessTrial":
    """On a graphics card in this process, whose share of the card would be taken twice otherwise."""
    from llm_studio.training.subprocess_trial import SubprocessTrial

    if compute.device == "cuda":
        return _InPlace(settings, vocab_size, compute)
    return SubprocessTrial(settings, vocab_size, compute)


class _InPlace:
    """A `Trial` here, that gives its memory back at the end."""

    def __init__(self, settings: Settings, vocab_size: int, compute: Compute) -> None:
        self._what = (settings, vocab_size, compute)

        self._trial: Trial | None = None

    def __enter__(self) -> "_InPlace":
        from llm_studio.training.trial import Trial

        self._trial = Trial(*self._what)
        return self

    def attempt(self, batch_size: int, checkpointing: bool, steps: int, job: Job, enough: float = 8.0) -> "Attempt":
        """As that of a `Trial`."""
        assert self._trial, "use it in a with statement"
        return self._trial.attempt(batch_size, checkpointing, steps, job, enough)

    def __exit__(self, *exception: object) -> None:
        from llm_studio.training import memory

        self._trial = None
        memory.free("cuda")


def fit(project: Project, settings: Settings, job: Job, free: int | None = None) -> Fit:
    """The micro-batch that suits this machine, found by trying: the smallest of those that are about as fast as any
    that fits. Takes about ten seconds.

    The sequences of a step stay the same: there are more micro-batches where each is smaller. Only where not even one
    sequence fits, activations are computed twice. `free`: bytes it may take, where that isn't all there is. Raises
    Cancelled, TrainingError where nothing fits.
    """
    from llm_studio.training import memory

    compute, training = choose(settings.training), settings.training
    vocab_size = model_cost(project, settings).vocab_size
    sequences = training.batch_size * training.gradient_accumulation_steps
    free = memory_bytes(compute.device) if free is None else free
    wanted = dict.fromkeys((training.activation_checkpointing, True))
    for checkpointing in wanted:

        def told(batch_size: int, again: bool = checkpointing) -> int:
            return _by_formula(settings, vocab_size, compute, batch_size, again)

        if told(1) > free:  # not even tried: a system that lends what it hasn't would come to a standstill
            continue
        began = time.monotonic()
        with memory.translate_memory_errors(), _trial(settings, vocab_size, compute) as trial:
            tried, ended = _try_up(trial, told, settings, checkpointing, int(_ROOMY * free), began, job)
        best = _best(tried)
        if best is not None and ended == "time" and best.batch_size < training.batch_size:
            best = _as_it_is(best, training.batch_size, told, int(_ROOMY * free))
        if best is not None:
            return _fitted(settings, best, sequences, tried)
    raise TrainingError(_("This model doesn't fit into the memory here, not even one sequence at a time."),
                        _("Take a smaller preset, or set model.max_seq_len lower."))  # fmt: skip


def _try_up(
    trial: "_InPlace | SubprocessTrial", told: Callable[[int], int], settings: Settings, checkpointing: bool, room: int,
    began: float, job: Job,
) -> "tuple[list[Attempt], str]":  # fmt: skip
    """Attempts with more and more sequences, and what ended them: no "memory", no "use", no "time", or "all" done."""
    tried: list[Attempt] = []
    ratio, sequences = 1.0, settings.training.batch_size * settings.training.gradient_accumulation_steps
    sizes = [size for size in range(1, sequences + 1) if sequences % size == 0]
    few = max(1, _FIRST_TOKENS // settings.model.max_seq_len)
    first = next((place for place, size in enumerate(sizes) if size >= few and told(size) <= room), 0)
    for batch_size in sizes[first:]:
        if tried and ratio * told(batch_size) > room:
            return tried, "memory"
        spent = time.monotonic() - began
        if tried and spent + 2 * batch_size / tried[-1].batch_size * tried[-1].seconds > _ENOUGH:
            return tried, "time"
        job.report(Progress(_("Finding what fits"), min(spent, _ENOUGH), _ENOUGH, _("seconds")))
        found = trial.attempt(batch_size, checkpointing, STEPS, job, enough=_MICRO_BATCH_SECONDS)
        if not found.fits:
            return tried, "memory"
        tried.append(found)
        ratio = max(ratio, found.memory / told(batch_size))
        if len(tried) > 2 and _speed(found) < _WORTH * _speed(tried[-3]):
            return tried, "use"
    return tried, "all"


def _as_it_is(best: "Attempt", batch_size: int, told: Callable[[int], int], room: int) -> "Attempt":
    """The micro-batch of the settings, where there was no time to try it and it should fit."""
    memory = round(told(batch_size) * max(1.0, best.memory / told(best.batch_size)))
    if memory > room:
        return best
    return replace(best, batch_size=batch_size, memory=memory, seconds=best.seconds * batch_size / best.batch_size)


def _speed(attempt: "Attempt") -> float:
    """Sequences per second."""
    return attempt.batch_size / attempt.seconds


def _best(tried: "list[Attempt]") -> "Attempt | None":
    """The smallest of those that are about as fast as the fastest."""
    fastest = max((_speed(attempt) for attempt in tried), default=0.0)
    return next((attempt for attempt in tried if _speed(attempt) * _WORTH >= fastest), None)


def _fitted(settings: Settings, best: "Attempt", sequences: int, tried: "list[Attempt]") -> Fit:
    micro_batches = sequences // best.batch_size
    wanted = {"batch_size": best.batch_size, "gradient_accumulation_steps": micro_batches,
              "activation_checkpointing": best.checkpointing}  # fmt: skip
    changes = {f"training.{name}": value for name, value in wanted.items() if getattr(settings.training, name) != value}
    tokens = sequences * settings.model.max_seq_len
    return Fit(changes, best.batch_size, micro_batches, best.checkpointing, best.memory,
               tokens / best.step_seconds(micro_batches), tuple(tried))  # fmt: skip


def fit_and_tell(project: Project, settings: Settings, job: Job) -> tuple[Fit, Forecast]:
    """A fit, and what a training with it will take, as measured on the way."""
    found = fit(project, settings, job)
    first = forecast(project, settings.replaced(found.changes))
    tokens = first.tokens / max(1, first.steps)
    peak = found.memory if first.device == "cuda" else max(found.memory, first.memory)
    return found, replace(first, memory=peak, measured=True, seconds_per_step=tokens / found.tokens_per_second)

"""What a training step costs on this computer: the only module that times steps.

A timed step is the trainer's own, with the same `StepPipeline` and `Updater`: autocast, gradient accumulation, dropout,
activation checkpointing, the loss on answers, clipping and the optimizer are those of a run. The model is discarded
afterwards. The token ids are random unless batches are given: the time of a step doesn't depend on the text.
"""

import contextlib
import statistics
import time
from collections.abc import Generator
from dataclasses import dataclass

import torch

from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.jobs import Job
from llm_studio.model.cost import checkpoint_copy_bytes
from llm_studio.training import memory, pipeline
from llm_studio.training.distributed import ALONE
from llm_studio.training.memory import peak_bytes, resident_bytes
from llm_studio.training.optim import optimizer
from llm_studio.training.optim.schedule import learning_rate
from llm_studio.training.prefetch import Batch, BatchRequest, BatchSource
from llm_studio.training.step import PendingGradients, Updater

MICRO_BATCHES = 4
"""The most micro-batches in a timed step; the time of a step with more of them is extrapolated."""
SECONDS = 8.0
"""Seconds after which no further step is started."""


@dataclass(frozen=True)
class StepTime:
    """Seconds of one micro-batch (forward and backward pass) and of the optimizer's update."""

    micro_batch: float
    update: float

    def of_step(self, micro_batches: int) -> float:
        """Seconds of a step with this many micro-batches."""
        return micro_batches * self.micro_batch + self.update


class RandomBatches:
    """A `BatchSource` of random token ids, the same at each step. With `answers_only` half of the targets count."""

    def __init__(self, vocab_size: int, answers_only: bool = False, pinned: bool = False) -> None:
        self.answers_only = answers_only
        self._vocab_size, self._pinned = vocab_size, pinned
        self._shape = (0, 0)
        self._batch = Batch(torch.empty(0), None)

    def take(self, request: BatchRequest) -> Batch:
        """Random ids of the requested shape."""
        shape = request.sequences, request.length
        if shape != self._shape:
            self._shape, self._batch = shape, self._draw(*shape)
        return self._batch

    def _draw(self, sequences: int, length: int) -> Batch:
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(self._vocab_size, (sequences, length + 1), generator=generator)
        counted = torch.arange(sequences * length).reshape(sequences, length) % 2 == 0 if self.answers_only else None
        if not self._pinned:
            return Batch(ids, counted)
        return Batch(ids.pin_memory(), None if counted is None else counted.pin_memory())


class StepTimer:
    """Runs and times a run's steps on a model of its own."""

    def __init__(
        self, settings: Settings, vocab_size: int, compute: Compute, job: Job, batches: BatchSource | None = None
    ) -> None:
        """`batches`: data for the steps, instead of random ids."""
        self._compute, self._job = compute, job
        on_answers, pinned = settings.training.loss_on == "answers", compute.device == "cuda"
        batches = batches or RandomBatches(vocab_size, on_answers, pinned)
        with self._like_a_run(compute.threads):
            self.updater = Updater(batches, vocab_size, settings, compute, job)
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Change the settings to time, for example the micro-batch or activation checkpointing."""
        done = min(settings.training.gradient_accumulation_steps, MICRO_BATCHES)
        self.updater.settings = settings.replaced({"training.gradient_accumulation_steps": done})
        self.updater.model.checkpoint_activations = settings.training.activation_checkpointing

    def time(self, steps: int, warm_up: int = 1, seconds: float = SECONDS, threads: int = 0) -> StepTime:
        """The median of at most `steps` steps after `warm_up` others; no step is started after `seconds`.

        `threads`: number of processor threads; 0 for that of a run. Raises Cancelled.
        """
        training, device = self.updater.settings.training, self._compute.device
        gradients: list[float] = []
        updates: list[float] = []
        start = time.perf_counter()
        with self._like_a_run(threads or self._compute.threads):
            stepping = _Stepping(self.updater, self._compute)
            before = _mark(device)
            for step in range(warm_up + steps):
                self._job.check()
                middle = stepping.step(step)
                if middle is None:
                    self._job.check()
                after = _mark(device)
                if step >= warm_up:
                    gradients.append(_seconds(before, middle or after))
                    updates.append(_seconds(middle or after, after))
                    if time.perf_counter() - start > seconds:
                        break
                before = after
        return StepTime(statistics.median(gradients) / training.gradient_accumulation_steps, statistics.median(updates))

    @contextlib.contextmanager
    def _like_a_run(self, threads: int) -> Generator[None]:
        """Use a run's processor threads and seeds, and restore torch's state afterwards."""
        before = torch.get_num_threads()
        devices = [torch.cuda.current_device()] if self._compute.device == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.set_num_threads(threads)
            try:
                yield
            finally:
                torch.set_num_threads(before)


class _Stepping:
    """The trainer's steps, without evaluations, saves or skipped steps between them."""

    def __init__(self, updater: Updater, compute: Compute) -> None:
        self._updater, self._device = updater, compute.device
        self._steps = pipeline.steps(updater, compute, ALONE)
        self._middle: _Mark | None = None

    def step(self, step: int) -> "_Mark | None":
        """Do the step after `step` steps and return the mark between its gradients and its update.

        None if a CUDA graph does both, or if the job was stopped.
        """
        self._middle = None
        if self._steps.outcome(step, self._gradients, self._rate, lambda: True) is not None:
            self._steps.accept(self._rate(step + 1))
        return self._middle

    def _gradients(self, step: int) -> PendingGradients | None:
        pending = self._updater.gradients(step)
        self._middle = _mark(self._device) if pending else None
        return pending

    def _rate(self, step: int) -> float:
        return learning_rate(step, self._updater.settings.training)


_Mark = float | torch.cuda.Event
"""A point in time: seconds of the clock, or an event in the queue of a graphics card."""


def _mark(device: str) -> _Mark:
    if device != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _seconds(first: _Mark, last: _Mark) -> float:
    if isinstance(first, torch.cuda.Event) and isinstance(last, torch.cuda.Event):
        last.synchronize()
        return first.elapsed_time(last) / 1000
    assert isinstance(first, float) and isinstance(last, float), "marks of one device"
    return last - first


# --- Memory -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    """The cost of a micro-batch of `batch_size` sequences. `fits`: memory sufficed; otherwise the rest is 0.

    `memory`: peak bytes above what the process held before the model was built. `seconds` of one micro-batch (forward
    and backward pass), and of the optimizer's `update`.
    """

    batch_size: int
    checkpointing: bool
    fits: bool
    memory: int = 0
    seconds: float = 0.0
    update: float = 0.0

    def step_seconds(self, micro_batches: int) -> float:
        """Seconds of a step with this many micro-batches."""
        return StepTime(self.seconds, self.update).of_step(micro_batches)


class Trial:
    """Tries micro-batches on one model, smaller ones first: the peak memory is that of all attempts so far.

    Use it as a context manager, which frees the memory even if something still refers to the trial.
    """

    def __init__(
        self, settings: Settings, vocab_size: int, compute: Compute, job: Job, before: int | None = None
    ) -> None:
        """`before`: bytes that the process held before the model was built, by default its current memory."""
        self._settings, self._compute = settings, compute
        self._before = resident_bytes() if before is None else before
        if compute.device == "cuda":
            memory.free("cuda")  # memory cached by torch would hide what this needs
            memory.keep_within_card("cuda")
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_reserved()
        self._timer = StepTimer(settings, vocab_size, compute, job)

    def __enter__(self) -> "Trial":
        return self

    def __exit__(self, *exception: object) -> None:
        del self._timer
        memory.free(self._compute.device)

    def attempt(
        self, batch_size: int, micro_batches: int, checkpointing: bool, steps: int, seconds: float = SECONDS
    ) -> Attempt:
        """Time at most `steps` steps of `micro_batches` × `batch_size` sequences. Raises Cancelled."""
        changes = {"batch_size": batch_size, "gradient_accumulation_steps": micro_batches,
                   "activation_checkpointing": checkpointing}  # fmt: skip
        self._timer.use(self._settings.replaced({f"training.{name}": value for name, value in changes.items()}))
        try:
            found = self._timer.time(steps, seconds=seconds)
        except (MemoryError, RuntimeError) as error:
            if not memory.ran_out(error):
                raise
            found = None
        if found is None:  # outside the handler: the exception keeps the tensors alive
            self._timer.updater.forget()
            memory.free(self._compute.device)
            return Attempt(batch_size, checkpointing, fits=False)
        taken = self._peak() - self._before
        return Attempt(batch_size, checkpointing, True, taken + self._saving(taken), found.micro_batch, found.update)

    def _saving(self, taken: int) -> int:
        """Bytes that a save needs in addition while the run continues."""
        if self._compute.device == "cuda":
            return 0
        model = self._timer.updater.model
        weights = sum(parameter.nbytes for parameter in model.parameters())
        moments = optimizer.state_tensors(self._timer.updater.optimizer, model).values()
        copy = weights + sum(tensor.nbytes for tensor in moments)
        return checkpoint_copy_bytes(copy, max(0, taken - copy - weights))  # the gradients are as large as the weights

    def _peak(self) -> int:
        return torch.cuda.max_memory_reserved() if self._compute.device == "cuda" else peak_bytes()

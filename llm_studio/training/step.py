"""One step of a run: the gradients of its micro-batches are accumulated, then the optimizer updates the weights."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.events import Notice
from llm_studio.i18n import _, number
from llm_studio.inference.load import build_model
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.runs.checkpoint import OPTIMIZER, Checkpoint
from llm_studio.runs.tensors import Copy
from llm_studio.training import distributed, memory
from llm_studio.training.distributed import ALONE, DistributedModel, ProcessGroup
from llm_studio.training.optim import optimizer
from llm_studio.training.optim.sharding import full_tensor
from llm_studio.training.prefetch import Batch, BatchRequest, BatchSource

_T = TypeVar("_T")


@dataclass(frozen=True)
class StepOutcome:
    """Properties of a step's gradients: `loss` in nats per token, `norm` of all gradients before clipping.

    `learned`: some targets of the step counted, otherwise its loss is meaningless. `is_number`: loss and norm are
    finite, so the weights may be updated.
    """

    loss: float
    norm: float
    learned: bool
    is_number: bool

    @property
    def to_judge(self) -> float | None:
        """The loss as `Recovery.judge` expects it."""
        summary = self.loss if self.is_number else math.nan
        return summary if self.learned else None


class PendingGradients:
    """The gradients of a step, which a graphics card may still be computing.

    `read` waits for them. `fine`: a bool on the device, whether the weights may be updated by them.
    """

    def __init__(
        self, figures: torch.Tensor, learned: bool = True, usual: bool = False, group: ProcessGroup = ALONE
    ) -> None:
        """`figures`: losses of the micro-batches, which sum to the step's over all processes, and the gradient norm.

        `usual`: infinite gradients are expected (a float16 loss scale).
        """
        self.fine = (figures[:-1] if usual else figures).isfinite().all()
        self._learned, self._usual, self._group = learned, usual, group
        self._to_device: torch.cuda.Event | None = None
        if figures.device.type == "cuda":  # read without waiting for work that is queued later
            self._figures = torch.empty(figures.shape, dtype=figures.dtype, pin_memory=True)
            self._figures.copy_(figures, non_blocking=True)
            self._to_device = torch.cuda.Event()
            self._to_device.record()
        else:
            self._figures = figures.clone()  # a graph overwrites this memory in the next step

    def read(self) -> StepOutcome:
        """Wait for the outcome. Every process must call this."""
        if self._to_device is not None:
            self._to_device.synchronize()
        here = torch.stack([self._figures[:-1].sum() / self._group.count,
                            torch.tensor(float(self._learned), dtype=torch.float64)])  # fmt: skip
        (loss, learning), norm = self._group.sum_of(here).tolist(), self._figures[-1].item()
        finite = np.isfinite(loss) and (self._usual or np.isfinite(norm))
        return StepOutcome(loss, norm, learning > 0, bool(finite))


@dataclass(frozen=True)
class _MicroBatch:
    """Inputs (B, T), targets (shifted by one token) and a mask of the targets that count, or None if all do.

    The mean loss divided by `parts` is this micro-batch's contribution to the mean over all counted targets of the
    step, for any size of the micro-batches. `counts`: some targets count. `last`: the step's last one in this process.
    """

    tensors: tuple[torch.Tensor, ...]
    parts: float
    last: bool
    counts: bool = True


class Updater:
    """Holds one model with its optimizer, and computes their updates.

    `settings` may be replaced between two steps to change the micro-batches.
    """

    def __init__(
        self,
        batches: BatchSource,
        vocab_size: int,
        settings: Settings,
        compute: Compute,
        job: Job,
        group: ProcessGroup = ALONE,
    ) -> None:
        self.settings = settings
        self._group = group
        self._vocab_size = vocab_size
        self.model = self._new_model().to(compute.device)
        self.model.checkpoint_activations = settings.training.activation_checkpointing
        self._shared = DistributedModel(self.model, group, settings.training.sharded)
        self._compute = compute
        self._job = job
        self.optimizer = optimizer.build(self.model, settings.training, compute.dtype)
        self.scaler = torch.amp.GradScaler(compute.device, enabled=compute.precision == "float16")
        self.batches = batches
        self._loads = 0

    @property
    def memory(self) -> tuple[int, int, int]:
        """A key that changes when weights, moments or micro-batches have moved in memory."""
        training = self.settings.training
        return training.batch_size, training.gradient_accumulation_steps, self._loads

    def _new_model(self) -> Transformer:
        torch.manual_seed(self.settings.training.seed)
        return Transformer(self.settings.model, self._vocab_size)

    def restart(self) -> None:
        """Reset weights and optimizer to step 0."""
        self.load(self._new_model().state_dict())
        self.optimizer.state.clear()
        self._loads += 1

    def restore(self, saved: Checkpoint) -> None:
        """Load weights and optimizer state from a checkpoint."""
        self.load(saved.weights(self.model.state_dict()))
        optimizer.load_state_tensors(self.optimizer, self.model, saved.moments(), saved.path / OPTIMIZER)
        self._loads += 1
        if saved.state.scaler:
            self.scaler.load_state_dict(saved.state.scaler)

    def load(self, weights: dict[str, torch.Tensor]) -> None:
        """Load these weights."""
        distributed.load(self.model, weights)

    def writer(self) -> Transformer | None:
        """The model to write samples with; if it is sharded, a full copy in the first process, None in the others."""
        if not self._shared.sharded:
            return self.model
        weights = self.copy_of(self.model.state_dict()).wait()
        if not self._group.first:
            return None
        return build_model(self.settings.model, weights)  # draws no random numbers

    def copies(self) -> tuple[Copy, Copy]:
        """Copies of the current weights and of the optimizer's state."""
        moments = optimizer.state_tensors(self.optimizer, self.model)
        return self.copy_of(self.model.state_dict()), self.copy_of(moments)

    def copy_of(self, tensors: dict[str, torch.Tensor]) -> Copy:
        """A copy of the full tensors, of which this process may hold a shard; empty if it doesn't write."""
        made = Copy({})
        for name, tensor in tensors.items():
            whole = full_tensor(tensor)  # one at a time: all together may not fit
            if self._group.first:
                made.add(name, whole)
        return made

    def gradients(self, step: int) -> PendingGradients | None:
        """The clipped gradients of the step after `step` steps; None if the job was stopped meanwhile.

        The weights don't change. Calling it again for the same step gives the same result. Doesn't wait for the device.
        """
        settings = self.settings.training
        self.forget()
        # in float16 infinite gradients are expected while the loss scale can be lowered: the scaler skips that step
        usual = self.scaler.is_enabled() and self.scaler.get_scale() > 1
        losses: list[torch.Tensor] = []
        learned, count = False, self._group.count
        first = self._group.first_micro_batch(settings.batch_size, settings.gradient_accumulation_steps)
        for index, micro_batch in enumerate(self._micro_batches(step), first):
            if self._job.stop_requested:
                self.forget()
                return None
            if self.settings.model.dropout > 0:
                _seed_dropout(self._compute.device, _seed_of(settings.seed, step, index))
            with self._shared.averaging(micro_batch.last):
                with self._compute.autocast():
                    loss = self._shared.loss(*micro_batch.tensors) * count / micro_batch.parts
                self.scaler.scale(loss).backward()
            losses.append(loss.detach())
            learned = learned or micro_batch.counts
        self.scaler.unscale_(self.optimizer)
        return PendingGradients(self._figures(losses), learned, usual, self._group)

    def _figures(self, losses: list[torch.Tensor]) -> torch.Tensor:
        """Clip the gradients; returns the figures of `PendingGradients`."""
        limit = self.settings.training.gradient_clip or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        return torch.stack([*losses, full_tensor(norm)]).double()

    def whole_step(self, ids: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
        """A step on ids (sequences, length + 1) at this learning rate, computed by the device alone, as a CUDA graph
        requires: no dropout, no loss scale, a single process. Returns the figures of its gradients."""
        self.forget()
        losses: list[torch.Tensor] = []
        for part in ids.split(self.settings.training.batch_size):
            with self._compute.autocast():
                loss = self.model.loss(part[:, :-1], part[:, 1:]) * (len(part) / len(ids))
            loss.backward()
            losses.append(loss.detach())
        figures = self._figures(losses)
        self.apply(rate, figures.isfinite().all())
        return figures

    def apply(self, rate: float | torch.Tensor, fine: torch.Tensor | None = None) -> None:
        """Update the weights at this learning rate, unless `fine`, a bool on the device, is false."""
        self.optimizer.set_learning_rate(rate)
        self.optimizer.only_where(fine)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.forget()

    def skip(self) -> None:
        """Discard the gradients without an update."""
        if self.scaler.is_enabled():
            self.scaler.update()
        self.forget()

    def forget(self) -> None:
        """Free the gradients."""
        self.optimizer.zero_grad()

    @property
    def tokens_per_step(self) -> int:
        """Number of tokens in a step."""
        training = self.settings.training
        return training.batch_size * training.gradient_accumulation_steps * self.settings.model.max_seq_len

    def first_batch(self) -> None:
        """Draw the sequences of the first step. Raises DataError if there are too few tokens."""
        next(self._micro_batches(0))

    def sequences(self, step: int) -> Batch:
        """The sequences of this step, over all processes."""
        settings = self.settings.training
        sequences = settings.batch_size * settings.gradient_accumulation_steps
        return self.batches.take(
            BatchRequest(settings.seed, step, sequences, self.settings.model.max_seq_len, self.settings.data.weights)
        )

    def _micro_batches(self, step: int) -> "Iterator[_MicroBatch]":
        """The micro-batches of this step in this process."""
        settings, drawn = self.settings.training, self.sequences(step)
        sequences = len(drawn.ids)
        own = self._group.part_of(sequences)
        ids = self._to_device(drawn.ids[own]).split(settings.batch_size)
        if drawn.counted is None:
            for index, part in enumerate(ids, 1):
                yield _MicroBatch((part[:, :-1], part[:, 1:]), sequences / len(part), index == len(ids))
            return
        total = int(drawn.counted.sum())
        masks = drawn.counted[own].split(settings.batch_size)
        for index, (part, mask) in enumerate(zip(ids, masks, strict=True), 1):
            count = int(mask.sum())
            tensors = (part[:, :-1], part[:, 1:], mask)
            yield _MicroBatch(tensors, total / count if count else 1.0, index == len(ids), count > 0)

    def _to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        """Move a tensor to the device; asynchronously from pinned memory."""
        return tensor.to(self._compute.device, non_blocking=True)


def fitting(update: Updater, device: str, action: Callable[[], _T], halving: Callable[[Settings], object]) -> _T:
    """Run `action`; if memory runs out, repeat it with smaller micro-batches, down to one sequence.

    `halving` is called with the new settings each time.
    """
    while True:
        try:
            return action()
        except (MemoryError, RuntimeError) as error:
            smaller = halved(update.settings) if memory.ran_out(error) else None
            if smaller is None:
                raise
        # here the exception is gone, and with it the tensors in its frames
        update.forget()
        update.model.train()
        memory.free(device)
        update.settings = smaller
        halving(smaller)


def halved(settings: Settings) -> Settings | None:
    """The same steps with smaller micro-batches: half the size and twice as many, or the nearest divisor.

    None if a micro-batch is a single sequence already.
    """
    training = settings.training
    sequences = training.batch_size * training.gradient_accumulation_steps
    sizes = [size for size in range(1, training.batch_size // 2 + 1) if sequences % size == 0]
    if not sizes:
        return None
    smaller = {"training.batch_size": sizes[-1], "training.gradient_accumulation_steps": sequences // sizes[-1]}
    return settings.replaced(smaller)


def smaller_batch_notice(smaller: Settings, step: int) -> Notice:
    """The notice that micro-batches are smaller from this step on."""
    training = smaller.training
    text = _("Memory ran out at step {step}: a step is now computed in {count} micro-batches of {size} sequences; the "
             "result is the same.")  # fmt: skip
    count = number(training.gradient_accumulation_steps)
    return Notice(text.format(step=number(step), size=number(training.batch_size), count=count), "warning")


def _seed_dropout(device: str, seed: int) -> None:
    """Seed the one generator that dropout uses.

    `torch.manual_seed` seeds those of every kind of device, and formats the whole call stack for each missing one:
    half a millisecond per micro-batch, and many times that on Windows.
    """
    if device == "cuda":
        torch.cuda.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def _seed_of(seed: int, step: int, micro_batch: int) -> int:
    """A seed for dropout that depends on these three values only."""
    return int(np.random.SeedSequence([seed, step, micro_batch]).generate_state(1, np.uint64)[0] >> np.uint64(1))

"""One step of a training run: the gradients of its micro-batches, added up, then the optimizer's update."""

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
    """What the gradients of a step are like: `loss` in nats per token, `norm` of all gradients before clipping.

    `learned`: some targets of the step count, else its loss says nothing. `is_number`: the weights may be changed.
    """

    loss: float
    norm: float
    learned: bool
    is_number: bool

    @property
    def to_judge(self) -> float | None:
        """The loss as `Recovery.judge` wants it."""
        summary = self.loss if self.is_number else math.nan
        return summary if self.learned else None


class PendingGradients:
    """The gradients of a step, on their way: a graphics card computes them beside this program.

    `read` waits for them. `fine` is true, on the device, where the weights may be changed by them.
    """

    def __init__(
        self, figures: torch.Tensor, learned: bool = True, usual: bool = False, group: ProcessGroup = ALONE
    ) -> None:
        """`figures`: losses of micro-batches, which add up to the step's over all processes, and the gradients' norm.

        `usual`: an infinite gradient is no trouble.
        """
        self.fine = (figures[:-1] if usual else figures).isfinite().all()
        self._learned, self._usual, self._group = learned, usual, group
        self._there: torch.cuda.Event | None = None
        if figures.device.type == "cuda":  # what is asked of the card later is not waited for
            self._figures = torch.empty(figures.shape, dtype=figures.dtype, pin_memory=True)
            self._figures.copy_(figures, non_blocking=True)
            self._there = torch.cuda.Event()
            self._there.record()
        else:
            self._figures = figures.clone()  # a graph writes the next step's into the same place

    def read(self) -> StepOutcome:
        """What they are like. Every process must call it."""
        if self._there is not None:
            self._there.synchronize()
        here = torch.stack([self._figures[:-1].sum() / self._group.count,
                            torch.tensor(float(self._learned), dtype=torch.float64)])  # fmt: skip
        (loss, learning), norm = self._group.sum_of(here).tolist(), self._figures[-1].item()
        finite = np.isfinite(loss) and (self._usual or np.isfinite(norm))
        return StepOutcome(loss, norm, learning > 0, bool(finite))


@dataclass(frozen=True)
class _MicroBatch:
    """Inputs (B, T), targets (one token further) and, where only answers count, which targets do.

    Its mean loss, divided by `parts`, is its part in the mean over all counted targets of the step, whatever the
    size of the micro-batches. `counts`: some of its targets do. `last`: of the step, in this process.
    """

    tensors: tuple[torch.Tensor, ...]
    parts: float
    last: bool
    counts: bool = True


class Updater:
    """Holds one model with its optimizer, and makes their updates.

    `settings` may be changed between two steps, to other micro-batches.
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
        """Changes where weights, moments and micro-batches don't lie in memory as they did."""
        training = self.settings.training
        return training.batch_size, training.gradient_accumulation_steps, self._loads

    def _new_model(self) -> Transformer:
        torch.manual_seed(self.settings.training.seed)
        return Transformer(self.settings.model, self._vocab_size)

    def restart(self) -> None:
        """Have weights and optimizer as they are at step 0."""
        self.load(self._new_model().state_dict())
        self.optimizer.state.clear()
        self._loads += 1

    def restore(self, saved: Checkpoint) -> None:
        """Have weights and optimizer as they are in a checkpoint."""
        self.load(saved.weights(self.model.state_dict()))
        optimizer.load_state_tensors(self.optimizer, self.model, saved.moments(), saved.path / OPTIMIZER)
        self._loads += 1
        if saved.state.scaler:
            self.scaler.load_state_dict(saved.state.scaler)

    def load(self, weights: dict[str, torch.Tensor]) -> None:
        """Have these weights."""
        distributed.load(self.model, weights)

    def writer(self) -> Transformer | None:
        """The model to write samples with; where each process holds a part, the first one gets a whole copy."""
        if not self._shared.sharded:
            return self.model
        weights = self.copy_of(self.model.state_dict()).wait()
        if not self._group.first:
            return None
        return build_model(self.settings.model, weights)  # which draws no random numbers

    def copies(self) -> tuple[Copy, Copy]:
        """The weights and the optimizer's state as they are now."""
        moments = optimizer.state_tensors(self.optimizer, self.model)
        return self.copy_of(self.model.state_dict()), self.copy_of(moments)

    def copy_of(self, tensors: dict[str, torch.Tensor]) -> Copy:
        """Whole tensors as they are now, of which this process may hold a part; nothing where it writes nothing."""
        made = Copy({})
        for name, tensor in tensors.items():
            whole = full_tensor(tensor)  # one at a time: together they may not fit
            if self._group.first:
                made.add(name, whole)
        return made

    def gradients(self, step: int) -> PendingGradients | None:
        """The gradients of the step after `step` steps, clipped; None when the job was stopped on the way.

        No weight changes. May be called again for the same step, with the same result. Nothing waits for the device.
        """
        settings = self.settings.training
        self.forget()
        # in float16 an infinite gradient is usual, as long as there is a scale to lower: the scaler skips that step
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
        """Clip the gradients; what `Gradients` wants to know."""
        limit = self.settings.training.gradient_clip or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        return torch.stack([*losses, full_tensor(norm)]).double()

    def whole_step(self, ids: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
        """A step on ids (sequences, length + 1) at this learning rate, all of it done by the device alone: what a graph
        can hold. The figures of its gradients. Without dropout, a scale, or several processes."""
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
        """Change the weights by the gradients, at this learning rate; not where `fine` is false, on the device."""
        self.optimizer.set_learning_rate(rate)
        self.optimizer.only_where(fine)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.forget()

    def skip(self) -> None:
        """Change no weight by these gradients."""
        if self.scaler.is_enabled():
            self.scaler.update()
        self.forget()

    def forget(self) -> None:
        """Drop the gradients."""
        self.optimizer.zero_grad()

    @property
    def tokens_per_step(self) -> int:
        """Tokens that a step learns from."""
        training = self.settings.training
        return training.batch_size * training.gradient_accumulation_steps * self.settings.model.max_seq_len

    def first_batch(self) -> None:
        """Draw what the first step will draw. Raises DataError where there are too few tokens."""
        next(self._micro_batches(0))

    def sequences(self, step: int) -> Batch:
        """What this step learns from, in all processes."""
        settings = self.settings.training
        sequences = settings.batch_size * settings.gradient_accumulation_steps
        return self.batches.take(
            BatchRequest(settings.seed, step, sequences, self.settings.model.max_seq_len, self.settings.data.weights)
        )

    def _micro_batches(self, step: int) -> "Iterator[_MicroBatch]":
        """What this step learns from here."""
        settings, drawn = self.settings.training, self.sequences(step)
        sequences = len(drawn.ids)
        own = self._group.part_of(sequences)
        ids = self._there(drawn.ids[own]).split(settings.batch_size)
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

    def _there(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor on the device that computes; from pinned memory it comes while others are computed."""
        return tensor.to(self._compute.device, non_blocking=True)


def fitting(update: Updater, device: str, action: Callable[[], _T], halving: Callable[[Settings], object]) -> _T:
    """Do `action`; where memory runs out, again with smaller micro-batches, down to one sequence.

    `halving` is told the settings that hold from now on.
    """
    while True:
        try:
            return action()
        except (MemoryError, RuntimeError) as error:
            smaller = halved(update.settings) if memory.ran_out(error) else None
            if smaller is None:
                raise
        # here the error is gone, and with it what its frames held
        update.forget()
        update.model.train()
        memory.free(device)
        update.settings = smaller
        halving(smaller)


def halved(settings: Settings) -> Settings | None:
    """The same steps in smaller micro-batches: half the size and twice as many, or as near as divides them.

    None where a micro-batch is one sequence already.
    """
    training = settings.training
    sequences = training.batch_size * training.gradient_accumulation_steps
    sizes = [size for size in range(1, training.batch_size // 2 + 1) if sequences % size == 0]
    if not sizes:
        return None
    smaller = {"training.batch_size": sizes[-1], "training.gradient_accumulation_steps": sequences // sizes[-1]}
    return settings.replaced(smaller)


def smaller_batch_notice(smaller: Settings, step: int) -> Notice:
    """Says that from this step on micro-batches are smaller."""
    training = smaller.training
    text = _("Memory ran out at step {step}: steps are now done in {count} parts of {size} sequences; what is "
             "learned stays the same.")  # fmt: skip
    count = number(training.gradient_accumulation_steps)
    return Notice(text.format(step=number(step), size=number(training.batch_size), count=count), "warning")


def _seed_dropout(device: str, seed: int) -> None:
    """Seed the one generator that dropout draws from.

    `torch.manual_seed` seeds those of every kind of device, and for each that isn't there it formats the whole stack:
    half a millisecond for each micro-batch, on Windows many times that.
    """
    if device == "cuda":
        torch.cuda.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def _seed_of(seed: int, step: int, micro_batch: int) -> int:
    """A seed for dropout that depends on nothing but these three."""
    return int(np.random.SeedSequence([seed, step, micro_batch]).generate_state(1, np.uint64)[0] >> np.uint64(1))

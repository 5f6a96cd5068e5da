"""Running a whole training step as one CUDA graph.

A step of a small model is about a thousand operations of a few microseconds each, and the processor can't launch them
as fast as the graphics card executes them. A graph holds all of them with the memory that they read and write, and
replaying it is one call. It is recorded again when the optimizer's state moves in memory or the micro-batches change.

A graph is used only after a check: one step is done with and without it, and the results are compared. The outcome is
remembered on disk, so that a driver that can't do it is tried only once, even if it crashes the program.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from llm_studio import files, records
from llm_studio.device import Compute
from llm_studio.errors import StorageError
from llm_studio.model.cost import flops_per_token
from llm_studio.paths import data_folder
from llm_studio.training import memory
from llm_studio.training.optim import optimizer
from llm_studio.training.step import PendingGradients, Updater

WARM = 3
"""Steps run before a graph is recorded: by then the optimizer's state exists and the libraries' kernels are chosen."""
LARGEST = 2e12
"""From this many operations (FLOPs) per step, launching is negligible compared to computing: no graph is used."""
_FIGURES = 0.02
_MAX_DIFFERENCE = 0.05
"""Largest relative difference between the two results, which are summed in a different order."""
_UNKNOWN, _TRYING, _WORKS, _FAILS = "", "trying", "works", "fails"


class Recorder(Protocol):
    """Records graphs."""

    def warm(self, action: Callable[[], Tensor]) -> Tensor:
        """Run `action` once, as required before it is recorded, and return its result."""
        ...

    def record(self, action: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        """Record `action` without running it.

        Returns a function that replays it, and the tensor that holds its result after each replay.
        """
        ...


class Card:
    """Records CUDA graphs on the graphics card."""

    def warm(self, action: Callable[[], Tensor]) -> Tensor:
        """Run on a side stream, as graphs are recorded on one."""
        beside, here = torch.cuda.Stream(), torch.cuda.current_stream()
        beside.wait_stream(here)
        with torch.cuda.stream(beside):
            result = action()
        here.wait_stream(beside)
        return result

    def record(self, action: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        """Record while other threads may keep using the card."""
        graph, pool, here = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                result = action()
        except BaseException:
            _end_recording(pool, here)
            raise
        return graph.replay, result


def _end_recording(pool: tuple[int, int], stream: torch.cuda.Stream) -> None:
    """Clean up after a recording that failed at its end: torch would leave its allocator in recording mode, in which it
    frees nothing, and the thread on the stream of the recording."""
    torch.cuda.set_stream(stream)
    with contextlib.suppress(RuntimeError):  # already ended
        torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), pool)  # pyright: ignore[reportPrivateUsage]
        torch._C._cuda_releasePool(torch.cuda.current_device(), pool)  # pyright: ignore[reportPrivateUsage]


@dataclass
class _Graph:
    """A recorded step: reads `ids` and `rate`, writes `figures`. `memory_key`: `Updater.memory` at its recording."""

    replay: Callable[[], object]
    ids: Tensor
    rate: Tensor
    figures: Tensor
    memory_key: tuple[int, int, int]

    def step(self, ids: Tensor, rate: float) -> PendingGradients:
        self.ids.copy_(ids, non_blocking=True)
        self.rate.fill_(rate)
        self.replay()
        return PendingGradients(self.figures)


class GraphedSteps:
    """Runs the steps of one training run as graphs, if that works and is worthwhile."""

    def __init__(self, update: Updater, compute: Compute, recorder: Recorder | None = None) -> None:
        self._update, self._compute = update, compute
        self._recorder = recorder or Card()
        self._graph: _Graph | None = None
        self._waited = 0
        self._memory = data_folder() / "graphs.json"
        self._wanted = self._is_worth_it() and self._known() in (_UNKNOWN, _WORKS)

    def _is_worth_it(self) -> bool:
        settings, update = self._update.settings, self._update
        fixed = not (
            settings.model.dropout or update.batches.answers_only or settings.training.activation_checkpointing
        )
        flops = flops_per_token(settings.model, update.model.vocab_size) * update.tokens_per_step
        return settings.training.cuda_graphs and fixed and flops < LARGEST

    def step(self, step: int, rate: float) -> PendingGradients | None:
        """Do the step after `step` steps, including the update; None if it must be done without a graph."""
        if not self._wanted:
            return None
        if self._graph and self._graph.memory_key != self._update.memory:
            self._graph, self._waited = None, 0
        if self._graph:
            return self._graph.step(self._update.sequences(step).ids, rate)
        self._waited += 1
        return self._first(step, rate) if self._waited > WARM else None

    def _first(self, step: int, rate: float) -> PendingGradients | None:
        """Do the step with and without a graph and compare. If the graph fails, the eager result is kept."""
        update, device = self._update, self._compute.device
        ids, summary = update.sequences(step).ids.to(device), torch.tensor(rate, device=device)
        moments = optimizer.state_tensors(update.optimizer, update.model)
        changing = [*map(torch.Tensor.detach, update.model.parameters()), *moments.values()]
        after: list[Tensor] = []
        figures, works = None, False
        self._remember(_TRYING)
        try:
            after = before = _copies(changing)  # may run out of memory
            figures = self._recorder.warm(lambda: update.whole_step(ids, summary))
            if not figures.isfinite().all():  # the step was skipped, which proves nothing
                self._remember(_UNKNOWN)
                return PendingGradients(figures)
            after = _copies(changing)
            _copy_into(before, changing)
            replay, result = self._recorder.record(lambda: update.whole_step(ids, summary))
            replay()
            works = torch.allclose(figures, result, rtol=_FIGURES) and _changes_match(
                before, after, changing, len(moments)
            )
            self._graph = _Graph(replay, ids, summary, result, update.memory) if works else None
        except (MemoryError, RuntimeError):  # whatever the cause, continue without a graph
            self._graph = None
        update.forget()
        if after:
            _copy_into(after, changing)
        with contextlib.suppress(RuntimeError):
            memory.free(device)
        self._remember(_WORKS if works else _FAILS)
        self._wanted = works
        return None if figures is None else PendingGradients(figures)

    def _known(self) -> object:
        return records.recall_plain(self._memory).get(self._key(), _UNKNOWN)

    def _remember(self, what: str) -> None:
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            files.write_json(self._memory, records.recall_plain(self._memory) | {self._key(): what})
        except (OSError, StorageError):  # the next run tries again
            return

    def _key(self) -> str:
        """A fingerprint of everything that the outcome depends on."""
        card = torch.cuda.get_device_name() if self._compute.device == "cuda" else self._compute.device
        settings = self._update.settings
        training = settings.training
        shape = (settings.model, training.batch_size, training.gradient_accumulation_steps, training.optimizer)
        return files.fingerprint(card, torch.__version__, self._compute.precision, *map(str, shape))


def _copies(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.clone() for tensor in tensors]


def _copy_into(values: list[Tensor], tensors: list[Tensor]) -> None:
    for value, tensor in zip(values, tensors, strict=True):
        tensor.copy_(value)


def _changes_match(before: list[Tensor], eager: list[Tensor], graphed: list[Tensor], moments: int) -> bool:
    """Whether the weights and the `moments` optimizer tensors at the end of the lists changed as in the eager step."""
    kinds: dict[object, list[tuple[Tensor, Tensor, Tensor]]] = {}
    for place, (old, new, other) in enumerate(zip(before, eager, graphed, strict=True)):
        kind = "weights" if place < len(before) - moments else "counters" if new.dim() == 0 else "moments"
        kinds.setdefault(kind, []).append((old, new, other))
    return all(_change_matches(group) for group in kinds.values())


def _change_matches(group: list[tuple[Tensor, Tensor, Tensor]]) -> bool:
    """Whether the total change of the (before, eager, graph) tensors agrees in length and direction."""
    off = sum((other - new).double().square().sum() for _old, new, other in group)
    change = sum((new - old).double().square().sum() for old, new, _other in group)
    return bool(off <= _MAX_DIFFERENCE**2 * change)  # False if any value is NaN

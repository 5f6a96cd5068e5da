"""A whole step, asked of the graphics card in one call (CUDA graphs).

A small model's step is about a thousand operations of some microseconds each, and the processor can't ask for them as
fast as the card does them. A graph holds all of them, with the memory that they read and write; to replay it is one
call. So it is recorded again where the optimizer's state lies elsewhere, or a step has other micro-batches.

A graph is used only where it has shown that it does what the step does: one step is done both ways and compared.
What became of that is remembered, so that a driver which can't is asked only once, even if it takes the program down.
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
"""Steps done without a graph before one is recorded: the optimizer's state is there then, and libraries are chosen."""
LARGEST = 2e12
"""Operations of a step from which on the card takes far longer to do them than the processor to ask for them."""
_FIGURES = 0.02
_CHANGE = 0.05
"""How far the two ways may differ, as shares: the card adds up in another order each time."""
_UNKNOWN, _TRYING, _WORKS, _FAILS = "", "trying", "works", "fails"


class Recorder(Protocol):
    """What makes graphs."""

    def warm(self, action: Callable[[], Tensor]) -> Tensor:
        """Do `action`, as it has to be done once before it is recorded."""
        ...

    def record(self, action: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        """What does `action` each time it is called, and the tensor that then holds its result. Does nothing yet."""
        ...


class Card:
    """The graphics card."""

    def warm(self, action: Callable[[], Tensor]) -> Tensor:
        """On a stream beside, as graphs are recorded on one."""
        beside, here = torch.cuda.Stream(), torch.cuda.current_stream()
        beside.wait_stream(here)
        with torch.cuda.stream(beside):
            result = action()
        here.wait_stream(beside)
        return result

    def record(self, action: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        """Other threads go on using the card meanwhile."""
        graph, pool, here = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                result = action()
        except BaseException:
            _end_recording(pool, here)
            raise
        return graph.replay, result


def _end_recording(pool: tuple[int, int], stream: torch.cuda.Stream) -> None:
    """What torch leaves open where a recording fails at its end: its allocator would go on as if recording, in which
    it gives nothing back, and the thread on the stream of the recording."""
    torch.cuda.set_stream(stream)
    with contextlib.suppress(RuntimeError):  # it was ended
        torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), pool)  # pyright: ignore[reportPrivateUsage]
        torch._C._cuda_releasePool(torch.cuda.current_device(), pool)  # pyright: ignore[reportPrivateUsage]


@dataclass
class _Graph:
    """`ids` and `rate` are what it reads, `figures` what it writes; `made_for`: where the memory that it uses lies."""

    replay: Callable[[], object]
    ids: Tensor
    rate: Tensor
    figures: Tensor
    made_for: tuple[int, int, int]

    def step(self, ids: Tensor, rate: float) -> PendingGradients:
        self.ids.copy_(ids, non_blocking=True)
        self.rate.fill_(rate)
        self.replay()
        return PendingGradients(self.figures)


class GraphedSteps:
    """Does the steps of one training by graphs, where that works and is worth it."""

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
        """Do the step after `step` steps, weights and all; None: it has to be done without a graph."""
        if not self._wanted:
            return None
        if self._graph and self._graph.made_for != self._update.memory:
            self._graph, self._waited = None, 0
        if self._graph:
            return self._graph.step(self._update.sequences(step).ids, rate)
        self._waited += 1
        return self._first(step, rate) if self._waited > WARM else None

    def _first(self, step: int, rate: float) -> PendingGradients | None:
        """Do the step both ways. What the plain way made of it holds, where the other fails."""
        update, device = self._update, self._compute.device
        ids, summary = update.sequences(step).ids.to(device), torch.tensor(rate, device=device)
        moments = optimizer.state_tensors(update.optimizer, update.model)
        changing = [*map(torch.Tensor.detach, update.model.parameters()), *moments.values()]
        made_of_it: list[Tensor] = []
        figures, works = None, False
        self._remember(_TRYING)
        try:
            made_of_it = before = _copies(changing)  # for which there may be no room
            figures = self._recorder.warm(lambda: update.whole_step(ids, summary))
            if not figures.isfinite().all():  # it has changed nothing, and shows nothing
                self._remember(_UNKNOWN)
                return PendingGradients(figures)
            made_of_it = _copies(changing)
            _put(before, changing)
            replay, result = self._recorder.record(lambda: update.whole_step(ids, summary))
            replay()
            works = torch.allclose(figures, result, rtol=_FIGURES) and _alike(
                before, made_of_it, changing, len(moments)
            )
            self._graph = _Graph(replay, ids, summary, result, update.memory) if works else None
        except (MemoryError, RuntimeError):  # of whatever kind: what can't be recorded is done without
            self._graph = None
        update.forget()
        if made_of_it:
            _put(made_of_it, changing)
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
        except (OSError, StorageError):  # then it is tried again next time
            return

    def _key(self) -> str:
        """All that the answer depends on."""
        card = torch.cuda.get_device_name() if self._compute.device == "cuda" else self._compute.device
        settings = self._update.settings
        training = settings.training
        shape = (settings.model, training.batch_size, training.gradient_accumulation_steps, training.optimizer)
        return files.fingerprint(card, torch.__version__, self._compute.precision, *map(str, shape))


def _copies(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.clone() for tensor in tensors]


def _put(values: list[Tensor], tensors: list[Tensor]) -> None:
    for value, tensor in zip(values, tensors, strict=True):
        tensor.copy_(value)


def _alike(before: list[Tensor], plain: list[Tensor], found: list[Tensor], moments: int) -> bool:
    """Whether weights and, behind them, so many moments have changed as they do the plain way."""
    kinds: dict[object, list[tuple[Tensor, Tensor, Tensor]]] = {}
    for place, (old, new, other) in enumerate(zip(before, plain, found, strict=True)):
        kind = "weights" if place < len(before) - moments else "counters" if new.dim() == 0 else "moments"
        kinds.setdefault(kind, []).append((old, new, other))
    return all(_change_is_alike(group) for group in kinds.values())


def _change_is_alike(group: list[tuple[Tensor, Tensor, Tensor]]) -> bool:
    """Whether old tensors together became others as they became the new ones, in length and direction."""
    off = sum((other - new).double().square().sum() for _old, new, other in group)
    change = sum((new - old).double().square().sum() for old, new, _other in group)
    return bool(off <= _CHANGE**2 * change)  # never where one is not a number

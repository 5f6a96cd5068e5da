"""Draws the sequences of the next step while the current one is computed.

A batch is a function of the seed and the step only, independent of when and in which thread it is drawn.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from llm_studio.data.tokens import batches
from llm_studio.data.tokens.dataset import Tokens
from llm_studio.training.token_check import TokenCheck


@dataclass(frozen=True)
class BatchRequest:
    """`sequences` sequences of `length` + 1 tokens each; see `batches.draw_sequences`."""

    seed: int
    step: int
    sequences: int
    length: int
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Batch:
    """Token ids (sequences, length + 1), and a mask of the targets that count (sequences, length), or None."""

    ids: torch.Tensor
    counted: torch.Tensor | None


class BatchSource(Protocol):
    """Provides the sequences of steps."""

    answers_only: bool
    """Whether batches have a mask of the targets that count."""

    def take(self, request: BatchRequest, /) -> Batch:
        """The sequences of a step. Raises DataError if there are too few tokens or they are damaged."""
        ...


class BatchPrefetcher:
    """Provides the sequences of a step. Within its context, a thread draws those of the next step.

    There the files are also verified against their checksums, see `token_check.py`. The context must end before the
    tokens are closed. `pinned`: use page-locked memory, which a graphics card can read asynchronously.
    """

    def __init__(self, tokens: Tokens, answers_only: bool, pinned: bool) -> None:
        self.answers_only = answers_only
        self._tokens, self._pinned = tokens, pinned
        self._check = TokenCheck(tokens.files)
        self._thread: ThreadPoolExecutor | None = None
        self._next: tuple[BatchRequest, Future[Batch]] | None = None

    def __enter__(self) -> "BatchPrefetcher":
        self._check.begin()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feeder")
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
        self._check.end()
        self._thread = self._next = None

    def take(self, wanted: BatchRequest) -> Batch:
        """The sequences of a step. Raises DataError if there are too few tokens or they are damaged."""
        self._check.look()
        ready, self._next = self._next, None
        drawn = ready[1].result() if ready and ready[0] == wanted else self._draw(wanted)
        if self._thread is not None:
            following = replace(wanted, step=wanted.step + 1)
            self._next = following, self._thread.submit(self._draw, following)
        return drawn

    def _draw(self, wanted: BatchRequest) -> Batch:
        which = (self._tokens, wanted.seed, wanted.step, wanted.sequences, wanted.length, wanted.weights)
        ids = torch.from_numpy(batches.draw_sequences(*which))
        counted = torch.from_numpy(batches.draw_answer_mask(*which)) if self.answers_only else None
        if not self._pinned:
            return Batch(ids, counted)
        return Batch(ids.pin_memory(), None if counted is None else counted.pin_memory())

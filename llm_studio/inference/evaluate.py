"""The loss of a model over a long text, with at least half a context before every token but the first ones.

A model reads at most T = `max_seq_len` tokens at once. In separate windows, the tokens at the start of each would be
hard to predict, since little context is known. So the windows overlap by half:

    window 0    inputs 0 ... T - 1            all its targets are scored
    window j    inputs j T/2 ... j T/2 + T    only the targets of its last half are scored

Every token after the first one of the stream is scored exactly once. Independent of text: ids in, numbers out.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from llm_studio.model.transformer import Transformer

_BATCH_TOKENS = {"cpu": 1024, "cuda": 32_768}
"""Most tokens in a batch of windows, unless a single window has more: a batch can't be interrupted."""
_BATCH_LOGITS = 1 << 26
"""Most logits in a batch."""


class Window(NamedTuple):
    """`length` inputs from `start` on. The first `skipped` targets were scored by the window before."""

    start: int
    length: int
    skipped: int

    @property
    def targets(self) -> slice:
        """The positions in the stream of the targets that it scores."""
        return slice(self.start + self.skipped + 1, self.start + self.length + 1)


class ScoredTokens(NamedTuple):
    """The positions of targets in the stream, (N,), and their total loss in nats."""

    places: NDArray[np.int64]
    nats: float


def windows(targets: int, context: int) -> list[Window]:
    """The windows that score `targets` targets, the tokens of a stream after its first one."""
    stride = max(1, context // 2)
    later = -(-max(0, targets - context) // stride)
    return [Window(0, min(context, targets), 0)] + [
        Window(index * stride, min(context, targets - index * stride), context - stride)
        for index in range(1, later + 1)
    ]


def evenly_spread(found: Sequence[Window], limit: int) -> list[Window]:
    """A subset of the windows that scores at most `limit` targets (at least one window), evenly spaced.

    Each scores the same targets as in the full list: with at least half a context before them.
    """
    sizes = [window.length - window.skipped for window in found]
    if len(found) == 1 or sum(sizes) <= limit:
        return list(found)
    count = max(1, min(len(found), 1 + (limit - sizes[0]) // sizes[1]))
    chosen = np.linspace(0, len(found) - 1, count).round().astype(int)
    return [found[index] for index in chosen]


def score(
    model: Transformer, stream: NDArray[np.integer[Any]], chosen: Sequence[Window],
    counted: NDArray[np.bool_] | None = None,
) -> Iterator[ScoredTokens]:  # fmt: skip
    """Yield the scores of batches of windows. `counted` (like the stream): a mask of the targets that count, or all."""
    device = model.head_weight.device
    for (length, skipped), alike in itertools.groupby(chosen, key=lambda window: (window.length, window.skipped)):
        by_tokens = _BATCH_TOKENS.get(device.type, _BATCH_TOKENS["cpu"]) // length
        by_logits = _BATCH_LOGITS // ((length - skipped) * model.vocab_size)
        rest, size = list(alike), max(1, min(by_tokens, by_logits))
        for batch in (rest[first : first + size] for first in range(0, len(rest), size)):
            places = np.array([window.start for window in batch])[:, None] + np.arange(length + 1)  # (B, T + 1)
            mask = np.zeros((len(batch), length), dtype=np.bool_)
            mask[:, skipped:] = True if counted is None else counted[places[:, skipped + 1 :]]
            ids = torch.from_numpy(stream[places].astype(np.int64)).to(device)
            nats = _summed_loss(model, ids, torch.from_numpy(mask))
            yield ScoredTokens(places[:, 1:][mask], nats)


@torch.inference_mode()
def _summed_loss(model: Transformer, ids: torch.Tensor, mask: torch.Tensor) -> float:
    return model.loss(ids[:, :-1], ids[:, 1:], mask).item() * int(mask.sum())

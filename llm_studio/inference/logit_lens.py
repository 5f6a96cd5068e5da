"""The logit lens: what a model would predict from the state of an earlier layer (nostalgebraist 2020).

    logits of layer l = final_norm(residual[l]) W^T

At the last layer these are the model's own logits. All of them would take much memory (7 states x 512 tokens x 32,000
logits are 460 MB), so they are computed in chunks, and only a few figures of each are kept.

Axes: S streams (layers), T tokens, N rows (streams x tokens), k kept tokens, V vocabulary.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_studio.inference.generate import threads_for
from llm_studio.inference.trace import Check, Trace, never
from llm_studio.model.transformer import Transformer

KEPT = 20
"""Number of most likely tokens that are kept of each prediction."""
NO_TARGET = -1
"""The id of an unknown target, as after the last token of a text."""
_CHUNK_LOGITS = 1 << 22
_MIN_ROWS = 64
"""A chunk has `_CHUNK_LOGITS` logits, but at least this many rows, so that its matrix product is fast."""


@dataclass(frozen=True)
class Predictions:
    """Figures of predictions, one for each hidden state: their shape begins with that of these states."""

    tokens: Tensor
    """(..., k), int64: the most likely tokens, most likely first."""
    probabilities: Tensor
    """(..., k), float32: their probabilities."""
    entropy: Tensor
    """float32: the uncertainty in bits, from 0 to log2(V)."""
    surprise: Tensor
    """float32: -log2 of the target's probability, in bits; NaN without a target."""
    rank: Tensor
    """int32: the target's rank among all tokens, 1 for the most likely; 0 without a target."""

    @property
    def target_probability(self) -> Tensor:
        """The probability of the target, NaN without one."""
        return torch.exp2(-self.surprise)

    def rows(self, chunk: slice) -> "Predictions":
        """A view of some rows."""
        return Predictions(
            self.tokens[chunk], self.probabilities[chunk], self.entropy[chunk], self.surprise[chunk], self.rank[chunk]
        )

    def unflatten(self, shape: tuple[int, ...]) -> "Predictions":
        """The figures of N rows in another shape of N elements."""
        return Predictions(
            self.tokens.unflatten(0, shape), self.probabilities.unflatten(0, shape), self.entropy.view(shape),
            self.surprise.view(shape), self.rank.view(shape),
        )  # fmt: skip


def _rows(model: Transformer, count: int) -> int:
    """Of `count` rows, those of a chunk."""
    return min(count, max(_MIN_ROWS, _CHUNK_LOGITS // model.vocab_size))


def chunks_of(trace: Trace) -> int:
    """In how many chunks `lens` computes, that is, how often it calls its check."""
    count = len(trace.residual) * len(trace)
    return math.ceil(count / _rows(trace.model, count))


@torch.inference_mode()
def predict(model: Transformer, hidden: Tensor, targets: Tensor, kept: int = KEPT, check: Check = never) -> Predictions:
    """The predictions of `model` from normalised hidden states (N, D), evaluated on the `targets` (N,)."""
    count, kept = len(hidden), min(kept, model.vocab_size)
    found = Predictions(
        tokens=torch.empty(count, kept, dtype=torch.int64, device=hidden.device),
        probabilities=torch.empty(count, kept, device=hidden.device),
        entropy=torch.empty(count, device=hidden.device),
        surprise=torch.empty(count, device=hidden.device),
        rank=torch.empty(count, dtype=torch.int32, device=hidden.device),
    )
    rows = _rows(model, count)
    # allocated once: with new buffers for each chunk, the process would grow by far more than a chunk
    buffers = hidden.new_empty(2, rows, model.vocab_size)
    with threads_for(model.head_weight.numel() * count):
        for start in range(0, count, max(rows, 1)):
            check()
            chunk = slice(start, min(start + rows, count))
            logits, probabilities = buffers[:, : chunk.stop - start]  # (rows, V) each
            torch.mm(hidden[chunk], model.head_weight.t(), out=logits)
            _figures(logits, probabilities, targets[chunk], found.rows(chunk))
    return found


def lens(trace: Trace, targets: Tensor, kept: int = KEPT, check: Check = never) -> Predictions:
    """The predictions (L + 1, T) of the residual stream at each layer for `targets` (T,): the logit lens."""
    with torch.inference_mode():
        hidden = trace.model.final_norm(trace.residual).flatten(0, 1)  # (N, D)
    found = predict(trace.model, hidden, targets.repeat(len(trace.residual)), kept, check)
    return found.unflatten((len(trace.residual), len(trace)))


def _figures(logits: Tensor, probabilities: Tensor, targets: Tensor, found: Predictions) -> None:
    """Write the figures of a chunk of logits (N, V) into `found`; `probabilities` is a buffer of the same shape."""
    torch.softmax(logits, dim=-1, out=probabilities)
    top = probabilities.topk(found.tokens.shape[1])
    # log(sum(exp(logits))) = max(logits) - log(max(probabilities)); the latter is at least 1/V, so its log is finite.
    log_sum = logits.gather(1, top.indices[:, :1])[:, 0] - top.values[:, 0].log()
    # entropy = -sum(p log p) = log_sum - sum(p logits)
    mean_logit = torch.bmm(probabilities[:, None], logits[:, :, None])[:, 0, 0]
    unknown = targets == NO_TARGET
    of_target = logits.gather(1, targets.clamp(min=0)[:, None])  # (N, 1)
    surprise = (log_sum - of_target[:, 0]) / math.log(2)
    higher = torch.gt(logits, of_target, out=probabilities).sum(dim=-1)  # summing floats is faster than booleans
    found.tokens.copy_(top.indices)
    found.probabilities.copy_(top.values)
    found.entropy.copy_(((log_sum - mean_logit) / math.log(2)).clamp(min=0))
    found.surprise.copy_(surprise.clamp(min=0).masked_fill(unknown, math.nan))
    found.rank.copy_((higher + 1).masked_fill(unknown, 0))

"""Probabilities of single tokens, before and after sampling stages. Ids in, numbers out."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from llm_studio.config import GenerationSettings
from llm_studio.inference.evaluate import windows
from llm_studio.inference.generate import threads_for
from llm_studio.inference.sampling import stages
from llm_studio.model.transformer import Transformer

_CHUNK = 64
"""Number of positions whose logits are held at a time."""


class TokenProb(NamedTuple):
    """A token and its probability."""

    token: int
    probability: float


class ScoredToken(NamedTuple):
    """The model's probability of a token, and the most likely tokens at that position."""

    probability: float
    best: list[TokenProb]


def most_likely(logits: Tensor, token: int, count: int) -> ScoredToken:
    """The model's probability of `token`, and its `count` most likely tokens, from its logits (V,)."""
    return _scored(logits[None], torch.tensor([token], device=logits.device), count)[0]


def _scored(logits: Tensor, tokens: Tensor, count: int) -> list[ScoredToken]:
    """Score each of `tokens` (T,) by the logits (T, V) at its position."""
    probs = logits.float().softmax(dim=-1)
    best = probs.topk(min(count, probs.shape[-1]))
    rows = zip(
        probs.gather(1, tokens[:, None])[:, 0].tolist(), best.indices.tolist(), best.values.tolist(), strict=True
    )
    return [ScoredToken(own, [*map(TokenProb, ids, values)]) for own, ids, values in rows]


class CandidateStages(NamedTuple):
    """A candidate for the next token: its probability at each stage of sampling, 0 from the stage that removes it.

    `removed_at`: the index of that stage, None if the token can be sampled.
    """

    token: int
    probs: tuple[float, ...]
    removed_at: int | None


class CandidateTable(NamedTuple):
    """Candidates for the next token, and how many of all tokens are `kept` at each stage, named in `stages`."""

    stages: tuple[str, ...]
    kept: tuple[int, ...]
    rows: list[CandidateStages]


def candidate_table(
    logits: Tensor, context: Sequence[int], settings: GenerationSettings, count: int, also: Sequence[int] = ()
) -> CandidateTable:
    """The first `count` candidates for the token after `context`; then those of `also` that aren't among them.

    Tokens that can be sampled come first, by sampling probability; removed ones follow, by the model's probability.
    """
    found = list(stages(logits, context, settings))
    after = torch.stack([stage.logits for stage in found])  # (S, V)
    probs, left = after.softmax(dim=-1), after > -torch.inf
    # A probability is at most 1, so adding 2 puts every token that can be sampled before every removed one.
    order = torch.where(left[-1], probs[-1] + 2, probs[0]).topk(min(count, len(logits))).indices.tolist()
    order += [token for token in also if token not in order]
    stages_kept = left[:, order].sum(dim=0).tolist()  # a token that is removed never comes back
    rows = [
        CandidateStages(token, tuple(row), None if kept == len(found) else kept)
        for token, row, kept in zip(order, probs[:, order].T.tolist(), stages_kept, strict=True)
    ]
    return CandidateTable(tuple(stage.sampler for stage in found), tuple(left.sum(dim=-1).tolist()), rows)


def score_text(model: Transformer, ids: Sequence[int], first: int, count: int = 0) -> list[ScoredToken]:
    """Score each of `ids` given the preceding ones, with `first` before them, and the `count` most likely tokens.

    A text longer than the context is read in windows that overlap by half, see `evaluate.py`. The model is in eval
    mode.
    """
    if not ids:
        return []
    found = _score(model, [first, ids[0]], 0, count)
    for window in windows(len(ids) - 1, model.settings.max_seq_len) if len(ids) > 1 else ():
        found += _score(model, ids[window.start : window.start + window.length + 1], window.skipped, count)
    return found


@torch.inference_mode()
def _score(model: Transformer, ids: Sequence[int], skipped: int, count: int) -> list[ScoredToken]:
    """Score all `ids` except the first `skipped` + 1 in one pass, holding a few logits at a time."""
    tokens = torch.tensor(list(ids), device=model.head_weight.device)
    found: list[ScoredToken] = []
    with threads_for(model.parameter_count() * len(ids)):
        hidden = model.hidden(tokens[None, :-1])[0]  # (T, D)
        for at, targets in zip(hidden[skipped:].split(_CHUNK), tokens[skipped + 1 :].split(_CHUNK), strict=True):
            found += _scored(model.logits(at), targets, count)
    return found

"""Probabilities of single tokens, as the model gives them and after the samplers. Ids in, numbers out."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from llm_studio.config import GenerationSettings
from llm_studio.inference.sampling import distribution


class TokenProb(NamedTuple):
    """A token and its probability."""

    token: int
    probability: float


def most_likely(logits: Tensor, token: int, count: int) -> tuple[float, list[TokenProb]]:
    """The model's probability of `token`, and its `count` most likely tokens, from its logits (V,)."""
    probabilities = logits.softmax(dim=-1)
    best = probabilities.topk(min(count, len(probabilities)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return float(probabilities[token]), [TokenProb(index, value) for index, value in pairs]


class TokenProbabilities(NamedTuple):
    """A candidate for the next token: the model's probability, and the one it is sampled with, 0 if it is removed."""

    token: int
    model_prob: float
    sampling_prob: float


def token_probabilities(
    logits: Tensor, context: Sequence[int], settings: GenerationSettings, count: int
) -> tuple[list[TokenProbabilities], int]:
    """The first `count` candidates for the token after `context`, and the number of all that can be sampled.

    Those come first, by sampling probability; removed ones follow, by the model's probability.
    """
    sampling_probs = distribution(logits, context, settings)
    model_probs = logits.softmax(dim=-1)
    # A probability is at most 1, so adding 2 puts every token that can be sampled before every removed one.
    order = torch.where(sampling_probs > 0, sampling_probs + 2, model_probs).topk(min(count, len(logits))).indices
    rows = zip(order.tolist(), model_probs[order].tolist(), sampling_probs[order].tolist(), strict=True)
    return [TokenProbabilities(*row) for row in rows], int((sampling_probs > 0).sum())

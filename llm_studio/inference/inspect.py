"""Looking at what a model thinks: probabilities of single tokens, before and after the sampler. Ids in, numbers out."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor

from llm_studio.config import GenerationSettings
from llm_studio.inference.sampling import distribution


def no_gradients() -> AbstractContextManager[object]:
    """In this, a model only reads. Grad mode belongs to the thread."""
    return torch.inference_mode()


class TokenProb(NamedTuple):
    """A token and a probability."""

    token: int
    probability: float


def most_likely(logits: Tensor, token: int, count: int) -> tuple[float, list[TokenProb]]:
    """The model's own probability of `token`, and the `count` likeliest tokens, from its logits (V,)."""
    own = logits.softmax(dim=-1)
    best = own.topk(min(count, len(own)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return float(own[token]), [TokenProb(index, value) for index, value in pairs]


class TokenProbabilities(NamedTuple):
    """One token that might follow: the model's own probability, and the one under the sampler, 0 where it is cut."""

    token: int
    model_prob: float
    sampling_prob: float


def choices(
    logits: Tensor, previous: Sequence[int], settings: GenerationSettings, count: int
) -> tuple[list[TokenProbabilities], int]:
    """The `count` first of the tokens that might follow, and how many the sampler keeps in all.

    Kept ones come first, by their probability under the sampler; cut ones follow, by the model's own.
    """
    drawn = distribution(logits, previous, settings)
    own = logits.softmax(dim=-1)
    # a probability is at most 1, so 2 puts every kept token before every cut one
    order = torch.where(drawn > 0, drawn + 2, own).topk(min(count, len(own))).indices
    rows = zip(order.tolist(), own[order].tolist(), drawn[order].tolist(), strict=True)
    return [TokenProbabilities(*row) for row in rows], int((drawn > 0).sum())

"""Choosing the next token from the scores of all tokens.

    repetition penalty -> temperature -> top-k -> top-p -> min-p -> softmax -> draw

Each filter is a small function on logits (V,); a token it removes gets minus infinity.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from llm_studio.config import GenerationSettings


def distribution(logits: Tensor, previous: Sequence[int], settings: GenerationSettings) -> Tensor:
    """The probabilities (V,) of the next token, after the tokens `previous`. Temperature 0: all on the likeliest."""
    logits = repetition_penalty(logits.float(), previous, settings.repetition_penalty)
    if settings.temperature == 0:
        return torch.zeros_like(logits).index_fill_(0, logits.argmax(), 1.0)
    logits = temperature(logits, settings.temperature)
    logits = top_k(logits, settings.top_k)
    logits = top_p(logits, settings.top_p)
    logits = min_p(logits, settings.min_p)
    return logits.softmax(dim=-1)


def draw(probabilities: Tensor, generator: torch.Generator) -> int:
    """One token, by chance, in proportion to its probability."""
    return int(torch.multinomial(probabilities, 1, generator=generator))


def make_generator(seed: int | None, device: torch.device | str = "cpu") -> torch.Generator:
    """A source of chance of one's own, torch's global one untouched. Without a seed, another each time."""
    generator = torch.Generator(device=device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator


def repetition_penalty(logits: Tensor, previous: Sequence[int], penalty: float) -> Tensor:
    """Divide the positive logits of tokens already there, multiply the negative ones (Keskar et al. 2019, "CTRL")."""
    if penalty == 1 or not previous:
        return logits
    seen = torch.tensor(sorted(set(previous)), device=logits.device)
    scores = logits[seen]
    return logits.index_copy(0, seen, torch.where(scores > 0, scores / penalty, scores * penalty))


def temperature(logits: Tensor, value: float) -> Tensor:
    """Divide: below 1 the likeliest tokens gain, above 1 the others do. The largest becomes 0."""
    # Subtracted first, the largest can't overflow under a tiny temperature; a softmax doesn't mind.
    return (logits - logits.max()) / value


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k likeliest tokens (Fan et al. 2018); 0 keeps all."""
    if k == 0 or k >= len(logits):
        return logits
    best = logits.topk(k)
    return torch.full_like(logits, -math.inf).index_copy_(0, best.indices, best.values)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest likeliest tokens whose probabilities reach p (Holtzman et al. 2020, "nucleus sampling")."""
    if p >= 1:
        return logits
    ordered, indices = logits.sort(descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1)
    reached_before = probabilities.cumsum(dim=-1) - probabilities  # by the likelier tokens alone; 0 for the first
    return logits.index_fill(0, indices[reached_before >= p], -math.inf)


def min_p(logits: Tensor, share: float) -> Tensor:
    """Keep the tokens at least `share` times as likely as the likeliest (Nguyen et al. 2024)."""
    if share == 0:
        return logits
    return logits.masked_fill(logits < logits.max() + math.log(share), -math.inf)

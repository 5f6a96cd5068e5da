"""Sampling the next token from the logits of all tokens.

    penalties -> temperature -> top-k -> top-p -> min-p -> softmax -> draw

Each sampler is a small function on logits (V,) that reads one setting; a token it removes gets minus infinity. A new
one is a function here, listed in `PENALTIES` or `FILTERS`, and a setting of `GenerationSettings` with the same name.
`stages` applies them one after the other: `distribution` uses the last stage, the table of candidates shows all.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from llm_studio.config import GenerationSettings


def repetition_penalty(logits: Tensor, context: Sequence[int], penalty: float) -> Tensor:
    """Divide the positive logits of the context's tokens, multiply the negative ones (Keskar et al. 2019, "CTRL")."""
    if penalty == 1 or not context:
        return logits
    seen = torch.tensor(sorted(set(context)), device=logits.device)
    scores = logits[seen]
    return logits.index_copy(0, seen, torch.where(scores > 0, scores / penalty, scores * penalty))


def temperature(logits: Tensor, value: float) -> Tensor:
    """Divide the logits: below 1 the most likely tokens gain, above 1 the others do. The largest logit becomes 0.

    0 is greedy: it keeps only the most likely token.
    """
    if value == 0:
        return torch.full_like(logits, -math.inf).index_fill_(0, logits.argmax(), 0.0)
    # subtract the maximum first, so that a tiny temperature can't overflow; the probabilities are the same
    return (logits - logits.max()) / value


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k most likely tokens (Fan et al. 2018); 0 keeps all."""
    if k == 0 or k >= len(logits):
        return logits
    best = logits.topk(k)
    return torch.full_like(logits, -math.inf).index_copy_(0, best.indices, best.values)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of most likely tokens with a total probability of p (Holtzman et al. 2020, "nucleus")."""
    if p >= 1:
        return logits
    ordered, indices = logits.sort(descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1)
    reached_before = probabilities.cumsum(dim=-1) - probabilities  # total of the more likely tokens; 0 for the first
    return logits.index_fill(0, indices[reached_before >= p], -math.inf)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Keep the tokens at least p times as likely as the most likely one (Nguyen et al. 2024); 0 keeps all."""
    if p == 0:
        return logits
    return logits.masked_fill(logits < logits.max() + math.log(p), -math.inf)


PENALTIES: dict[str, Callable[[Tensor, Sequence[int], Any], Tensor]] = {"repetition_penalty": repetition_penalty}
"""Samplers that depend on the tokens of the context, by setting."""
FILTERS: dict[str, Callable[[Tensor, Any], Tensor]] = {
    "temperature": temperature,
    "top_k": top_k,
    "top_p": top_p,
    "min_p": min_p,
}
"""Samplers that depend on the logits alone, by setting and in this order."""
MODEL = "model"
"""The stage before all samplers."""


class Stage(NamedTuple):
    """The logits (V,), float32, after the named sampler and those before it."""

    sampler: str
    logits: Tensor


def stages(logits: Tensor, context: Sequence[int], settings: GenerationSettings) -> Iterator[Stage]:
    """Yield the model's logits (V,) of the token after `context`, then the result of each sampler, in order."""
    logits = logits.float()
    yield Stage(MODEL, logits)
    for setting, penalize in PENALTIES.items():
        logits = penalize(logits, context, getattr(settings, setting))
        yield Stage(setting, logits)
    for setting, apply in FILTERS.items():
        if setting == "temperature" or settings.temperature > 0:  # greedy leaves nothing to filter
            logits = apply(logits, getattr(settings, setting))
        yield Stage(setting, logits)


def distribution(logits: Tensor, context: Sequence[int], settings: GenerationSettings) -> Tensor:
    """The probabilities (V,) of the token after `context`: those of the last stage."""
    *_before, last = stages(logits, context, settings)
    return last.logits.softmax(dim=-1)


def draw(probabilities: Tensor, generator: torch.Generator) -> int:
    """Sample a token with these probabilities."""
    return int(torch.multinomial(probabilities, 1, generator=generator))


def make_generator(seed: int | None, device: torch.device | str = "cpu") -> torch.Generator:
    """A new random generator, independent of torch's global one; without a seed, it is seeded randomly."""
    generator = torch.Generator(device=device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator

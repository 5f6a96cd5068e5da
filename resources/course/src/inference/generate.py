"""Text generation, token by token.

    penalty -> temperature -> top-k -> top-p -> min-p -> softmax -> draw

Each sampler is a small function on logits (V,): a token that it removes gets minus infinity.
"""

import math
from collections.abc import Collection, Iterator

import torch
from torch import Tensor

from src.model.attention import KeyValueCache
from src.model.transformer import Transformer


def repetition_penalty(logits: Tensor, context: list[int], penalty: float) -> Tensor:
    """Make the tokens of the context less likely (Keskar et al. 2019)."""
    if penalty == 1:
        return logits
    seen = torch.tensor(sorted(set(context)), device=logits.device)
    scores = logits[seen]
    return logits.index_copy(0, seen, torch.where(scores > 0, scores / penalty, scores * penalty))


def temperature(logits: Tensor, value: float) -> Tensor:
    """Below 1 the most likely tokens gain, above 1 the others do. 0 keeps only the most likely one."""
    if value == 0:
        return torch.full_like(logits, -math.inf).index_fill_(0, logits.argmax(), 0.0)
    return (logits - logits.max()) / value


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k most likely tokens; 0 keeps all."""
    if k == 0 or k >= len(logits):
        return logits
    best = logits.topk(k)
    return torch.full_like(logits, -math.inf).index_copy_(0, best.indices, best.values)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest most likely tokens whose probabilities reach p (Holtzman et al. 2020)."""
    if p >= 1:
        return logits
    ordered, indices = logits.sort(descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1)
    reached_before = probabilities.cumsum(dim=-1) - probabilities
    return logits.index_fill(0, indices[reached_before >= p], -math.inf)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Keep the tokens at least p times as likely as the most likely one; 0 keeps all."""
    if p == 0:
        return logits
    return logits.masked_fill(logits < logits.max() + math.log(p), -math.inf)


def distribution(logits: Tensor, context: list[int], sampling) -> Tensor:
    """The probabilities (V,) of the next token, with the settings under `generation` in config/config.yaml."""
    logits = repetition_penalty(logits, context, sampling.repetition_penalty)
    logits = temperature(logits, sampling.temperature)
    if sampling.temperature > 0:
        logits = min_p(top_p(top_k(logits, sampling.top_k), sampling.top_p), sampling.min_p)
    return logits.softmax(dim=-1)


@torch.inference_mode()
def generate(model: Transformer, prompt: list[int], sampling, stop: Collection[int] = ()) -> Iterator[int]:
    """The tokens that follow `prompt`, each as soon as it is drawn, up to one of `stop`.

    A model sees at most `max_seq_len` tokens. When its context is full, the last half of it is read again as a new one,
    and what came before is forgotten.
    """
    model.eval()
    device = next(model.parameters()).device
    generator = torch.Generator(device=device)
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    length, cache, context = model.config.max_seq_len, KeyValueCache(), []
    new = prompt[-length:]
    for _ in range(sampling.max_tokens):
        if len(context) + len(new) > length:
            new = [*context, *new][-max(length // 2, 1) :]
            cache, context = KeyValueCache(), []
        logits = model(torch.tensor([new], device=device), cache)[0, -1].float()
        context += new
        probabilities = distribution(logits, context, sampling)
        token = int(torch.multinomial(probabilities, 1, generator=generator))
        if token in stop:
            return
        yield token
        new = [token]

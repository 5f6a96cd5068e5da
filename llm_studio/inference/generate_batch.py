"""Generating several texts at once: for a small model, several times as fast as one after the other.

All prompts have the same number of tokens, so that all texts fill the context at the same time; then generation
continues with the last half of each, as in `generate.py`.
"""

from collections.abc import Callable, Collection, Sequence

import torch

from llm_studio.config import GenerationSettings
from llm_studio.inference.generate import threads_for
from llm_studio.inference.sampling import distribution, draw, make_generator
from llm_studio.model.cache import KeyValueCache
from llm_studio.model.transformer import Transformer


@torch.inference_mode()
def generate_batch(
    model: Transformer, prompts: Sequence[Sequence[int]], settings: GenerationSettings, stop: Collection[int],
    check: Callable[[], None],
) -> list[list[int]]:  # fmt: skip
    """The tokens that follow each prompt, at most `settings.max_tokens`, up to the first token of `stop`.

    The model is in eval mode. `check` is called before each token, and may raise. Raises ValueError for prompts of
    different lengths, or empty ones.
    """
    if len({len(prompt) for prompt in prompts}) != 1 or not prompts[0]:  # also raised for no prompts
        raise ValueError("the prompts must have the same number of tokens, at least one")
    weight, length, first = model.head_weight, model.settings.max_seq_len, len(prompts[0])
    cache = KeyValueCache(model.settings, len(prompts), length, weight.device, weight.dtype)
    generator = make_generator(settings.seed, weight.device)
    texts, ended = [list(prompt) for prompt in prompts], [False] * len(prompts)
    new = min(first, length)
    for _count in range(settings.max_tokens):
        check()
        if cache.length + new > length:
            cache.clear()
            new = max(length // 2, 1)
        ids = torch.tensor([text[-new:] for text in texts], device=weight.device)  # (B, T)
        with threads_for(model.parameter_count() * ids.numel()):
            logits = model.logits(model.hidden(ids, cache)[:, -1]).float()  # (B, V)
        for place, text in enumerate(texts):
            token = text[-1] if ended[place] else draw(distribution(logits[place], text, settings), generator)
            ended[place] = ended[place] or token in stop
            text.append(token)
        if all(ended):
            break
        new = 1
    return [_before(text[first:], stop) for text in texts]


def _before(tokens: list[int], stop: Collection[int]) -> list[int]:
    end = next((place for place, token in enumerate(tokens) if token in stop), len(tokens))
    return tokens[:end]

"""Writing on from a beginning, token by token. Knows nothing about text: ids go in, ids come out.

A model sees at most `max_seq_len` tokens. When these are used up, the last half of them is read again as a new
beginning and writing goes on: what came before is forgotten, and the cost of reading again is paid once per half
context instead of at each token.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from llm_studio.config import GenerationSettings
from llm_studio.inference.sampling import distribution, draw, make_generator
from llm_studio.model.cache import KeyValueCache
from llm_studio.model.transformer import Transformer


class Reader:
    """A model and what it has read: `context`, of which the cache holds keys and values.

    Read with a model in eval mode; `generate` takes care of that.
    """

    def __init__(self, model: Transformer) -> None:
        weight = model.head_weight
        self.model = model
        self.length = model.settings.max_seq_len
        self.device = weight.device
        self.cache = KeyValueCache(model.settings, 1, self.length, weight.device, weight.dtype)
        self.context: list[int] = []

    def read(self, ids: Sequence[int]) -> Tensor:
        """Read `ids` (at least one) after the context; the logits (V,), float32, of the token to follow."""
        new = list(ids)
        if len(self.context) + len(new) > self.length:
            everything = self.context + new
            # A beginning longer than the context is used from its end; a context that got full keeps its last half.
            keep = self.length if not self.context else max(self.length // 2, 1)
            self.cache.clear()
            self.context, new = [], everything[-keep:]
        logits = next_token_logits(self.model, new, self.cache)
        self.context += new
        return logits


@torch.inference_mode()
def next_token_logits(model: Transformer, ids: Sequence[int], cache: KeyValueCache | None = None) -> Tensor:
    """The logits (V,), float32, of the token that follows `ids`, which come after those in `cache`."""
    new = torch.tensor([list(ids)], device=model.head_weight.device)  # (1, T)
    return model.logits(model.hidden(new, cache)[0, -1]).float()


class SampledToken(NamedTuple):
    """A token as it was drawn, and the model's own scores before the sampler: `logits` (V,), float32."""

    token: int
    logits: Tensor


def generate(
    model: Transformer, prompt: Sequence[int], settings: GenerationSettings, stop: Collection[int] = ()
) -> Iterator[int]:
    """The tokens that follow `prompt`, at most `settings.max_tokens`, each as soon as it is drawn.

    Ends before a token of `stop`, which isn't given. The model is in eval mode while a token is made and in its
    own mode in between, so that a training may ask for samples. Raises ValueError for an empty prompt.
    """
    return (drawn.token for drawn in generate_with_logits(model, prompt, settings, stop))


def generate_with_logits(
    model: Transformer, prompt: Sequence[int], settings: GenerationSettings, stop: Collection[int] = ()
) -> Iterator[SampledToken]:
    """As `generate`, each token with the scores that it was drawn from."""
    if not prompt:
        raise ValueError("the prompt is empty: generation needs at least one token to start from")
    return _tokens(model, list(prompt), settings, frozenset(stop))


def _tokens(
    model: Transformer, new: list[int], settings: GenerationSettings, stop: frozenset[int]
) -> Iterator[SampledToken]:
    reader = Reader(model)
    generator = make_generator(settings.seed, reader.device)
    for _ in range(settings.max_tokens):
        drawn = _next(reader, new, settings, generator)
        if drawn.token in stop:
            return
        yield drawn
        new = [drawn.token]


def _next(reader: Reader, new: list[int], settings: GenerationSettings, generator: torch.Generator) -> SampledToken:
    """Read `new` and draw the token after it. Grad mode belongs to the thread: it is as before when this returns."""
    was_training = reader.model.training
    reader.model.eval()
    try:
        with torch.inference_mode():
            logits = reader.read(new)
            return SampledToken(draw(distribution(logits, reader.context, settings), generator), logits)
    finally:
        reader.model.train(was_training)

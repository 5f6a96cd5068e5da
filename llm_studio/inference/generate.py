"""Autoregressive generation, token by token. Independent of text: ids in, ids out.

A model sees at most `max_seq_len` tokens. When the context is full, generation continues with its last half as a new
context: earlier tokens are forgotten, and the cost of reading is paid once per half context instead of at each token.
"""

import contextlib
from collections.abc import Collection, Generator, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from llm_studio.config import GenerationSettings
from llm_studio.inference.sampling import distribution, draw, make_generator
from llm_studio.model.cache import KeyValueCache
from llm_studio.model.transformer import Transformer

PARAMETERS_PER_THREAD = 4_000_000
"""Parameters times tokens read at once that justify one more processor thread: with less work, threads wait for each
other more than they work, and each one can be delayed by other programs."""


class Reader:
    """A model and the tokens it has read: `context`, whose keys and values are in the cache.

    The model must be in eval mode, which `generate` ensures.
    """

    def __init__(self, model: Transformer) -> None:
        weight = model.head_weight
        self.model = model
        self.length = model.settings.max_seq_len
        self.device = weight.device
        self.cache = KeyValueCache(model.settings, 1, self.length, weight.device, weight.dtype)
        self.context: list[int] = []
        self._parameters = model.parameter_count()

    def read(self, ids: Sequence[int]) -> Tensor:
        """Read `ids` (at least one) after the context and return the logits (V,), float32, of the next token."""
        new = list(ids)
        if len(self.context) + len(new) > self.length:
            everything = self.context + new
            # Of a prompt longer than the context, the end is used; of a context that became full, the last half.
            keep = self.length if not self.context else max(self.length // 2, 1)
            self.cache.clear()
            self.context, new = [], everything[-keep:]
        with threads_for(self._parameters * len(new)):
            logits = next_token_logits(self.model, new, self.cache)
        self.context += new
        return logits


@contextlib.contextmanager
def threads_for(work: int) -> Generator[None]:
    """Use as many processor threads as this much work (parameters times tokens) keeps busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, work // PARAMETERS_PER_THREAD)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def next_token_logits(model: Transformer, ids: Sequence[int], cache: KeyValueCache | None = None) -> Tensor:
    """The logits (V,), float32, of the token that follows `ids`, which continue those in `cache`."""
    new = torch.tensor([list(ids)], device=model.head_weight.device)  # (1, T)
    return model.logits(model.hidden(new, cache)[0, -1]).float()


class SampledToken(NamedTuple):
    """A sampled token, the model's logits (V,), float32, before the samplers, and the context that it has read.

    `context` is only valid until the next token is sampled.
    """

    token: int
    logits: Tensor
    context: Sequence[int]


def generate(
    model: Transformer, prompt: Sequence[int], settings: GenerationSettings, stop: Collection[int] = ()
) -> Iterator[int]:
    """Yield the tokens that follow `prompt`, at most `settings.max_tokens`, each as soon as it is sampled.

    Ends before a token of `stop`, which isn't yielded. The model is in eval mode while a token is computed and in its
    previous mode in between, so that samples can be generated during training. Raises ValueError for an empty prompt.
    """
    return (sampled.token for sampled in generate_with_logits(model, prompt, settings, stop))


def generate_with_logits(
    model: Transformer, prompt: Sequence[int], settings: GenerationSettings, stop: Collection[int] = (),
    not_first: Collection[int] = (),
) -> Iterator[SampledToken]:  # fmt: skip
    """Like `generate`, yielding each token with the logits that it was sampled from.

    The first token is none of `not_first`: with the tokens of `stop`, the text continues past its end.
    """
    if not prompt:
        raise ValueError("the prompt is empty: generation needs at least one token to start from")
    return _tokens(model, list(prompt), settings, frozenset(stop), not_first)


def _tokens(
    model: Transformer, new: list[int], settings: GenerationSettings, stop: frozenset[int], excluded: Collection[int]
) -> Iterator[SampledToken]:
    reader = Reader(model)
    generator = make_generator(settings.seed, reader.device)
    for _ in range(settings.max_tokens):
        sampled = _next_token(reader, new, settings, generator, excluded)
        if sampled.token in stop:
            return
        yield sampled
        new, excluded = [sampled.token], ()


def _next_token(
    reader: Reader, new: list[int], settings: GenerationSettings, generator: torch.Generator, excluded: Collection[int]
) -> SampledToken:
    """Read `new` and sample the next token. Grad mode, which is thread-local, is restored on return."""
    was_training = reader.model.training
    reader.model.eval()
    try:
        with torch.inference_mode():
            logits = allowed = reader.read(new)
            if excluded:
                allowed = logits.index_fill(0, torch.tensor(sorted(excluded), device=logits.device), -torch.inf)
            token = draw(distribution(allowed, reader.context, settings), generator)
            return SampledToken(token, logits, reader.context)
    finally:
        reader.model.train(was_training)

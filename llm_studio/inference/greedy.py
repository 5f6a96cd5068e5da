"""Greedy generation of several texts at once, with the probability of each token.

Prompts of different lengths are processed together: while a longer one is still being read, the others already
generate.

    position    0      1      2      3      4
    prompt A    Once   upon   a      (time) (,)         in parentheses: generated
    prompt B    The    (cat)  (sat)  (on)   (the)

Ids in, ids and numbers out.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from llm_studio.inference.generate import threads_for
from llm_studio.inference.probabilities import TokenProb
from llm_studio.model.cache import KeyValueCache
from llm_studio.model.transformer import Transformer

SPREAD = 16
"""Prompts whose lengths differ by more tokens are not processed together."""
_CHECK_EVERY = 8
"""Number of tokens between two checks whether all texts have ended; each check synchronises with a graphics card."""
_PADDING = -1
"""Padding after the end of a prompt."""


class GreedyTokens(NamedTuple):
    """The tokens generated after one prompt, their probabilities, and the most likely first tokens.

    `ended`: the text ended before a token of `stop`, which isn't included.
    """

    tokens: list[TokenProb]
    ended: bool
    top: list[TokenProb]


def write_greedily(
    model: Transformer, prompts: Sequence[Sequence[int]], count: int, stop: Collection[int], top: int,
    check: Callable[[], None],
) -> list[GreedyTokens]:  # fmt: skip
    """At most `count` tokens after each prompt, and the `top` most likely first ones.

    Texts are limited to the context: if a prompt is too long, its end is used. The model's mode is restored afterwards,
    and no random numbers are drawn. `check` is called before each token, and may raise.
    """
    length = model.settings.max_seq_len
    count = min(count, length)
    read = [list(prompt)[-(length - count + 1) :] for prompt in prompts]
    found: dict[int, GreedyTokens] = {}
    was_training = model.training
    model.eval()
    try:
        for group in _groups([len(prompt) for prompt in read]):
            texts = _write(model, [read[place] for place in group], count, frozenset(stop), top, check)
            found.update(zip(group, texts, strict=True))
    finally:
        model.train(was_training)
    return [found[place] for place in range(len(read))]


def passes(lengths: Sequence[int], count: int) -> int:
    """Upper bound of forward passes for `count` tokens after prompts of these lengths."""
    groups = [[lengths[place] for place in group] for group in _groups(lengths)]
    return sum(max(group) - min(group) + count for group in groups)


def _groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of the prompts that are processed together."""
    group: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if group and lengths[place] > lengths[group[0]] + SPREAD:
            yield group
            group = []
        group.append(place)
    if group:
        yield group


@torch.inference_mode()
def _write(
    model: Transformer, prompts: list[list[int]], count: int, stop: frozenset[int], top: int,
    check: Callable[[], None],
) -> list[GreedyTokens]:  # fmt: skip
    device, ends = model.head_weight.device, [len(prompt) for prompt in prompts]
    first, last = min(ends), max(ends)
    given = torch.tensor([prompt + [_PADDING] * (last - len(prompt)) for prompt in prompts], device=device)  # (B, P)
    cache = KeyValueCache(model.settings, len(prompts), last + count - 1, device, model.head_weight.dtype)
    ids, tokens, probabilities = given[:, :first], list[Tensor](), list[Tensor]()
    best: dict[int, tuple[Tensor, Tensor]] = {}
    with threads_for(model.parameter_count() * len(prompts)):
        for position in range(first, last + count):  # position of the generated token
            check()
            probs = model.logits(model.hidden(ids, cache)[:, -1]).float().softmax(dim=-1)  # (B, V)
            if position in ends:
                best[position] = probs.topk(min(top, probs.shape[1]))
            ids = probs.argmax(dim=-1, keepdim=True)  # (B, 1)
            tokens.append(ids)
            probabilities.append(probs.gather(1, ids))
            if position < last:
                known = given[:, position, None]
                ids = torch.where(known == _PADDING, ids, known)
            elif (position - last) % _CHECK_EVERY == _CHECK_EVERY - 1 and _all_ended(tokens, ends, stop):
                break
    written, likely = torch.cat(tokens, dim=1).tolist(), torch.cat(probabilities, dim=1).tolist()  # (B, T) each
    texts: list[GreedyTokens] = []
    for row, end in enumerate(ends):
        pairs = _pairs(written[row], likely[row])[end - first :][:count]
        stopped = next((place for place, pair in enumerate(pairs) if pair.token in stop), None)
        values, indices = best[end]
        candidates = _pairs(indices[row].tolist(), values[row].tolist())
        texts.append(GreedyTokens(pairs[:stopped], stopped is not None, candidates))
    return texts


def _pairs(tokens: list[int], probabilities: list[float]) -> list[TokenProb]:
    return [TokenProb(*pair) for pair in zip(tokens, probabilities, strict=True)]


def _all_ended(tokens: list[Tensor], ends: list[int], stop: frozenset[int]) -> bool:
    rows = torch.cat(tokens, dim=1).tolist()
    return all(not stop.isdisjoint(row[end - min(ends) :]) for row, end in zip(rows, ends, strict=True))

"""Baselines for a loss: the losses of a unigram and a bigram model.

A model that doesn't beat the bigram loss has learned less than which token follows which. Both are in nats per token of
the validation text, estimated on the training text, and comparable with the loss of a run on the same tokens; with
`answers`, with a loss on answers only. At most 16 million training and 4 million validation tokens are counted, in
evenly spaced blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_studio.data.corpus.corpus import Split
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens.byte_lengths import byte_lengths
from llm_studio.data.tokens.dataset import Tokens
from llm_studio.errors import DataError
from llm_studio.i18n import _

_BLOCK = 4_000_000
"""Tokens counted at once."""
_TRAIN_BLOCKS, _VALIDATION_BLOCKS = 4, 1

_Ids = NDArray[np.unsignedinteger[Any]]
_Integers = NDArray[np.int64]


def unigram_loss(tokens: Tokens, answers: bool = False) -> float:
    """The loss of predicting each token by its frequency: p(w) = (c(w) + 1) / (N + V)."""
    _require_enough(tokens)
    counts = _token_counts(tokens, "train", answers)
    probability = (counts + 1) / (counts.sum() + tokens.vocab_size)
    targets = _token_counts(tokens, "validation", answers)
    _require_some(targets)
    return float(-(targets * np.log(probability)).sum() / targets.sum())


def bigram_loss(tokens: Tokens, answers: bool = False) -> float:
    """The loss of predicting each token from the previous one: interpolated Kneser-Ney (Chen and Goodman 1998, § 2.7).

    p(w | v) = max(c(v w) - D, 0) / c(v) + D · t(v) / c(v) · q(w), where t(v) is the number of different tokens seen
    after v, q(w) = (s(w) + 1) / (pairs + V) with s(w) the number of different tokens seen before w, and
    D = (n₁ + 1) / (n₁ + 2 n₂ + 2) from the numbers of pairs seen once and twice.
    """
    _require_enough(tokens)
    size = tokens.vocab_size
    seen = _count_pairs(tokens, "train", answers)
    before, after = np.divmod(seen.codes, size)
    occurrences = np.bincount(before, weights=seen.counts, minlength=size)
    followers = np.bincount(before, minlength=size)
    continuation = (np.bincount(after, minlength=size) + 1) / (len(seen.codes) + size)
    once, twice = np.count_nonzero(seen.counts == 1), np.count_nonzero(seen.counts == 2)
    discount = (once + 1) / (once + 2 * twice + 2)

    targets = _count_pairs(tokens, "validation", answers)
    _require_some(seen.counts)
    _require_some(targets.counts)
    before, after = np.divmod(targets.codes, size)
    known = occurrences[before] > 0
    total = np.where(known, occurrences[before], 1)
    direct = np.maximum(seen.count_of(targets.codes) - discount, 0) / total
    rest = np.where(known, discount * followers[before] / total, 1)
    probability = direct + rest * continuation[after]
    return float(-(targets.counts * np.log(probability)).sum() / targets.counts.sum())


def bytes_per_token(tokens: Tokens, tokenizer: Tokenizer, answers: bool = False) -> float | None:
    """Mean number of bytes of the target tokens of these losses; None if they don't represent text.

    `tokenizer` is the one that made the tokens.
    """
    targets = _token_counts(tokens, "validation", answers)
    return float(targets @ byte_lengths(tokenizer)) / max(int(targets.sum()), 1) or None


def _require_enough(tokens: Tokens) -> None:
    if len(tokens.train) < 2 or len(tokens.validation) < 2:
        raise _too_few()


def _require_some(counts: _Integers) -> None:
    if not counts.sum():
        raise _too_few()


def _too_few() -> DataError:
    return DataError(_("There are too few tokens to compute the baselines."), _("Add texts, then prepare them again."))


@dataclass(frozen=True)
class _Pairs:
    """Pairs of neighbouring tokens, each coded as first × V + second, in ascending order, with their counts."""

    codes: _Integers
    counts: _Integers

    def count_of(self, codes: _Integers) -> _Integers:
        """The count of each of `codes`, 0 for those that don't occur."""
        places = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[places] == codes, self.counts[places], 0)

    def plus(self, other: "_Pairs") -> "_Pairs":
        """The sum of both tables."""
        codes, counts = np.concatenate([self.codes, other.codes]), np.concatenate([self.counts, other.counts])
        order = np.argsort(codes, kind="stable")  # a merge: both halves are sorted
        codes, counts = codes[order], counts[order]
        firsts = np.flatnonzero(np.diff(codes, prepend=-1))
        return _Pairs(codes[firsts], np.add.reduceat(counts, firsts))


def _token_counts(tokens: Tokens, split: Split, answers: bool) -> _Integers:
    counts = np.zeros(tokens.vocab_size, dtype=np.int64)
    for block, places in _blocks(tokens, split):
        after = block[1:]
        counts += np.bincount(after[tokens.in_answer(split, places)] if answers else after, minlength=tokens.vocab_size)
    return counts


def _count_pairs(tokens: Tokens, split: Split, answers: bool) -> _Pairs:
    total = _Pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    for block, places in _blocks(tokens, split):
        all_codes = block[:-1].astype(np.int64) * tokens.vocab_size + block[1:]
        codes, counts = np.unique(
            all_codes[tokens.in_answer(split, places)] if answers else all_codes, return_counts=True
        )
        total = total.plus(_Pairs(codes, counts))
    return total


def _blocks(tokens: Tokens, split: Split) -> Iterator[tuple[_Ids, _Integers]]:
    """Evenly spaced blocks of the ids, which cover each pair of neighbours once if there are few enough.

    Each comes with the indices of its ids except the first.
    """
    ids, most = (tokens.train, _TRAIN_BLOCKS) if split == "train" else (tokens.validation, _VALIDATION_BLOCKS)
    count = min(most, -(-(len(ids) - 1) // _BLOCK))
    for index in range(count):
        start = (len(ids) - 1) * index // count
        end = min((len(ids) - 1) * (index + 1) // count, start + _BLOCK)
        yield ids[start : end + 1], np.arange(start + 1, end + 1)

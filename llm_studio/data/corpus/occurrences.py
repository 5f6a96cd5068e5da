"""Which words and word sequences of some texts occur in a corpus that is read once, from beginning to end.

Memory grows with the texts that are looked up, not with the corpus. A sequence of words is identified by a 64-bit hash;
for a few thousand sequences, the probability of a collision is below 10⁻¹².
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

LENGTHS = (2, 3, 8)
"""Lengths in words of the sequences that are looked up."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Occurrences:
    """Records which words of `texts`, and which sequences of them, occur in the documents passed to `read`."""

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        self._index: dict[str, int] = {}
        wanted: dict[int, list[NDArray[np.uint64]]] = {length: [] for length in LENGTHS}
        for words in texts:
            places = np.array([self._index.setdefault(word, len(self._index)) for word in words], dtype=np.int64)
            for length in LENGTHS:
                wanted[length].append(_hashes(places, length))
        self._known = np.zeros(len(self._index), dtype=np.bool_)
        self._wanted = {length: _union(found) for length, found in wanted.items()}
        self._seen = {length: np.zeros(len(hashes), dtype=np.bool_) for length, hashes in self._wanted.items()}
        self._last = np.empty(0, dtype=np.int64)

    def read(self, words: Sequence[str], ends: bool = False) -> None:
        """Add the next words of the corpus; with `ends`, the last ones of a document."""
        index = self._index
        places = np.array([index.get(word, -1) for word in words], dtype=np.int64)
        self._known[places[places >= 0]] = True
        places = np.concatenate([self._last, places])  # a sequence may have started in the previous words
        for length in LENGTHS:
            self._note(length, places)
        self._last = places[:0] if ends else places[-(max(LENGTHS) - 1) :]

    def known_words(self, texts: Iterable[Sequence[str]]) -> float:
        """The fraction of the words of `texts` that occur in the corpus; 0 for no words."""
        known = [bool(self._known[self._index[word]]) for words in texts for word in words]
        return sum(known) / len(known) if known else 0.0

    def known_sequences(self, texts: Iterable[Sequence[str]], length: int) -> float:
        """The fraction of their sequences of `length` words that occur in one document; 0 for no sequences."""
        found = [self._found(words, length) for words in texts]
        known = np.concatenate([*found, np.empty(0, dtype=np.bool_)])
        return float(known.mean()) if known.size else 0.0

    def copied(self, texts: Iterable[Sequence[str]]) -> float:
        """The fraction of the words of `texts` that are part of a known sequence of the greatest length."""
        longest = max(LENGTHS)
        total = inside = 0
        for words in texts:
            covered = np.zeros(len(words), dtype=np.bool_)
            for start in np.flatnonzero(self._found(words, longest)):
                covered[start : start + longest] = True
            total, inside = total + len(words), inside + int(covered.sum())
        return inside / total if total else 0.0

    def _found(self, words: Sequence[str], length: int) -> NDArray[np.bool_]:
        hashes = _hashes(np.array([self._index[word] for word in words], dtype=np.int64), length)
        return self._seen[length][np.searchsorted(self._wanted[length], hashes)]

    def _note(self, length: int, places: NDArray[np.int64]) -> None:
        wanted = self._wanted[length]
        if not wanted.size:
            return
        hashes = _hashes(places, length)
        at = np.minimum(np.searchsorted(wanted, hashes), wanted.size - 1)
        self._seen[length][at[wanted[at] == hashes]] = True


def _hashes(places: NDArray[np.int64], length: int) -> NDArray[np.uint64]:
    """A hash of each sequence of `length` words without an unknown one (below 0), from their indices."""
    count = max(0, len(places) - length + 1)
    known = np.ones(count, dtype=np.bool_)
    hashes = np.zeros(count, dtype=np.uint64)
    for offset in range(length):
        part = places[offset : offset + count]
        known &= part >= 0
        hashes = (hashes ^ (hashes >> np.uint64(29))) * _FACTOR + part.astype(np.uint64) + np.uint64(1)
    return hashes[known]


def _union(found: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    return np.unique(np.concatenate([*found, np.empty(0, dtype=np.uint64)]))

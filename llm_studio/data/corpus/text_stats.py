"""Hashes and lengths of many texts.

They need twelve bytes of memory for each text; operations on the hashes process one bucket at a time. (For 8.4 million
texts, this takes 155 MB and 8 s; a file on disk, read once for each bucket, took 52 MB and 112 s.)
"""

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BUCKET = 1 << 15
"""Average number of texts in a bucket, if 256 buckets are enough."""
_MAX_BITS = 8
"""Hashes are divided into at most 2^8 buckets."""


@dataclass(frozen=True)
class DocumentMask:
    """A selection of `count` documents, one bit for each: small in memory and when pickled for another process."""

    bits: bytes
    count: int

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> "DocumentMask":
        """The selection given by a boolean for each document."""
        return cls(np.packbits(mask).tobytes(), len(mask))

    def mask(self) -> NDArray[np.bool_]:
        """A boolean for each document."""
        return np.unpackbits(np.frombuffer(self.bits, np.uint8), count=self.count).view(np.bool_)


@dataclass(frozen=True)
class TextStats:
    """Hashes and lengths of texts."""

    hashes: NDArray[np.uint64]
    lengths: NDArray[np.uint32]

    @property
    def count(self) -> int:
        """Number of texts."""
        return len(self.hashes)

    @property
    def total(self) -> int:
        """Characters of all texts."""
        return int(self.lengths.sum(dtype=np.int64))

    @property
    def longest(self) -> int:
        """Characters of the longest text."""
        return int(self.lengths.max(initial=0))

    def select(self, mask: NDArray[np.bool_]) -> "TextStats":
        """The stats of some of these texts."""
        return TextStats(self.hashes[mask], self.lengths[mask])

    def characters(self, mask: NDArray[np.bool_]) -> int:
        """Characters of some of these texts."""
        return int(self.lengths.sum(where=mask, dtype=np.int64))

    def hash_buckets(self) -> Iterator[NDArray[np.intp]]:
        """The indices of the texts, in buckets by the highest bits of their hashes, lowest hashes first.

        Equal texts are in one bucket, and sorting each bucket sorts all texts.
        """
        bits = min(_MAX_BITS, max(1, (self.count // _BUCKET).bit_length()))
        highest = (self.hashes >> np.uint64(64 - bits)).astype(np.uint8)
        for bucket in range(1 << bits):
            indices = np.flatnonzero(highest == bucket)
            if len(indices):
                yield indices


class TextStatsWriter:
    """Collects the stats of texts that come one after the other, each in chunks."""

    def __init__(self) -> None:
        self._hashes, self._lengths = array("Q"), array("I")
        self._digest = hashlib.blake2b(digest_size=8)
        self._length = 0

    def add(self, text: str, ends: bool) -> int:
        """Add the next chunk of a text; return the length of the text so far, in characters."""
        self._digest.update(text.encode())
        self._length += len(text)
        length = self._length
        if ends:
            self._hashes.append(int.from_bytes(self._digest.digest(), "little"))
            self._lengths.append(min(length, 2**32 - 1))  # such a document is cut, and counted in units
            self._digest = hashlib.blake2b(digest_size=8)
            self._length = 0
        return length

    def stats(self) -> TextStats:
        """The stats of all texts so far."""
        return TextStats(np.array(self._hashes, np.uint64), np.array(self._lengths, np.uint32))

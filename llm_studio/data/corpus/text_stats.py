"""A hash and a length of each of many texts, on disk: however many there are, they take no memory.

What is asked of them is answered in passes over the file, a block at a time.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_studio.files import close_quietly, translate_temporary_errors

_RECORD = np.dtype([("hash", "<u8"), ("length", "<u4")])
_ROWS = 1 << 15
"""Records read or written at once."""
_MOST_BITS = 8
"""Hashes are gone through in at most 2^8 parts, of `_ROWS` on average where they are so few."""


@dataclass(frozen=True)
class Choice:
    """Which of `count` texts, a bit for each: small in memory, and on its way to another process."""

    bits: bytes
    count: int

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> "Choice":
        """From a truth value for each."""
        return cls(np.packbits(mask).tobytes(), len(mask))

    def mask(self) -> NDArray[np.bool_]:
        """A truth value for each."""
        return np.unpackbits(np.frombuffer(self.bits, np.uint8), count=self.count).view(np.bool_)


@dataclass(frozen=True)
class Part:
    """Some texts, by their places among all: their hashes and lengths."""

    places: NDArray[np.intp]
    hashes: NDArray[np.uint64]
    lengths: NDArray[np.uint32]


class TextStats:
    """Hashes and lengths of texts. `Scale` makes them, and closes their file."""

    def __init__(self, file: "tempfile.SpooledTemporaryFile[bytes]", chosen: NDArray[np.bool_]) -> None:
        """`chosen`: which records of the file are meant. Places count these alone."""
        self._file, self._chosen = file, chosen
        self.count = int(chosen.sum())
        self.total, self.longest = 0, 0
        for block in self.blocks():
            self.total += int(block.lengths.sum(dtype=np.int64))
            self.longest = max(self.longest, int(block.lengths.max(initial=0)))

    def only(self, chosen: NDArray[np.bool_]) -> "TextStats":
        """Some of these."""
        among = self._chosen.copy()
        among[among] = chosen
        return TextStats(self._file, among)

    def blocks(self) -> Iterator[Part]:
        """All of them in their order, some at a time."""
        done = 0
        for start in range(0, len(self._chosen), _ROWS):
            chosen = self._chosen[start : start + _ROWS]
            with translate_temporary_errors():
                self._file.seek(start * _RECORD.itemsize)
                read = self._file.read(len(chosen) * _RECORD.itemsize)
            records: NDArray[Any] = np.frombuffer(read, _RECORD)[chosen]
            yield Part(np.arange(done, done + len(records)), records["hash"], records["length"])
            done += len(records)

    def in_parts(self) -> Iterator[Part]:
        """All of them by the highest bits of their hashes, the lowest hashes first: each part can be sorted alone."""
        bits = min(_MOST_BITS, max(1, (self.count // _ROWS).bit_length()))
        for highest in range(1 << bits):
            found: list[Part] = []
            for block in self.blocks():
                here = (block.hashes >> np.uint64(64 - bits)) == highest
                found.append(Part(block.places[here], block.hashes[here], block.lengths[here]))
            part = _joined(found)
            if len(part.places):
                yield part

    def characters(self, chosen: NDArray[np.bool_]) -> int:
        """The length of some of them together."""
        return sum(int(block.lengths[chosen[block.places]].sum(dtype=np.int64)) for block in self.blocks())

    def whole(self) -> Part:
        """All of them, in memory."""
        return _joined(list(self.blocks()))


def _joined(parts: list[Part]) -> Part:
    if not parts:
        return Part(np.zeros(0, np.intp), np.zeros(0, np.uint64), np.zeros(0, np.uint32))
    return Part(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("places", "hashes", "lengths")))


class TextStatsWriter:
    """Measures texts one by one. Holds a temporary file: use it as a context."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_ROWS * _RECORD.itemsize)  # noqa: SIM115  closed with this object
        self._waiting: list[tuple[int, int]] = []
        self._count = 0
        self._open = hashlib.blake2b(digest_size=8)
        self._length = 0

    def __enter__(self) -> "TextStatsWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back: its measures can't be read any more."""
        close_quietly(self._file)

    def add(self, text: str, ends: bool) -> int:
        """The next part of a text; its length in characters so far."""
        self._open.update(text.encode())
        self._length += len(text)
        length = self._length
        if ends:
            self.put(int.from_bytes(self._open.digest(), "little"), length)
            self._open = hashlib.blake2b(digest_size=8)
            self._length = 0
        return length

    def put(self, hash_value: int, length: int) -> None:
        """A text of which both are known."""
        self._waiting.append((hash_value, min(length, 2**32 - 1)))  # one so long is cut, and counted in units
        self._count += 1
        if len(self._waiting) == _ROWS:
            self._write()

    def _write(self) -> None:
        with translate_temporary_errors():
            self._file.seek(0, 2)
            self._file.write(np.array(self._waiting, _RECORD).tobytes())
        self._waiting = []

    def measures(self) -> TextStats:
        """Of all texts so far."""
        self._write()
        return TextStats(self._file, np.ones(self._count, np.bool_))

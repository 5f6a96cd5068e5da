"""Counting words in bounded memory: exactly while they are not too many, honestly estimated beyond.

When there are more than MOST different words, the rarest half is forgotten, as often as needed: a word that is among
the frequent ones is never lost, but one that comes back was counted short by at most `error` (Manku and Motwani 2002,
lossy counting). How many different ones there were is then estimated from their hashes (Flajolet et al. 2007,
HyperLogLog, with a standard error of 0.8 %).
"""

import hashlib
import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

MOST = 400_000
"""Different words that are counted one by one; some 40 MB."""
_BITS = 14
_REGISTERS = 1 << _BITS

_ELIDED = r"(?:[cdjlmnst]|(?:jus|lors|puis|quel)?qu)['’]"
"""French words that lose their last vowel before another: l’arbre is two words, don’t and aujourd’hui are one."""
_WORD = re.compile(rf"{_ELIDED}|[^\W_]+(?:['’][^\W_]+)*")
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNSPACED = re.compile(f"[{_CJK}]")
_WORD_OR_SIGN = re.compile(rf"[{_CJK}]|{_ELIDED}|(?:(?![{_CJK}])[^\W_])+(?:['’](?:(?![{_CJK}])[^\W_])+)*")


def words_of(text: str) -> list[str]:
    """The words of `text` in lower case. Chinese and Japanese put no spaces: there each character is a word."""
    text = text.lower()
    if not text.isascii() and _UNSPACED.search(text):
        return _WORD_OR_SIGN.findall(text)
    return _WORD.findall(text)


class WordCounts:
    """How often each word occurs."""

    def __init__(self, most: int = MOST) -> None:
        self.total = 0
        """Words, counted each time."""
        self.letters = 0
        self.error = 0
        """By how much a count may be too small."""
        self._most = most
        self._counts: Counter[str] = Counter()
        self._registers: NDArray[np.uint8] | None = None

    def add(self, words: list[str]) -> None:
        """Count these words."""
        self.total += len(words)
        self.letters += sum(map(len, words))
        self._counts.update(words)
        if len(self._counts) > self._most:
            self._forget_rare()

    def merge(self, other: "WordCounts") -> None:
        """Count all that `other` has counted."""
        self.total += other.total
        self.letters += other.letters
        self.error += other.error
        self._counts.update(other._counts)
        if other._registers is not None:
            mine = self._registers
            self._registers = other._registers if mine is None else np.maximum(mine, other._registers)
        if len(self._counts) > self._most:
            self._forget_rare()

    @property
    def exact(self) -> bool:
        """Whether nothing was ever forgotten."""
        return self._registers is None

    @property
    def distinct(self) -> int:
        """How many different words there are; an estimate where that isn't `exact`."""
        if self._registers is None:
            return len(self._counts)
        return max(len(self._counts), round(_estimate(np.maximum(self._registers, _registers(self._counts)))))

    def frequent(self, count: int) -> tuple[tuple[str, int], ...]:
        """The words that occur most, with how often; equally frequent ones by the alphabet."""
        return tuple(sorted(self._counts.items(), key=lambda entry: (-entry[1], entry[0]))[:count])

    def _forget_rare(self) -> None:
        here = _registers(self._counts)
        self._registers = here if self._registers is None else np.maximum(self._registers, here)
        limit = sorted(self._counts.values())[len(self._counts) // 2]
        self._counts = Counter({word: count for word, count in self._counts.items() if count > limit})
        self.error += limit


def _registers(words: Counter[str]) -> NDArray[np.uint8]:
    """HyperLogLog's table for these words: for each first 14 bits of a hash the longest run of zeros after them."""
    digests = b"".join(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest() for word in words)
    hashes = np.frombuffer(digests, "<u8")
    places = (hashes >> np.uint64(64 - _BITS)).astype(np.int64)
    rest = (hashes & np.uint64((1 << (64 - _BITS)) - 1)).astype(np.float64)  # below 2^53: exact
    ranks = (64 - _BITS + 1 - np.frexp(rest)[1]).astype(np.uint8)
    table = np.zeros(_REGISTERS, np.uint8)
    np.maximum.at(table, places, ranks)
    return table


def _estimate(table: NDArray[np.uint8]) -> float:
    raw = 0.7213 / (1 + 1.079 / _REGISTERS) * _REGISTERS**2 / np.exp2(-table.astype(np.float64)).sum()
    empty = int((table == 0).sum())
    if raw <= 2.5 * _REGISTERS and empty:
        return float(_REGISTERS * np.log(_REGISTERS / empty))
    return float(raw)

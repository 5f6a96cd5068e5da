"""Word counts in bounded memory: exact up to a number of distinct words, estimated beyond.

Whenever there are more than MAX_WORDS distinct words, the rarest half is dropped: a frequent word is never lost, but
the count of a word that was dropped before is too small by at most `error` (lossy counting, Manku and Motwani 2002).
The number of distinct words is then estimated from their hashes (HyperLogLog, Flajolet et al. 2007, with a standard
error of 0.8 %).
"""

import hashlib
import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

MAX_WORDS = 400_000
"""Distinct words that are counted exactly: about 40 MB."""
_BITS = 14
_REGISTERS = 1 << _BITS

_ELIDED = r"(?:[cdjlmnst]|(?:jus|lors|puis|quel)?qu)['’]"
"""French words with an elided vowel: l’arbre is two words, don’t and aujourd’hui are one."""
_WORD = re.compile(rf"{_ELIDED}|[^\W_]+(?:['’][^\W_]+)*")
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNSPACED = re.compile(f"[{_CJK}]")
_WORD_OR_SIGN = re.compile(rf"[{_CJK}]|{_ELIDED}|(?:(?![{_CJK}])[^\W_])+(?:['’](?:(?![{_CJK}])[^\W_])+)*")


def words_of(text: str) -> list[str]:
    """The words of `text` in lower case. In Chinese and Japanese, which have no spaces, each character is a word."""
    text = text.lower()
    if not text.isascii() and _UNSPACED.search(text):
        return _WORD_OR_SIGN.findall(text)
    return _WORD.findall(text)


class WordCounts:
    """Counts how often each word occurs."""

    def __init__(self, most: int = MAX_WORDS) -> None:
        self.total = 0
        """Number of words, repetitions included."""
        self.letters = 0
        self.error = 0
        """Upper bound of the amount by which a count is too small."""
        self._most = most
        self._counts: Counter[str] = Counter()
        self._registers: NDArray[np.uint8] | None = None

    def add(self, words: list[str]) -> None:
        """Count these words."""
        self.total += len(words)
        self.letters += sum(map(len, words))
        self._counts.update(words)
        if len(self._counts) > self._most:
            self._drop_rare()

    def merge(self, other: "WordCounts") -> None:
        """Add the counts of `other`."""
        self.total += other.total
        self.letters += other.letters
        self.error += other.error
        self._counts.update(other._counts)
        if other._registers is not None:
            mine = self._registers
            self._registers = other._registers if mine is None else np.maximum(mine, other._registers)
        if len(self._counts) > self._most:
            self._drop_rare()

    @property
    def exact(self) -> bool:
        """Whether no word was ever dropped."""
        return self._registers is None

    @property
    def distinct(self) -> int:
        """Number of distinct words; an estimate unless `exact`."""
        if self._registers is None:
            return len(self._counts)
        return max(len(self._counts), round(_estimate(np.maximum(self._registers, _registers(self._counts)))))

    def frequent(self, count: int) -> tuple[tuple[str, int], ...]:
        """The most frequent words with their counts; equally frequent ones in alphabetical order."""
        return tuple(sorted(self._counts.items(), key=lambda entry: (-entry[1], entry[0]))[:count])

    def _drop_rare(self) -> None:
        registers = _registers(self._counts)
        self._registers = registers if self._registers is None else np.maximum(self._registers, registers)
        limit = sorted(self._counts.values())[len(self._counts) // 2]
        self._counts = Counter({word: count for word, count in self._counts.items() if count > limit})
        self.error += limit


def _registers(words: Counter[str]) -> NDArray[np.uint8]:
    """The HyperLogLog registers of these words: for each value of a hash's first 14 bits, the longest run of zeros
    after them."""
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

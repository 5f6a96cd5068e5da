"""The texts that a tokenizer is trained on: sampled evenly from the corpus, and few enough to fit into memory.

The library needs memory for each distinct word: about a hundred times its bytes. Words between spaces soon repeat, and
200 MB of English need less than a gigabyte. Without spaces a "word" extends from one punctuation mark to the next and
hardly ever occurs twice: 200 MB of Chinese would need more than 20 GB. So the memory is estimated on a sample of the
texts while they are read, and if it would be too much, they are read again and fewer are used.
"""

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from llm_studio.data.tokenizer.tokenizer import (
    SEGMENT_CHARACTERS,
    first_safe_cut,
    is_safe_cut,
    last_safe_cut,
    split_safely,
)

if TYPE_CHECKING:
    from llm_studio.data.corpus.corpus import TextSpan

MEMORY_BYTES = 1_600_000_000
"""Limit of the library's memory for words. With Python and the texts being processed, the process stays below 2 GB."""
BLOCK_CHARACTERS = 512
"""Length limit of a word in training, in characters. Real words and clauses are far shorter."""

_BYTES_PER_WORD = 80
_BYTES_PER_BYTE = 125
"""Memory of the library for each distinct word, and for each of its bytes. Measured with tokenizers 0.23 on words of 6
to 100 bytes: in total 97 to 125 bytes for each byte of distinct words, more for a large vocabulary."""
_OBSERVED_FRACTION = 0.01
_MIN_OBSERVED = 200_000
_MAX_OBSERVED = 2_000_000
"""Bytes of text whose words are counted: a hundredth, within these limits."""
_EXCERPT = 2_000
"""Number of characters taken from one place, so that the sample comes from many."""
_WORST_CASE = 150
"""Memory for each byte of text if no word occurs twice."""
_MARGIN = 0.85
"""Fraction of the limit that a smaller sample aims at, so that its own estimate is below the limit."""
_SEVERAL = -1


def sample_texts(
    spans: "Iterable[TextSpan]", characters: int, max_bytes: int, words: "LongWords | None" = None
) -> Iterator[str]:
    """Sample segments evenly from texts of `characters` in all, with a total size of at most `max_bytes`.

    They are cut inside `words` that are too long.
    """
    bytes_per_character = max_bytes / max(characters, 1)
    words = words or LongWords()
    seen = taken = 0
    for span in spans:
        for text in split_safely(span.text, SEGMENT_CHARACTERS):
            seen += len(text)
            size = len(text.encode())
            if taken + size <= bytes_per_character * seen:
                taken += size
                yield from words.cut(text)
            else:
                words.skip(text)
        if span.ends:
            words.end()


class LongWords:
    """Cuts texts inside words longer than BLOCK_CHARACTERS, and counts those words.

    A word here is a sequence without a safe cut: a very long run of letters, digits or marks. It may extend over
    several texts.
    """

    def __init__(self) -> None:
        self.count = 0
        """Number of words that were cut."""
        self.longest = 0
        """Length of the longest of them, in characters."""
        self._length = 0
        """Length so far of a word that was cut and hasn't ended yet."""
        self._last = ""
        """The last character of the previous text."""

    def cut(self, text: str) -> Iterator[str]:
        """`text` in one or more parts, cut only where a word is too long."""
        continued = self._continue(text)
        start = yielded = 0
        while len(text) - start > BLOCK_CHARACTERS:
            end = last_safe_cut(text, start, start + BLOCK_CHARACTERS)
            if end is None:
                end = first_safe_cut(text, start) or len(text)
                for place in range(start + BLOCK_CHARACTERS, end, BLOCK_CHARACTERS):
                    yield text[yielded:place]
                    yielded = place
                if start >= continued:
                    self.count += 1
                    self._grow(end - start, end == len(text))
            start = end
        yield text[yielded:]

    def skip(self, text: str) -> None:
        """Note that `text` follows, which isn't sampled: a word may start in it or extend through it."""
        continued, last = self._continue(text), len(text) - 1
        if continued <= last and last > BLOCK_CHARACTERS and last_safe_cut(text, last - BLOCK_CHARACTERS, last) is None:
            self.count += 1
            self._grow(len(text) - (last_safe_cut(text, 0, last) or 0), True)

    def end(self) -> None:
        """Note that the document ends."""
        self._length = 0

    def _continue(self, text: str) -> int:
        """The position in `text` where a word that was cut in the texts before it ends; 0 if there is none."""
        end = 0
        if self._length and text:
            end = 0 if is_safe_cut(self._last + text[0], 1) else (first_safe_cut(text, 0) or len(text))
            self._grow(end, end == len(text))
        self._last = text[-1:]
        return end

    def _grow(self, characters: int, may_continue: bool) -> None:
        self._length += characters
        self.longest = max(self.longest, self._length)
        if not may_continue:
            self._length = 0


class SampleTooLargeError(Exception):
    """The words of a sample would need too much memory. `fitting`: bytes of text that would fit; `size`: its bytes."""

    def __init__(self, fitting: int, size: int) -> None:
        super().__init__(fitting, size)
        self.fitting = fitting
        self.size = size


class MemoryForecast:
    """Estimates the memory that the library needs for the words of texts, from a small, evenly drawn sample of them.

    The number of distinct words grows with a power of the text's length (Heaps' law). The power is the fraction of
    them that occur in one text only, since those would be missing if there were one text fewer (Good 1953). Words of
    each order of length have their own power: names and numbers repeat, and clauses without spaces don't. Powers
    fall as texts get longer, so the estimate is rather too high.
    """

    def __init__(self, words_of: Callable[[str], Iterable[str]], total: int, limit: int) -> None:
        """`words_of` returns the words of a text, one character per byte; `total`: expected bytes of all texts."""
        self._words_of = words_of
        self._limit = limit
        part = max(_MIN_OBSERVED, min(_MAX_OBSERVED, total * _OBSERVED_FRACTION))
        self._fraction = min(1.0, part / max(total, 1))
        self._size = self._drawn = 0
        """Bytes of all texts so far, and of those that are drawn."""
        self._waiting: list[str] = []
        """Drawn texts whose words aren't counted yet; with few texts, they never need to be."""
        self._text_of: dict[str, int] = {}
        """The number of the text in which a word occurs, _SEVERAL if there is more than one."""
        self._texts = 0
        self._needed: Counter[int] = Counter()
        self._needed_once: Counter[int] = Counter()
        """Bytes of memory for the words of each order of length, and for those that occur in only one text."""

    def watch(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield `texts` while the memory suffices for them. Raises SampleTooLargeError at the end if it didn't."""
        fits = True
        for text in texts:
            self._add(text)
            fits = fits and (self._size * _WORST_CASE <= self._limit or self.memory(self._size) <= self._limit)
            if fits:
                yield text
        if not fits:
            raise SampleTooLargeError(self._size_for(_MARGIN * self._limit), self._size)

    def memory(self, size: int) -> float:
        """Estimated bytes of memory for the words of `size` bytes of such texts."""
        for text in self._waiting:
            self._count(text)
        self._waiting.clear()
        ratio = size / max(self._drawn, 1)
        return sum(
            needed * ratio ** (self._needed_once[order] / needed if ratio > 1 else 1)
            for order, needed in self._needed.items()
        )

    def _size_for(self, memory: float) -> int:
        """Bytes of such texts whose words need this much memory, to a precision of 10⁻⁵."""
        return bisect.bisect(range(100_000), memory, key=lambda n: self.memory(self._size * n // 100_000)) * (
            self._size // 100_000
        )

    def _add(self, text: str) -> None:
        if self._drawn <= self._fraction * self._size:
            self._waiting.append(text[:_EXCERPT])
            self._drawn += len(self._waiting[-1].encode())
        self._size += len(text.encode())

    def _count(self, text: str) -> None:
        self._texts += 1
        for word in set(self._words_of(text)):
            order, needed = len(word).bit_length(), _BYTES_PER_WORD + _BYTES_PER_BYTE * len(word)
            seen = self._text_of.setdefault(word, self._texts)
            if seen == self._texts:
                self._needed[order] += needed
                self._needed_once[order] += needed
            elif seen != _SEVERAL:
                self._text_of[word] = _SEVERAL
                self._needed_once[order] -= needed

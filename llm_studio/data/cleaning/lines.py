"""Lines repeated on many pages: headers, footers, page numbers, the menu of a web site.

Two signs distinguish them from repetitions by the author. Within a long document they recur as regularly as the pages,
measured in characters, or count the pages. Across a source they occur in many documents. The speakers' names of a play
do neither, nor does a refrain. Numbers in a line are ignored: “Page 12 of 300” is the same line on each page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_HEADER_LENGTH = 100
"""Length limit of a header, in characters."""
MIN_DOCUMENTS = 10
MIN_DOCUMENT_FRACTION = 0.1
"""A line is removed if it occurs in at least this number and this fraction of the documents of a source."""
_MIN_LINES, _MAX_PAGE_CHARACTERS = 3, 20_000
"""Size of a document that counts as a page of its source: in forty novels, “— Yes.” occurs ten times."""
_MIN_PAGES = 8
"""Minimum number of occurrences of a header in one document."""
_PAGE_CHARACTERS = (500, 8_000)
"""Range of the mean distance between two headers, in characters."""
_MAX_DEVIATION, _MAX_DEVIATION_NUMBERED = 0.35, 0.5
"""Relative standard deviation of these distances. Lines at random positions have 1, numbered chapters 0.6."""
_MAX_TRACKED = 100_000
"""Different lines tracked at once; beyond that, those seen once are dropped."""
_MAX_REMOVED = 10_000

_DIGITS = re.compile(r"\d+")
_SEEN_ONCE = 1


def pattern(line: str) -> str:
    """The part of `line` that is the same on other pages, or "" if it can't be a header."""
    if len(line) > 2 * MAX_HEADER_LENGTH:
        return ""
    key = _DIGITS.sub("#", " ".join(line.split()))
    if len(key) > MAX_HEADER_LENGTH or not ("#" in key or any(map(str.isalpha, key))):
        return ""
    return key


class LineRemover:
    """Removes the lines of given patterns."""

    def __init__(self, repeated: frozenset[str]) -> None:
        self._repeated = repeated
        self._first = {key[0] for key in repeated}
        if "#" in self._first:
            self._first.update("0123456789")
        self._any_digit = "#" in self._first

    def __call__(self, text: str, starts_mid_line: bool, ends_mid_line: bool) -> str:
        """Return `text` without these lines.

        `starts_mid_line`, `ends_mid_line`: its first or last line is part of a line that is too long for a header.
        """
        lines = text.split("\n")
        last = len(lines) - 1
        incomplete = {0} if starts_mid_line else set[int]()
        if ends_mid_line:
            incomplete.add(last)
        removed = {n for n, line in enumerate(lines) if line and n not in incomplete and self._is_repeated(line)}
        if not removed:
            return text
        kept = [line for n, line in enumerate(lines) if n not in removed]
        if last in removed and kept:
            kept.append("")  # the end of the previous line is kept
        return "\n".join(kept)

    def _is_repeated(self, line: str) -> bool:
        first = line.lstrip()[:1]  # rules out most lines quickly
        return (first in self._first or (self._any_digit and first.isdecimal())) and pattern(line) in self._repeated


@dataclass(slots=True)
class _Recurrence:
    """The occurrences of one line in a document."""

    last: int
    number: int
    count: int = 1
    gaps: int = 0
    squares: int = 0
    counting: int = 0

    def add(self, position: int, number: int) -> None:
        gap = position - self.last
        self.count += 1
        self.gaps += gap
        self.squares += gap * gap
        self.counting += 1 <= number - self.number <= 2
        self.last, self.number = position, number

    def is_header(self) -> bool:
        times = self.count - 1
        if self.count < _MIN_PAGES or not _PAGE_CHARACTERS[0] <= self.gaps / times <= _PAGE_CHARACTERS[1]:
            return False
        mean = self.gaps / times
        deviation = max(0.0, self.squares / times - mean * mean) ** 0.5 / mean
        if self.counting >= 0.8 * times:
            return deviation <= _MAX_DEVIATION_NUMBERED
        return deviation <= _MAX_DEVIATION


@dataclass
class RepeatedLineFinder:
    """Finds the repeated lines of one source. The number of lines that it tracks is limited."""

    _documents: int = 0
    _in_documents: dict[str, int] = field(default_factory=dict[str, int])
    _headers: set[str] = field(default_factory=set[str])
    _open: dict[str, _Recurrence] = field(default_factory=dict[str, _Recurrence])
    _rest: str = ""
    _position: int = 0
    _lines: int = 0

    def add(self, text: str, ends: bool) -> None:
        """Add the next chunk of a document, cleaned by the earlier rules."""
        lines = (self._rest + text).split("\n")
        self._rest = "" if ends else lines.pop()
        if len(self._rest) > 2 * MAX_HEADER_LENGTH:  # not a header, however it ends
            self._position += len(self._rest) - 2 * MAX_HEADER_LENGTH - 1
            self._rest = self._rest[: 2 * MAX_HEADER_LENGTH + 1]
        for line in lines:
            self._line(line)
        if ends:
            self._close()

    def _line(self, line: str) -> None:
        self._position += len(line) + 1
        if not line or line.isspace():
            return
        self._lines += 1
        if not (key := pattern(line)):
            return
        number = _DIGITS.search(line) if "#" in key else None
        value = int(number.group()[:18]) if number else 0
        if (seen := self._open.get(key)) is not None:
            seen.add(self._position, value)
            return
        if len(self._open) >= _MAX_TRACKED:
            self._open = {key: seen for key, seen in self._open.items() if seen.count > _SEEN_ONCE}
        if len(self._open) < _MAX_TRACKED:
            self._open[key] = _Recurrence(self._position, value)

    def _close(self) -> None:
        for key, seen in self._open.items():
            if seen.count >= _MIN_PAGES and seen.is_header() and len(self._headers) < _MAX_REMOVED:
                self._headers.add(key)
        if self._lines >= _MIN_LINES and self._position <= _MAX_PAGE_CHARACTERS:
            self._documents += 1
            self._count()
        self._open, self._rest, self._position, self._lines = {}, "", 0, 0

    def _count(self) -> None:
        counts = self._in_documents
        for key in self._open:
            counts[key] = counts.get(key, 0) + 1
        if len(counts) > 2 * _MAX_TRACKED:
            limit = _SEEN_ONCE  # dropped lines are counted again from 0; one in a tenth of the documents survives
            while len(counts) > _MAX_TRACKED:
                counts = {key: count for key, count in counts.items() if count > limit}
                limit += 1
            self._in_documents = counts

    def patterns(self) -> frozenset[str]:
        """The patterns of the lines to remove."""
        min_count = max(MIN_DOCUMENTS, MIN_DOCUMENT_FRACTION * self._documents)
        return frozenset(self._headers.union(self._most_frequent(min_count)))

    def _most_frequent(self, min_count: float) -> Iterator[str]:
        frequent = [(-count, key) for key, count in self._in_documents.items() if count >= min_count]
        return (key for _count, key in sorted(frequent)[:_MAX_REMOVED])

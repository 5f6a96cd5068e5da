"""Lines that recur on many pages: headers, footers, page numbers, the menu of a web site.

Two signs tell them from what an author repeats. Within a long document they come as regularly as the pages do, measured
in characters, or count the pages. Across a source they stand in many of its documents. The names of a play's speakers
do neither, nor does a refrain. Numbers in a line count as one: “Page 12 of 300” is the same line on each page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

LONGEST_LINE = 100
"""Characters of a line that may be a header."""
LEAST_DOCUMENTS = 10
LEAST_SHARE = 0.1
"""A line stands in so many documents of a source and in such a share of them to be removed."""
_LEAST_LINES, _LONGEST_DOCUMENT = 3, 20_000
"""Lines, and characters, of a document that is a page of its source: in forty novels “— Yes.” stands ten times."""
_LEAST_PAGES = 8
"""Times that a line recurs in one document."""
_PAGE = (500, 8_000)
"""Characters from one header to the next, on average."""
_IRREGULAR, _IRREGULAR_NUMBERED = 0.35, 0.5
"""Most deviation of these distances, as a share of their mean. Lines at random places have 1, numbered chapters 0.6."""
_MOST_KNOWN = 100_000
"""Different lines remembered at once; when there are more, those seen once are forgotten."""
_MOST_REMOVED = 10_000

_DIGITS = re.compile(r"\d+")
_SEEN_ONCE = 1


def pattern(line: str) -> str:
    """What `line` has in common with its likes on other pages, or "" where it can't be a header."""
    if len(line) > 2 * LONGEST_LINE:
        return ""
    plain = _DIGITS.sub("#", " ".join(line.split()))
    if len(plain) > LONGEST_LINE or not ("#" in plain or any(map(str.isalpha, plain))):
        return ""
    return plain


class LineRemover:
    """Removes the lines of given patterns."""

    def __init__(self, repeated: frozenset[str]) -> None:
        self._repeated = repeated
        self._first = {key[0] for key in repeated}
        if "#" in self._first:
            self._first.update("0123456789")
        self._any_digit = "#" in self._first

    def __call__(self, text: str, goes_on: bool, continues: bool) -> str:
        """`text` without these lines.

        `goes_on`: it begins within a line, `continues`: it ends within one, that is too long for a header.
        """
        lines = text.split("\n")
        last = len(lines) - 1
        inside = {0} if goes_on else set[int]()
        if continues:
            inside.add(last)
        gone = {n for n, line in enumerate(lines) if line and n not in inside and self._has(line)}
        if not gone:
            return text
        out = [line for n, line in enumerate(lines) if n not in gone]
        if last in gone and out:
            out.append("")  # the end of the line before stays
        return "\n".join(out)

    def _has(self, line: str) -> bool:
        first = line.lstrip()[:1]  # most lines begin in another way
        return (first in self._first or (self._any_digit and first.isdecimal())) and pattern(line) in self._repeated


@dataclass(slots=True)
class _Recurrence:
    """Where one line has been seen in a document."""

    last: int
    number: int
    count: int = 1
    gaps: int = 0
    squares: int = 0
    counted_on: int = 0

    def again(self, place: int, number: int) -> None:
        gap = place - self.last
        self.count += 1
        self.gaps += gap
        self.squares += gap * gap
        self.counted_on += 1 <= number - self.number <= 2
        self.last, self.number = place, number

    def is_a_header(self) -> bool:
        times = self.count - 1
        if self.count < _LEAST_PAGES or not _PAGE[0] <= self.gaps / times <= _PAGE[1]:
            return False
        mean = self.gaps / times
        irregular = max(0.0, self.squares / times - mean * mean) ** 0.5 / mean
        if self.counted_on >= 0.8 * times:
            return irregular <= _IRREGULAR_NUMBERED
        return irregular <= _IRREGULAR


@dataclass
class RepeatedLines:
    """Finds the repeated lines of one source, remembering at most so many different ones."""

    _documents: int = 0
    _in_documents: dict[str, int] = field(default_factory=dict[str, int])
    _headers: set[str] = field(default_factory=set[str])
    _open: dict[str, _Recurrence] = field(default_factory=dict[str, _Recurrence])
    _rest: str = ""
    _place: int = 0
    _lines: int = 0

    def add(self, text: str, ends: bool) -> None:
        """The next part of a document, cleaned by the rules before."""
        lines = (self._rest + text).split("\n")
        self._rest = "" if ends else lines.pop()
        if len(self._rest) > 2 * LONGEST_LINE:  # no header, however it ends
            self._place += len(self._rest) - 2 * LONGEST_LINE - 1
            self._rest = self._rest[: 2 * LONGEST_LINE + 1]
        for line in lines:
            self._line(line)
        if ends:
            self._close()

    def _line(self, line: str) -> None:
        self._place += len(line) + 1
        if not line or line.isspace():
            return
        self._lines += 1
        if not (key := pattern(line)):
            return
        number = _DIGITS.search(line) if "#" in key else None
        value = int(number.group()[:18]) if number else 0
        if (seen := self._open.get(key)) is not None:
            seen.again(self._place, value)
            return
        if len(self._open) >= _MOST_KNOWN:
            self._open = {key: seen for key, seen in self._open.items() if seen.count > _SEEN_ONCE}
        if len(self._open) < _MOST_KNOWN:
            self._open[key] = _Recurrence(self._place, value)

    def _close(self) -> None:
        for key, seen in self._open.items():
            if seen.count >= _LEAST_PAGES and seen.is_a_header() and len(self._headers) < _MOST_REMOVED:
                self._headers.add(key)
        if self._lines >= _LEAST_LINES and self._place <= _LONGEST_DOCUMENT:
            self._documents += 1
            self._count()
        self._open, self._rest, self._place, self._lines = {}, "", 0, 0

    def _count(self) -> None:
        counts = self._in_documents
        for key in self._open:
            counts[key] = counts.get(key, 0) + 1
        if len(counts) > 2 * _MOST_KNOWN:
            least = _SEEN_ONCE  # forgotten lines may come again: a line in a tenth of the documents survives
            while len(counts) > _MOST_KNOWN:
                counts = {key: count for key, count in counts.items() if count > least}
                least += 1
            self._in_documents = counts

    def found(self) -> frozenset[str]:
        """The patterns of the lines to remove."""
        least = max(LEAST_DOCUMENTS, LEAST_SHARE * self._documents)
        return frozenset(self._headers.union(self._most(least)))

    def _most(self, least: float) -> Iterator[str]:
        often = [(-count, key) for key, count in self._in_documents.items() if count >= least]
        return (key for _count, key in sorted(often)[:_MOST_REMOVED])

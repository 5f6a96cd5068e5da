"""Joins the lines of a document's pages to its text: without running heads and page numbers, with divided words joined.

A hyphen at the end of a line is part of the word in *peut-être* but not in *extraordinaire*, and the line alone doesn't
show which. It is removed if the rest of the text contains the word without it. Otherwise, it is kept if the text
contains the word with a hyphen, if one half is in the lists below, or if both halves are words of the text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from llm_studio.data.sources.readers.page_layout import Line, Start

_HYPHENS = "-\u2010\u00ad"
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?(?:[-\u2010][^\W\d_]+)*")
_LAST = re.compile(r"[^\W\d_]+(?:[-\u2010][^\W\d_]+)*$")
_MARGIN = 0.09
"""Fraction of the page height: running heads and page numbers are within this distance of the upper or lower edge."""
_NUMBER = re.compile(
    r"[\W_]*(?:page|seite|p\.)?[\W_]*(?:\d{1,4}|[ivxlc]{1,7})[\W_]*(?:(?:of|sur|von|de)?[\W_]*\d{1,4})?[\W_]*",
    re.IGNORECASE,
)
_EDGE_LINES = 2
"""Number of lines at the top and at the bottom of a page that may be running heads."""


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_FIRST_HALVES = _set_of(
    """peut grand grande petit petite porte après avant demi demie mi semi sous vice ex quelques celui celle ceux celles
    lui elle elles eux soi moi toi nous vous là ci vingt trente quarante cinquante soixante quatre dix arc chef chou
    rendez bien mal non beau belle passe tire pot tête contre arrière outre est dit fit pense
    well self half twenty thirty forty fifty sixty seventy eighty ninety mother father brother sister son daughter all
    cross good ill old new high low long short so anti pro"""
)
"""First halves of words that usually have a hyphen."""
_LAST_HALVES = _set_of(
    "il elle on ils elles je tu nous vous ce t moi toi lui leur le la les en y là ci même mêmes être in law"
)
"""Second halves of such words."""


@dataclass(frozen=True, slots=True)
class Page:
    """The lines of a page in reading order. `height`: height of the page in points.

    `unreadable`: number of characters for which the file doesn't specify the letters.
    """

    lines: Sequence[Line]
    height: float
    unreadable: int = 0


def texts(pages: Sequence[Page]) -> Iterator[str]:
    """The text of each page that isn't empty, beginning with the separator from the previous page."""
    words = _Words(line.text for page in pages for line in page.lines)
    done, before = "", None
    for page in pages:
        text = ""
        for line in page.lines:
            separator = "" if before is None else _separator(before, line, words)
            if separator is None:
                text, done = (text[:-1], done) if text else ("", done[:-1])
            text += (separator or "") + line.text
            before = line
        if text:
            if done:
                yield done
            done = text
    if done:
        yield done


def _separator(before: Line, line: Line, words: "_Words") -> str | None:
    """The separator between two lines; None if the hyphen at the end of the first one is to be removed."""
    if not _same_paragraph(before, line):
        return "\n" if line.start is Start.LINE else "\n\n"
    if not _is_divided(before.text) or not line.text[:1].isalnum():
        return " "
    return "" if words.keep_hyphen(before.text, line.text) else None


def _same_paragraph(before: Line, line: Line) -> bool:
    """Whether a line is in the same paragraph as the previous one."""
    if line.start is Start.COLUMN:  # there is no meaningful distance between the two
        return (before.full or _is_divided(before.text)) and line.text[:1].islower()
    return line.start is Start.CONTINUES or (_is_divided(before.text) and line.text[:1].isalnum())


def _is_divided(line: str) -> bool:
    return line[-1:] in _HYPHENS and line[-2:-1].isalnum()


class _Words:
    """The words of a text, except those divided between two lines."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._known: set[str] = set()
        divided = False
        for line in lines:
            found = [match[0].casefold() for match in _WORD.finditer(line)]
            first, divided = int(divided), _is_divided(line)
            self._known.update(found[first : len(found) - divided])

    def keep_hyphen(self, before: str, line: str) -> bool:
        """Whether the hyphen at the end of a line belongs to its last word."""
        if before[-1] == "\u00ad":
            return False
        first, after = _LAST.search(before[:-1]), _WORD.match(line)
        if first is None or after is None or after[0][0].isupper() or "-" in first[0]:
            return True
        half, other = first[0].casefold(), after[0].casefold()
        if half + other in self._known:
            return False
        if f"{half}-{other}" in self._known or half in _FIRST_HALVES or other.split("-")[0] in _LAST_HALVES:
            return True
        return half in self._known and other in self._known


# --- Running heads and page numbers -----------------------------------------------------------------------------------


def without_running_heads(pages: Sequence[Page]) -> tuple[list[Page], int]:
    """The pages without running heads, and the number of lines removed.

    Running heads are lines at the same height near the edge of several pages that differ in numbers only; page numbers
    alone are among them.
    """
    counts = Counter(key for page in pages for key in {_key(page, n) for n in _edge(page)} if key)
    least = max(2, -(-len(pages) // 4))
    repeated = {key for key, count in counts.items() if count >= min(least, 4)}
    out: list[Page] = []
    removed = 0
    for page in pages:
        gone = {n for n in _edge(page) if _key(page, n) in repeated}
        removed += len(gone)
        kept = [line for n, line in enumerate(page.lines) if n not in gone]
        if kept and gone:
            kept[0] = replace(kept[0], start=Start.COLUMN)
        out.append(replace(page, lines=kept))
    return out, removed


def _edge(page: Page) -> list[int]:
    """The indices of the highest and the lowest lines of the page."""
    order = sorted(range(len(page.lines)), key=lambda n: page.lines[n].at)
    return list(dict.fromkeys([*order[:_EDGE_LINES], *order[-_EDGE_LINES:]]))


def _key(page: Page, n: int) -> tuple[str, int] | None:
    """A key that is equal for running heads of several pages; None for lines that can't be running heads."""
    line = page.lines[n]
    place = line.at / max(page.height, 1.0)
    if _MARGIN < place < 1 - _MARGIN or len(line.text) > 100:
        return None
    words = "#" if _NUMBER.fullmatch(line.text) else re.sub(r"\d+", "#", line.text.casefold())
    return words, round(place * 100)

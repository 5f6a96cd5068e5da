"""The reading order of a page: finds lines, columns and paragraphs from the positions of its characters.

Coordinates are those of PDF: points, y upwards. A page is divided into regions. Two columns are separated by a gutter,
a vertical band with prose on both sides that hardly any text crosses. Text that does, such as a title or a caption over
the full width, separates the regions above it from those below. Within a region, a line continues the previous one if
its first word would not have fitted there.
"""

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

_WIDE_GAP = 0.75
"""Multiple of the font height: a wider gap ends a span of text. Gaps between words are 0.2 to 0.6."""
_NO_SPACE, _CELL_GAP = 0.1, 1.5
"""Multiples of the font height: a gap below the first is inside a word; one above the second separates table cells."""
_SAME_LINE = 0.35
"""Multiple of the font height: characters whose baselines differ by less are on one line, such as marks of notes."""
_GUTTER = 0.6
"""Multiple of the font height: minimum width of the gutter between two columns."""
_CROSSING = 0.3
"""Maximum fraction of the spans that may cross a gutter."""
_MIN_LINES, _PROSE = 3, 12
"""Minimum number of lines of a column, and of characters in its median line. Narrower columns are cells of a table."""
_PARAGRAPH_GAP = 1.4
"""Multiple of the usual distance between lines: a larger distance separates paragraphs."""
_INDENT = 0.6
"""Multiple of the font height: a line that is indented by more is the first of a paragraph."""
_OTHER_SIZE = 1.2
"""Ratio of the font heights of two lines above which one of them is a heading."""


class Glyph(NamedTuple):
    """A character: its left and right edges, its baseline and the font height. `after_space`: it begins a new word."""

    text: str
    left: float
    right: float
    baseline: float
    height: float
    after_space: bool = False


class Start(Enum):
    """How a line begins."""

    CONTINUES = 0
    """Continues a paragraph."""
    LINE = 1
    """A new line."""
    PARAGRAPH = 2
    """A new line after a gap or a change of font size."""
    COLUMN = 3
    """The first line of a column or a page, which may continue a paragraph of the previous one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text in reading order. `at`: its baseline. `full`: it reaches the right edge of its column."""

    text: str
    start: Start
    at: float
    full: bool = False


@dataclass(slots=True)
class _Span:
    """Text on one baseline without a wide gap. `word_end`: right edge of its first word."""

    text: str
    left: float
    right: float
    baseline: float
    height: float
    word_end: float
    cells: bool = False
    """Whether it is a row of a table: spans far from each other."""


def lines_of(glyphs: Iterable[Glyph]) -> list[Line]:
    """The lines of a page in reading order."""
    return [line for region in _regions(_spans(glyphs)) for line in _lines(region)]


# --- Spans ------------------------------------------------------------------------------------------------------------


def _spans(glyphs: Iterable[Glyph]) -> list[_Span]:
    found: list[_Span] = []
    span: _Span | None = None
    for glyph in glyphs:
        if span is None or not _continues(span, glyph):
            span = _Span(glyph.text, glyph.left, glyph.right, glyph.baseline, glyph.height, glyph.right)
            found.append(span)
            continue
        one_word = " " not in span.text and not glyph.after_space
        span.text += f" {glyph.text}" if glyph.after_space else glyph.text
        if glyph.right > span.right:
            span.right = glyph.right
        if glyph.height > span.height:
            span.height = glyph.height
        if one_word:
            span.word_end = span.right
    return found


def _continues(span: _Span, glyph: Glyph) -> bool:
    height = span.height if span.height > glyph.height else glyph.height
    gap = glyph.left - span.right
    return abs(glyph.baseline - span.baseline) < _SAME_LINE * height and -0.5 * height < gap < _WIDE_GAP * height


# --- Columns ----------------------------------------------------------------------------------------------------------


def _regions(spans: Sequence[_Span]) -> list[list[_Span]]:
    """The regions of a page in reading order."""
    gutter = _gutter(spans)
    if gutter is None:
        return [list(spans)] if spans else []
    regions: list[list[_Span]] = []
    above: list[_Span] = []
    crossing: list[_Span] = []
    for span in sorted(spans, key=lambda span: -span.baseline):
        if span.left < gutter < span.right:
            regions += _columns(above, gutter)
            above = []
            crossing.append(span)
        else:
            regions += _regions(crossing)
            crossing = []
            above.append(span)
    return regions + _regions(crossing) + _columns(above, gutter)


def _columns(spans: Sequence[_Span], gutter: float) -> list[list[_Span]]:
    left = [span for span in spans if span.right <= gutter]
    right = [span for span in spans if span.right > gutter]
    return [*_regions(left), *_regions(right)]


def _gutter(spans: Sequence[_Span]) -> float | None:
    """The x coordinate of the middle of the gutter between two columns; None if there is only one column."""
    if len(spans) < 2 * _MIN_LINES:
        return None
    height = statistics.median(span.height for span in spans)
    best: tuple[int, float, float] | None = None
    for start in sorted({span.right for span in spans}):
        right = [span for span in spans if span.left >= start]
        if len(right) < _MIN_LINES:
            break
        end = _usual_left(right, height)
        if end - start < _GUTTER * height:
            continue
        middle = (start + end) / 2
        left = [span for span in spans if span.right <= middle]
        right = [span for span in right if span.left >= middle]
        crossing = len(spans) - len(left) - len(right)
        if crossing > _CROSSING * len(spans) or not (_is_column(left) and _is_column(right)):
            continue
        if not _side_by_side(left, right):
            continue
        found = (crossing, start - end, middle)
        if best is None or found < best:
            best = found
    return best[2] if best else None


def _usual_left(spans: Sequence[_Span], height: float) -> float:
    """The left edge of the spans, ignoring up to a tenth that extend further to the left."""
    lefts = sorted(span.left for span in spans)
    first = lefts[0]
    return first if lefts[len(lefts) // 10] - first < height else lefts[len(lefts) // 10]


def _is_column(spans: Sequence[_Span]) -> bool:
    if len(spans) < _MIN_LINES:
        return False
    return statistics.median(len(span.text) for span in spans) >= _PROSE


def _side_by_side(left: Sequence[_Span], right: Sequence[_Span]) -> bool:
    """Whether the columns overlap vertically by more than half of the shorter one."""
    extents = [(min(p.baseline for p in side), max(p.baseline for p in side)) for side in (left, right)]
    common = min(top for _bottom, top in extents) - max(bottom for bottom, _top in extents)
    return common > 0.5 * min(top - bottom for bottom, top in extents)


# --- Lines and paragraphs ---------------------------------------------------------------------------------------------


def _lines(region: Sequence[_Span]) -> list[Line]:
    rows = _rows(region)
    left = _typical([row.left for row in rows])
    right = max(row.right for row in rows)
    pitches = [one.baseline - other.baseline for one, other in itertools.pairwise(rows)]
    usual = statistics.median(pitches) if pitches else 0.0
    lines: list[Line] = []
    before: _Span | None = None
    for row in rows:
        full = right - row.right < 2 * row.height
        lines.append(Line(row.text, _start(before, row, left, right, usual), row.baseline, full))
        before = row
    return lines


def _start(before: _Span | None, row: _Span, left: float, right: float, usual: float) -> Start:
    if before is None:
        return Start.COLUMN
    larger, smaller = max(before.height, row.height), min(before.height, row.height)
    if before.baseline - row.baseline > _PARAGRAPH_GAP * usual or larger > _OTHER_SIZE * smaller:
        return Start.PARAGRAPH
    indented = row.left - left > _INDENT * row.height and row.left - before.left > _INDENT * row.height
    fits = before.right + (row.word_end - row.left) + 0.3 * row.height < right
    return Start.LINE if indented or fits or row.cells or before.cells else Start.CONTINUES


def _rows(region: Sequence[_Span]) -> list[_Span]:
    """The lines of a region from top to bottom; the cells of a table row form one line."""
    rows: list[list[_Span]] = []
    for span in sorted(region, key=lambda span: -span.baseline):
        if rows and rows[-1][0].baseline - span.baseline < _SAME_LINE * max(rows[-1][0].height, span.height):
            rows[-1].append(span)
        else:
            rows.append([span])
    return [_joined(sorted(row, key=lambda span: span.left)) for row in rows]


def _joined(row: Sequence[_Span]) -> _Span:
    first = row[0]
    text = first.text
    cells = False
    for before, span in itertools.pairwise(row):
        gap = (span.left - before.right) / span.height
        text += ("" if gap < _NO_SPACE else "\t" if gap > _CELL_GAP else " ") + span.text
        cells = cells or gap > _CELL_GAP
    main = max(row, key=lambda span: len(span.text))
    right = max(span.right for span in row)
    return _Span(text, first.left, right, main.baseline, main.height, first.word_end, cells)


def _typical(values: Sequence[float]) -> float:
    """The most frequent of `values`, rounded to 2 points; the smallest one if there are several."""
    counts: dict[int, int] = {}
    for value in values:
        counts[round(value / 2)] = counts.get(round(value / 2), 0) + 1
    return 2.0 * min(counts, key=lambda key: (-counts[key], key))

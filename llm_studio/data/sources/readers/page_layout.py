"""The reading order of a page: from the places of its characters to lines, columns and paragraphs.

Coordinates are those of PDF: points, y upwards. A page is cut into regions as a reader sees it. A gutter, a band that
hardly any text crosses and that has prose on both sides, separates two columns; what crosses it, a title or a picture's
caption over the whole width, separates what is above from what is below. Within a region, a line continues the one
before where its first word would not have fitted there.
"""

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

_WIDE_GAP = 0.75
"""Of the font's height: a wider gap ends a piece of text. Between words it is 0.2 to 0.6."""
_NO_SPACE, _CELL_GAP = 0.1, 1.5
"""Of the font's height: two pieces of a line so near belong to one word, and so far apart to two cells of a table."""
_SAME_LINE = 0.35
"""Of the font's height: characters whose baselines differ less stand on one line, as notes' marks do."""
_GUTTER = 0.6
"""Of the font's height: the least width of the white band between two columns."""
_CROSSING = 0.3
"""At most this fraction of the lines beside a gutter may cross it."""
_FEWEST_LINES, _PROSE = 3, 12
"""Of a column: lines, and characters in the median line. Narrower ones are cells of a table."""
_PARAGRAPH_GAP = 1.4
"""Of the usual distance between lines: a larger one separates paragraphs."""
_INDENT = 0.6
"""Of the font's height: what begins farther to the right is the first line of a paragraph."""
_OTHER_SIZE = 1.2
"""Times the size of the line before: a heading, or text after one."""


class Glyph(NamedTuple):
    """A character: where it begins and ends, its baseline and the height of its font. `after_space`: of a new word."""

    text: str
    left: float
    right: float
    baseline: float
    height: float
    after_space: bool = False


class Start(Enum):
    """How a line begins."""

    CONTINUES = 0
    """In the middle of a paragraph."""
    LINE = 1
    """A new line."""
    PARAGRAPH = 2
    """A new line, after a gap."""
    COLUMN = 3
    """The first line of a column or a page: what it continues is elsewhere."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text in reading order. `at` is its baseline; `full`: its end is that of its column's lines."""

    text: str
    start: Start
    at: float
    full: bool = False


@dataclass(slots=True)
class _Piece:
    """Text on one baseline without a wide gap. `word_end`: where its first word ends."""

    text: str
    left: float
    right: float
    baseline: float
    height: float
    word_end: float
    cells: bool = False
    """Whether it is a row of a table: pieces far from each other."""


def lines_of(glyphs: Iterable[Glyph]) -> list[Line]:
    """The lines of a page in reading order."""
    return [line for region in _regions(_pieces(glyphs)) for line in _lines(region)]


# --- Pieces -----------------------------------------------------------------------------------------------------------


def _pieces(glyphs: Iterable[Glyph]) -> list[_Piece]:
    found: list[_Piece] = []
    piece: _Piece | None = None
    for glyph in glyphs:
        if piece is None or not _continues(piece, glyph):
            piece = _Piece(glyph.text, glyph.left, glyph.right, glyph.baseline, glyph.height, glyph.right)
            found.append(piece)
            continue
        one_word = " " not in piece.text and not glyph.after_space
        piece.text += f" {glyph.text}" if glyph.after_space else glyph.text
        if glyph.right > piece.right:
            piece.right = glyph.right
        if glyph.height > piece.height:
            piece.height = glyph.height
        if one_word:
            piece.word_end = piece.right
    return found


def _continues(piece: _Piece, glyph: Glyph) -> bool:
    height = piece.height if piece.height > glyph.height else glyph.height
    gap = glyph.left - piece.right
    return abs(glyph.baseline - piece.baseline) < _SAME_LINE * height and -0.5 * height < gap < _WIDE_GAP * height


# --- Columns ----------------------------------------------------------------------------------------------------------


def _regions(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """The regions of a page in reading order."""
    gutter = _gutter(pieces)
    if gutter is None:
        return [list(pieces)] if pieces else []
    regions: list[list[_Piece]] = []
    above: list[_Piece] = []
    crossing: list[_Piece] = []
    for piece in sorted(pieces, key=lambda piece: -piece.baseline):
        if piece.left < gutter < piece.right:
            regions += _columns(above, gutter)
            above = []
            crossing.append(piece)
        else:
            regions += _regions(crossing)
            crossing = []
            above.append(piece)
    return regions + _regions(crossing) + _columns(above, gutter)


def _columns(pieces: Sequence[_Piece], gutter: float) -> list[list[_Piece]]:
    left = [piece for piece in pieces if piece.right <= gutter]
    right = [piece for piece in pieces if piece.right > gutter]
    return [*_regions(left), *_regions(right)]


def _gutter(pieces: Sequence[_Piece]) -> float | None:
    """The middle of the white band between two columns, None where there is one column."""
    if len(pieces) < 2 * _FEWEST_LINES:
        return None
    height = statistics.median(piece.height for piece in pieces)
    best: tuple[int, float, float] | None = None
    for start in sorted({piece.right for piece in pieces}):
        right = [piece for piece in pieces if piece.left >= start]
        if len(right) < _FEWEST_LINES:
            break
        end = _usual_left(right, height)
        if end - start < _GUTTER * height:
            continue
        middle = (start + end) / 2
        left = [piece for piece in pieces if piece.right <= middle]
        right = [piece for piece in right if piece.left >= middle]
        crossing = len(pieces) - len(left) - len(right)
        if crossing > _CROSSING * len(pieces) or not (_is_column(left) and _is_column(right)):
            continue
        if not _side_by_side(left, right):
            continue
        found = (crossing, start - end, middle)
        if best is None or found < best:
            best = found
    return best[2] if best else None


def _usual_left(pieces: Sequence[_Piece], height: float) -> float:
    """Where the leftmost of them begin, but for a few that stick out."""
    lefts = sorted(piece.left for piece in pieces)
    first = lefts[0]
    return first if lefts[len(lefts) // 10] - first < height else lefts[len(lefts) // 10]


def _is_column(pieces: Sequence[_Piece]) -> bool:
    if len(pieces) < _FEWEST_LINES:
        return False
    return statistics.median(len(piece.text) for piece in pieces) >= _PROSE


def _side_by_side(left: Sequence[_Piece], right: Sequence[_Piece]) -> bool:
    """Whether most of the shorter column has the other beside it."""
    spans = [(min(p.baseline for p in side), max(p.baseline for p in side)) for side in (left, right)]
    common = min(top for _bottom, top in spans) - max(bottom for bottom, _top in spans)
    return common > 0.5 * min(top - bottom for bottom, top in spans)


# --- Lines and paragraphs ---------------------------------------------------------------------------------------------


def _lines(region: Sequence[_Piece]) -> list[Line]:
    rows = _rows(region)
    left = _typical([row.left for row in rows])
    right = max(row.right for row in rows)
    pitches = [one.baseline - other.baseline for one, other in itertools.pairwise(rows)]
    usual = statistics.median(pitches) if pitches else 0.0
    lines: list[Line] = []
    before: _Piece | None = None
    for row in rows:
        full = right - row.right < 2 * row.height
        lines.append(Line(row.text, _start(before, row, left, right, usual), row.baseline, full))
        before = row
    return lines


def _start(before: _Piece | None, row: _Piece, left: float, right: float, usual: float) -> Start:
    if before is None:
        return Start.COLUMN
    larger, smaller = max(before.height, row.height), min(before.height, row.height)
    if before.baseline - row.baseline > _PARAGRAPH_GAP * usual or larger > _OTHER_SIZE * smaller:
        return Start.PARAGRAPH
    indented = row.left - left > _INDENT * row.height and row.left - before.left > _INDENT * row.height
    fits = before.right + (row.word_end - row.left) + 0.3 * row.height < right
    return Start.LINE if indented or fits or row.cells or before.cells else Start.CONTINUES


def _rows(region: Sequence[_Piece]) -> list[_Piece]:
    """The lines of a region from top to bottom; cells of a table stand in one line."""
    rows: list[list[_Piece]] = []
    for piece in sorted(region, key=lambda piece: -piece.baseline):
        if rows and rows[-1][0].baseline - piece.baseline < _SAME_LINE * max(rows[-1][0].height, piece.height):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [_joined(sorted(row, key=lambda piece: piece.left)) for row in rows]


def _joined(row: Sequence[_Piece]) -> _Piece:
    first = row[0]
    text = first.text
    cells = False
    for before, piece in itertools.pairwise(row):
        gap = (piece.left - before.right) / piece.height
        text += ("" if gap < _NO_SPACE else "\t" if gap > _CELL_GAP else " ") + piece.text
        cells = cells or gap > _CELL_GAP
    main = max(row, key=lambda piece: len(piece.text))
    right = max(piece.right for piece in row)
    return _Piece(text, first.left, right, main.baseline, main.height, first.word_end, cells)


def _typical(values: Sequence[float]) -> float:
    """The value that most of them are close to, the smallest of several."""
    counts: dict[int, int] = {}
    for value in values:
        counts[round(value / 2)] = counts.get(round(value / 2), 0) + 1
    return 2.0 * min(counts, key=lambda key: (-counts[key], key))

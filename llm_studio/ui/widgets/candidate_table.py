"""A table of candidates for the next token, before and after each sampling filter."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from PySide6.QtCore import (
    QAbstractTableModel,
    QLine,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableView,
    QWidget,
)

from llm_studio.i18n import _, number, percent
from llm_studio.ui import theme
from llm_studio.workflows.generation.next_token import Candidate, Candidates, stage_name, visible

_Index = QModelIndex | QPersistentModelIndex
_TOKEN, _ID, _FIRST = 0, 1, 2
"""Columns; from the third one on, the stages, and last the sampling probability."""
_MORE = 50
"""Number of rows that are added when the last ones become visible."""
_ROW, _BAR, _EDGES, _LEAST = 24, 3, 14, 84
"""Height of a row, of the bar in a cell, horizontal padding of a text, and minimum width of a token, in pixels."""


class _Fonts(NamedTuple):
    """The fonts of all cells, created once: a table has hundreds of cells, which each move of a slider repaints."""

    plain: QFont
    bold: QFont
    fixed: QFont
    struck: QFont


@functools.cache
def _fonts() -> _Fonts:
    struck = theme.font(12, fixed=True)
    struck.setStrikeOut(True)
    return _Fonts(theme.font(12), theme.font(12, bold=True), theme.font(12, fixed=True), struck)


@functools.lru_cache(maxsize=1000)
def _elided(text: str, width: int) -> str:
    """A token, cut where it is wider."""
    return QFontMetrics(_fonts().fixed).elidedText(text, Qt.TextElideMode.ElideRight, width)


@functools.lru_cache(maxsize=1000)
def _advance(text: str) -> int:
    """Pixels of a title or a figure."""
    return QFontMetrics(_fonts().bold).horizontalAdvance(text)


class CandidateRows(QAbstractTableModel):
    """Holds the first candidates; emits `more_requested` when the user scrolls beyond them."""

    more_requested = Signal(int)
    """The number of rows that should be available."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.candidates = Candidates((), (), (), 0)
        self.written: int | None = None
        """The token that is in the text at this position."""
        self.short_titles = False
        self.widest = 1.0
        """The largest displayed probability: its bar has the full width."""

    def show_candidates(self, candidates: Candidates, written: int | None) -> None:
        """Show other candidates. If their number is unchanged, the view keeps its scroll position and selection."""
        old, new = len(self.candidates.first), len(candidates.first)
        same_columns = self.candidates.stages == candidates.stages
        if not same_columns or new < old:
            self.beginResetModel()
        elif new > old:
            self.beginInsertRows(QModelIndex(), old, new - 1)
        self.candidates, self.written = candidates, written
        self.widest = max((max(one.probs) for one in candidates.first[:_MORE]), default=1.0)
        if not same_columns or new < old:
            self.endResetModel()
            return
        if new > old:
            self.endInsertRows()
        self.dataChanged.emit(self.index(0, 0), self.index(new - 1, self.columnCount() - 1))

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008  Qt's
        """Number of candidates."""
        return 0 if parent.isValid() else len(self.candidates.first)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008  Qt's
        """Number of columns."""
        return 0 if parent.isValid() or not self.candidates.stages else _FIRST + len(self.candidates.stages) + 1

    def canFetchMore(self, parent: _Index) -> bool:  # noqa: N802  Qt's
        """Whether there are more candidates."""
        return not parent.isValid() and 0 < len(self.candidates.first) < self.candidates.total

    def fetchMore(self, parent: _Index) -> None:  # noqa: N802  Qt's
        """Request more rows: the last ones are visible."""
        self.more_requested.emit(len(self.candidates.first) + _MORE)

    def stage(self, column: int) -> int | None:
        """The index of a column's stage, None for the token and its id."""
        return min(column - _FIRST, len(self.candidates.stages) - 1) if column >= _FIRST else None

    def is_neutral(self, column: int) -> bool:
        """Whether it is the column of a filter without an effect."""
        stage = self.stage(column)
        if not stage or column == self.columnCount() - 1:
            return False
        return all(one.probs[stage] == one.probs[stage - 1] for one in self.candidates.first)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802  Qt's
        """The name of a column, and the number of tokens its filter removes."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._title(section)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._explained(section)
        side = Qt.AlignmentFlag.AlignLeft if section == _TOKEN else Qt.AlignmentFlag.AlignRight
        return side | Qt.AlignmentFlag.AlignVCenter if role == Qt.ItemDataRole.TextAlignmentRole else None

    def _title(self, column: int) -> str:
        stage = self.stage(column)
        if stage is None:
            return _("Token") if column == _TOKEN else _("Id")
        if column == self.columnCount() - 1:
            return _("Drawing") if self.short_titles else _("Probability\nwhen drawing")
        if stage == 0:
            return _("Model") if self.short_titles else _("Model’s\nprobability")
        removed = self.candidates.removed[stage]
        return stage_name(self.candidates.stages[stage]) + "\n" + (f"−{number(removed)}" if removed else "")

    def _explained(self, column: int) -> str:
        stage = self.stage(column)
        if stage is None:
            return ""
        if column == self.columnCount() - 1:
            return _("The probability with which the token is drawn with these settings; together 100\u00a0%")
        if stage == 0:
            return _("The model's probability of each token, before any setting")
        return _("After this filter: {left} tokens left, {removed} removed.").format(
            left=number(self.candidates.left[stage]), removed=number(self.candidates.removed[stage])
        )

    def flags(self, index: _Index) -> Qt.ItemFlag:
        """Disable special tokens that separate texts: they can't be added."""
        writable = index.isValid() and self.candidates.first[index.row()].writable
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable if writable else Qt.ItemFlag.NoItemFlags

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The text and the appearance of a cell."""
        candidate, column = self.candidates.first[index.row()], index.column()
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self.text(candidate, column)
            case Qt.ItemDataRole.TextAlignmentRole:
                return self.headerData(column, Qt.Orientation.Horizontal, role)
            case Qt.ItemDataRole.ForegroundRole:
                return theme.color(self.color(candidate, column))
            case Qt.ItemDataRole.FontRole:
                return self.font(candidate, column)
            case Qt.ItemDataRole.ToolTipRole | Qt.ItemDataRole.AccessibleTextRole:
                return self._said(candidate, column)
            case _:
                return None

    def _reaches(self, candidate: Candidate, stage: int) -> bool:
        return candidate.kept or self.candidates.stages.index(candidate.removed_by) > stage

    def probability(self, candidate: Candidate, column: int) -> float:
        """The probability in a cell, 0 if there is none."""
        stage = self.stage(column)
        return candidate.probs[stage] if stage is not None and self._reaches(candidate, stage) else 0.0

    def text(self, candidate: Candidate, column: int) -> str:
        """The text of a cell."""
        stage = self.stage(column)
        if stage is None:
            return visible(candidate.text) if column == _TOKEN else str(candidate.token)
        if self._reaches(candidate, stage):
            return percent(candidate.probs[stage], 1)
        is_last = column == self.columnCount() - 1
        return "–" if is_last else "✕" if stage == self.candidates.stages.index(candidate.removed_by) else ""

    def color(self, candidate: Candidate, column: int) -> str:
        """The colour of a cell by its name in the theme."""
        if column == _TOKEN and candidate.token == self.written:
            return "accent"
        stage = self.stage(column)
        if stage is not None and not candidate.kept and stage == self.candidates.stages.index(candidate.removed_by):
            return "bad"
        if not candidate.kept or column == _ID:
            return "muted"
        is_last = column == self.columnCount() - 1
        changed = not stage or is_last or candidate.probs[stage] != candidate.probs[stage - 1]
        return "text" if changed else "muted"

    def font(self, candidate: Candidate, column: int) -> QFont:
        """The font of a cell; the token of a removed candidate is struck through."""
        if column == _TOKEN:
            return _fonts().fixed if candidate.kept else _fonts().struck
        return _fonts().bold if candidate.kept and column == self.columnCount() - 1 else _fonts().plain

    def _said(self, candidate: Candidate, column: int) -> str:
        if column == _TOKEN and not candidate.kept:
            by = stage_name(candidate.removed_by)
            return _("{token}: removed by {filter}").format(token=visible(candidate.text), filter=by)
        if column == _TOKEN and candidate.token == self.written:
            return _("{token}: in the text now").format(token=visible(candidate.text))
        return self.text(candidate, column)


class CandidateTable(QTableView):
    """A click on a candidate, or Return, requests adding it to the text. Columns that don't fit are hidden."""

    chosen = Signal(int)
    """A token."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows = CandidateRows(self)
        self.setModel(self.rows)
        theme.set_role(self, "dense")
        self.setAccessibleName(_("Possible next tokens"))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setDefaultSectionSize(_ROW)
        self.verticalHeader().setMinimumSectionSize(_ROW)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.clicked.connect(self._on_clicked)

    def show_candidates(self, candidates: Candidates, written: int | None = None) -> None:
        """Show candidates; `written` is the token in the text."""
        self.rows.show_candidates(candidates, written)
        # the signal headerDataChanged would repaint the whole table a second time
        self.horizontalHeader().viewport().update()
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Paint the cells that are seen, column by column: a delegate is called for each cell, and takes twice as long.

        Each call of Qt lets go of Python's lock, which a training run may then hold for a while: there are few.
        """
        rows, last = self.rows, self.rowAt(event.rect().bottom())
        first, last = max(0, self.rowAt(event.rect().top())), last if last >= 0 else self.rows.rowCount() - 1
        painter, top = QPainter(self.viewport()), self.rowViewportPosition(first)
        seen = rows.candidates.first[first : last + 1]
        for index in self.selectionModel().selectedRows():
            painter.fillRect(0, top + (index.row() - first) * _ROW, self.viewport().width(), _ROW,
                             theme.color("accent_soft"))  # fmt: skip
        painter.setPen(theme.color("line"))
        wide = self.horizontalHeader().length() - 1
        painter.drawLines([QLine(0, top + n * _ROW - 1, wide, top + n * _ROW - 1) for n in range(1, len(seen) + 1)])
        for column in range(rows.columnCount()):
            if not self.isColumnHidden(column):
                place = QRect(self.columnViewportPosition(column), top, self.columnWidth(column), _ROW)
                self._paint_texts(painter, column, seen, place)
                self._paint_bars(painter, column, seen, place)

    def _paint_texts(self, painter: QPainter, column: int, seen: Sequence[Candidate], place: QRect) -> None:
        """Write the cells of a column; `place`: the first of them."""
        rows, area = self.rows, place.adjusted(_EDGES // 2, 0, -_EDGES // 2, -1)
        side = Qt.AlignmentFlag.AlignVCenter | (
            Qt.AlignmentFlag.AlignLeft if column == _TOKEN else Qt.AlignmentFlag.AlignRight
        )
        font, color = None, ""
        for candidate in seen:
            text = rows.text(candidate, column)
            if column == _TOKEN:
                text = _elided(text, area.width())
            if font is not rows.font(candidate, column):
                font = rows.font(candidate, column)
                painter.setFont(font)
            if color != rows.color(candidate, column):
                color = rows.color(candidate, column)
                painter.setPen(theme.color(color))
            painter.drawText(area, side, text)
            area.translate(0, _ROW)

    def _paint_bars(self, painter: QPainter, column: int, seen: Sequence[Candidate], place: QRect) -> None:
        """Draw a bar below each probability of a column; `place`: the first cell."""
        rows, room = self.rows, place.width() - _EDGES
        right, bottom = place.right() + 1 - _EDGES // 2, place.bottom()
        lengths = [rows.probability(candidate, column) / rows.widest for candidate in seen]
        longs = [max(1.0, room * min(1.0, length)) if length > 0 else 0.0 for length in lengths]
        bars = [QRectF(right - long, bottom - _BAR + n * _ROW, long, _BAR - 1) for n, long in enumerate(longs) if long]
        is_last = column == rows.columnCount() - 1
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("accent" if is_last else "muted", 1.0 if is_last or column == _FIRST else 0.45))
        painter.drawRects(bars)

    @Slot(QModelIndex)
    def _on_clicked(self, index: QModelIndex) -> None:
        if index.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.chosen.emit(self.rows.candidates.first[index.row()].token)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Choose the candidate on Return."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._on_clicked(self.currentIndex())
            event.accept()
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Show the columns that fit."""
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """The height of eight rows."""
        return QSize(480, self.horizontalHeader().height() + 8 * _ROW)

    def _fit(self) -> None:
        """Adjust columns to their titles and figures; the first gets the remaining width."""
        columns = range(1, self.rows.columnCount())
        room = self.viewport().width() - _LEAST
        widths: dict[int, int] = {}
        for self.rows.short_titles in (False, True):
            widths = {column: self._width(column) for column in columns}
            for column in self._dispensable():
                if sum(widths.values()) > room:
                    widths[column] = 0
            if sum(widths.values()) <= room:
                break
        for column in columns:
            self.setColumnHidden(column, not widths[column])
            if widths[column]:
                self.setColumnWidth(column, widths[column])
        if columns:
            self.setColumnWidth(_TOKEN, max(_LEAST, self.viewport().width() - sum(widths.values())))

    def _dispensable(self) -> list[int]:
        """Columns that are hidden if there isn't enough space, in this order."""
        rows = self.rows
        filters = range(_FIRST + 1, rows.columnCount() - 1)
        neutral = [column for column in filters if rows.is_neutral(column)]
        removed = rows.candidates.removed
        removes_none = [column for column in filters if column not in neutral and not removed[column - _FIRST]]
        return [*neutral, _ID, *removes_none]

    def _width(self, column: int) -> int:
        texts = [*str(self.rows.headerData(column, Qt.Orientation.Horizontal)).split("\n"), percent(1, 1), "00000"]
        return max(map(_advance, texts)) + _EDGES

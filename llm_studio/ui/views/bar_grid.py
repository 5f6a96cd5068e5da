"""A bar chart of signed values in rows and columns: positive bars extend to the right of zero, negative to the left."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from llm_studio.i18n import _, number
from llm_studio.ui import theme
from llm_studio.ui.views.cell_grid import CellGrid

_TOP, _LOW, _TALL, _GAP, _FIGURE = 20, 22, 30, 10, 52
_NARROWEST = 92
"""Minimum width of a column in pixels."""


@dataclass(frozen=True)
class BarRow:
    """A row: its name, and a value for each column, or None for an empty cell."""

    name: str
    values: tuple[float | None, ...]
    tips: tuple[str, ...]
    """The description of each cell, without its value."""


class BarGrid(CellGrid):
    """All bars have the same scale, and those of a column the same zero line."""

    def __init__(self, parent: QWidget, name: str, left: int, *, marks: bool = True) -> None:
        """`left`: width of the row names in pixels. `marks`: mark the chosen cell even without the focus."""
        super().__init__(parent, name)
        self._left, self._marks = left, marks
        self._columns: tuple[str, ...] = ()
        self._rows: tuple[BarRow, ...] = ()
        self._low, self._high = 0.0, 1.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_rows(self, columns: Sequence[str], rows: Sequence[BarRow], low: float, high: float) -> None:
        """Show these values on a scale from `low` (0 or less) to `high` (0 or more)."""
        self._columns, self._rows = tuple(columns), tuple(rows)
        self.show_limits(low, high)
        if not self.has(self.row, self.column):
            cells = ((row, column) for row in range(len(rows)) for column in range(len(columns)))
            self.row, self.column = next((cell for cell in cells if self.has(*cell)), (0, 0))
        self.setMinimumSize(self._left + (_NARROWEST + _GAP) * len(columns), _TOP + _LOW * len(rows) + 2)
        self._describe()
        self.update()

    def show_limits(self, low: float, high: float) -> None:
        """Change the scale."""
        self._low, self._high = low, max(high, low + 1e-9)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """Large enough to compare the bars."""
        return QSize(self._left + 220 * max(1, len(self._columns)), _TOP + 26 * max(1, len(self._rows)))

    def choose(self, row: int, column: int) -> None:
        """Choose a cell if it exists, and announce it to screen readers."""
        super().choose(row, column)
        self._describe()

    def _describe(self) -> None:
        if self.has(self.row, self.column):
            self.setAccessibleDescription(self.described(self.row, self.column))

    # --- Geometry -----------------------------------------------------------------------------------------------

    def _tall(self) -> float:
        return max(_LOW, min(_TALL, (self.height() - _TOP - 2) / max(1, len(self._rows))))

    def place(self, row: int, column: int) -> QRectF:
        """The rectangle of a cell."""
        wide = (self.width() - self._left) / max(1, len(self._columns))
        return QRectF(self._left + column * wide, _TOP + row * self._tall(), wide - _GAP, self._tall())

    def has(self, row: int, column: int) -> bool:
        """Whether this cell exists and has a value."""
        inside = 0 <= row < len(self._rows) and 0 <= column < len(self._columns)
        return inside and self._rows[row].values[column] is not None

    def at(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of the cell at a point; None outside the cells with a value."""
        cells = ((row, column) for row in range(len(self._rows)) for column in range(len(self._columns)))
        return next((cell for cell in cells if self.has(*cell) and self.place(*cell).contains(x, y)), None)

    def described(self, row: int, column: int) -> str:
        """The description of a cell with its value."""
        shown = self._rows[row]
        return _("{name}: {value}").format(name=shown.tips[column], value=signed(shown.values[column] or 0.0))

    # --- Drawing ------------------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Draw the names, the bars and their values."""
        if not self._rows:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("muted"))
        alone = len(self._columns) == 1  # then its name may be as wide as the widget
        for column, name in enumerate(self._columns):
            area = QRectF(0, 0, self.width(), _TOP - 3) if alone else self.place(0, column)
            painter.drawText(QRectF(area.left(), 0, area.width(), _TOP - 3), Qt.AlignmentFlag.AlignCenter, name)
        for row, shown in enumerate(self._rows):
            area = QRectF(0, self.place(row, 0).top(), self._left - 8, self._tall())
            painter.setPen(theme.color("accent" if row == self.row and self._marks else "muted"))
            painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, shown.name)
            for column in range(len(self._columns)):
                if self.has(row, column):
                    self._draw_bar(painter, row, column)

    def _draw_bar(self, painter: QPainter, row: int, column: int) -> None:
        value, area = self._rows[row].values[column] or 0.0, self.place(row, column)
        if (row, column) == (self.row, self.column) and (self._marks or self.hasFocus()):
            painter.setPen(QPen(theme.color("accent"), 1.6 if self.hasFocus() else 1))
            painter.setBrush(theme.color("accent_soft"))
            painter.drawRoundedRect(area.adjusted(0.5, 1.5, -0.5, -1.5), 4, 4)
        bars = area.adjusted(6, 0, -_FIGURE, 0)
        scale = bars.width() / (self._high - self._low)
        zero = bars.left() - self._low * scale
        painter.setPen(QPen(theme.color("line"), 1))
        painter.drawLine(round(zero), round(area.top()), round(zero), round(area.bottom()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("accent" if value >= 0 else "validation"))
        long = max(1.0, abs(value) * scale)
        painter.drawRoundedRect(QRectF(zero if value >= 0 else zero - long, area.center().y() - 5, long, 10), 2, 2)
        painter.setPen(theme.color("text"))
        figure = QRectF(area.right() - _FIGURE, area.top(), _FIGURE - 6, area.height())
        painter.drawText(figure, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, signed(value))


def signed(value: float) -> str:
    """A value with its sign, + for 0."""
    return ("+" if value >= 0 else "−") + number(abs(value), 2)

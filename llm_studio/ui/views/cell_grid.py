"""The base class of custom-painted grids: a click or the arrow keys choose a cell, and tooltips describe cells."""

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QHelpEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QToolTip, QWidget

from llm_studio.ui import theme

STEPS = {Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0)}
"""Change of row and column by arrow key."""


class CellGrid(QWidget):
    """Subclasses paint the cells and implement `has`, `at` and `described`."""

    chosen = Signal(int, int)
    """Row and column, counted from 0, of the cell that is now chosen."""

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        self.row, self.column = 0, 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(name)
        theme.notifier().changed.connect(self.update)

    def has(self, row: int, column: int) -> bool:
        """Whether this cell exists."""
        raise NotImplementedError

    def at(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of the cell at a point; None outside the cells."""
        raise NotImplementedError

    def described(self, row: int, column: int) -> str:
        """The tooltip of a cell; "" for none."""
        raise NotImplementedError

    def choose(self, row: int, column: int) -> None:
        """Choose a cell if it exists."""
        if self.has(row, column):
            self.row, self.column = row, column
            self.update()
            self.chosen.emit(row, column)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Choose the cell under the mouse."""
        found = self.at(event.position().x(), event.position().y())
        if found is not None:
            self.choose(*found)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Choose a neighbour of the chosen cell."""
        step = STEPS.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.choose(self.row + step[0], self.column + step[1])

    def event(self, event: QEvent) -> bool:
        """Show the tooltip of the cell under the mouse."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            found = self.at(event.pos().x(), event.pos().y())
            QToolTip.showText(event.globalPos(), self.described(*found) if found else "", self)
            return True
        return super().event(event)

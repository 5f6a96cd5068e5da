"""A plain table of texts: a model that holds rows, and a view in the style of the program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from llm_studio.ui import theme
from llm_studio.ui.widgets.basics import as_plain_text

_Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a colour of the theme by name, and a tip."""

    text: str
    color: str = ""
    tip: str = ""
    bold: bool = False
    fixed: bool = False


class Rows(QAbstractTableModel):
    """Rows of cells under named columns. Columns of figures are right-aligned. Only visible rows are read."""

    def __init__(self, parent: QWidget, columns: Sequence[str], right: Sequence[int] = ()) -> None:
        super().__init__(parent)
        self._columns = list(columns)
        self._right = set(right)
        self._rows: Sequence[Sequence[Cell | str]] = []
        self.tips: Mapping[int, str] = {}
        """Tooltips of the column headers."""

    def show_rows(self, rows: Sequence[Sequence[Cell | str]]) -> None:
        """Show other rows. The sequence may create its rows on access, and be very long."""
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008  Qt's
        """Number of rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008  Qt's
        """Number of columns."""
        return 0 if parent.isValid() else len(self._columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802  Qt's
        """The name of a column, and its meaning."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._columns[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.tips.get(section)
        return self._alignment(section) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def _alignment(self, column: int) -> Qt.AlignmentFlag:
        side = Qt.AlignmentFlag.AlignRight if column in self._right else Qt.AlignmentFlag.AlignLeft
        return side | Qt.AlignmentFlag.AlignVCenter

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, colour, tooltip or alignment of a cell."""
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self._alignment(index.column())
        wanted = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ForegroundRole, Qt.ItemDataRole.ToolTipRole,
                  Qt.ItemDataRole.FontRole, Qt.ItemDataRole.AccessibleTextRole)  # fmt: skip
        if role not in wanted:
            return None
        cell = self._rows[index.row()][index.column()]
        cell = Cell(cell) if isinstance(cell, str) else cell
        if role == Qt.ItemDataRole.ForegroundRole:
            return theme.color(cell.color) if cell.color else None
        if role == Qt.ItemDataRole.ToolTipRole:
            return as_plain_text(cell.tip) if cell.tip else None
        if role == Qt.ItemDataRole.FontRole:
            return theme.font(bold=cell.bold, fixed=cell.fixed) if cell.bold or cell.fixed else None
        return cell.text


class Table(QTableView):
    """A table whose rows are selected as a whole. `stretch`: the column that gets the remaining width."""

    def __init__(
        self, parent: QWidget, name: str, columns: Sequence[str], right: Sequence[int] = (), stretch: int = 0
    ) -> None:
        super().__init__(parent)
        self.rows = Rows(self, columns, right)
        self.setModel(self.rows)
        self.setAccessibleName(name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setDefaultSectionSize(30)
        head = self.horizontalHeader()
        head.setHighlightSections(False)
        head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        head.setSectionResizeMode(stretch, QHeaderView.ResizeMode.Stretch)

    def show_rows(self, rows: Sequence[Sequence[Cell | str]]) -> None:
        """Show other rows; the selected index is kept if possible."""
        chosen = self.chosen()
        self.rows.show_rows(rows)
        if 0 <= chosen < len(rows):
            self.selectRow(chosen)

    def chosen(self) -> int:
        """The index of the selected row, -1 if there is none."""
        index = self.selectionModel().currentIndex()
        return index.row() if index.isValid() else -1

"""The grid of the logit lens: a row per layer, a column per token, and in each cell the prediction there."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt, Slot
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QWidget

from llm_studio.i18n import _, number, percent
from llm_studio.ui import theme
from llm_studio.ui.views.cell_grid import CellGrid
from llm_studio.ui.views.view import TokenNames
from llm_studio.workflows.generation.next_token import visible

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import LogitLens

GUESSES = 5
_WIDE, _LEFT, _TOP = 72, 92, 28
_LOW, _TALL = 26, 44
"""Minimum and maximum height of a row in pixels."""
_STRONGEST = 0.5
"""Opacity of the background of a guess with probability 1."""


def layer_name(layer: int) -> str:
    """The name of a row: 0 is the embeddings, `n` the output of layer n."""
    return _("layer\u00a0{n}").format(n=number(layer)) if layer else _("embeddings")


class LensGrid(CellGrid):
    """Rows are layers (0: the embeddings), columns the tokens of the window. The layer names stay visible at the left
    while the grid scrolls.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Predictions by layer and token"))
        self._found: LogitLens | None = None
        self._names: TokenNames | None = None
        self.shift = 0
        """Horizontal scroll offset in pixels."""
        self.wide, self._high = _WIDE, _LOW
        """Width of a column and height of a row in pixels."""
        self._rest = 0
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_lens(self, found: "LogitLens", names: TokenNames, layer: int, column: int) -> None:
        """Show the predictions with the cell at `layer` and `column` chosen."""
        self._found, self._names = found, names
        self.row, self.column = layer, column
        self._fit()

    def fit(self, width: int, height: int) -> None:
        """Fit the rows into this height and, if the grid has to scroll, a whole number of columns into this width."""
        rows, length = (len(self._found.guesses), len(self._found.tokens)) if self._found is not None else (1, 0)
        self._high = max(_LOW, min(_TALL, (height - _TOP - 4) // rows))
        room = width - _LEFT - 2
        seen = max(1, room // _WIDE)
        self.wide, self._rest = (max(_WIDE, room // seen), max(0, room % seen)) if length > seen else (_WIDE, 0)
        self._fit()

    def _fit(self) -> None:
        if self._found is not None:
            rows, length = len(self._found.guesses), len(self._found.tokens)
            self.setFixedSize(_LEFT + self.wide * length + 2 + self._rest, _TOP + self._high * rows + 2)
        self.update()

    def place(self, layer: int, column: int) -> QRectF:
        """The rectangle of a cell."""
        return QRectF(_LEFT + column * self.wide, _TOP + layer * self._high, self.wide, self._high)

    def at(self, x: float, y: float) -> tuple[int, int] | None:
        """Layer and column at a point; None outside the cells."""
        if self._found is None or x < self.shift + _LEFT:
            return None
        found = int((y - _TOP) // self._high), int((x - _LEFT) // self.wide)
        return found if self.has(*found) else None

    def has(self, row: int, column: int) -> bool:
        """Whether this cell exists."""
        found = self._found
        return found is not None and 0 <= row < len(found.guesses) and 0 <= column < len(found.tokens)

    def guesses(self, layer: int, column: int) -> list[tuple[int, str, float]]:
        """The guesses of a cell as (ID, label, probability), most likely first."""
        if self._found is None or self._names is None:
            return []
        ids = self._found.guesses[layer, column, :GUESSES].tolist()
        chances = self._found.probabilities[layer, column, :GUESSES].tolist()
        return [(one, self._names.label(one), p) for one, p in zip(ids, chances, strict=True)]

    # --- Drawing ------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Draw the visible cells, then the layer names on top."""
        if self._found is None:
            return
        painter = QPainter(self)
        first = max(0, int((event.rect().left() - _LEFT) // self.wide))
        last = min(len(self._found.tokens), int((event.rect().right() - _LEFT) // self.wide) + 1)
        for column in range(first, last):
            self._draw_column(painter, column)
        chosen = self.place(self.row, self.column)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.color("text"), 2 if self.hasFocus() else 1.4))
        painter.drawRect(chosen.adjusted(1, 1, -1, -1))
        self._draw_layers(painter)

    def _draw_column(self, painter: QPainter, column: int) -> None:
        assert self._found is not None and self._names is not None
        found = self._found
        painter.setFont(theme.font(12, bold=True))
        painter.setPen(theme.color("accent" if column == self.column else "text"))
        head = QRectF(_LEFT + column * self.wide + 3, 0, self.wide - 6, _TOP - 4)
        word = painter.fontMetrics().elidedText(visible(found.tokens[column].label), Qt.TextElideMode.ElideRight,
                                                self.wide - 6)  # fmt: skip
        painter.drawText(head, Qt.AlignmentFlag.AlignCenter, word)
        decided = int(found.decided[column])
        for layer in range(len(found.guesses)):
            area = self.place(layer, column)
            chance = float(found.probabilities[layer, column, 0])
            painter.setPen(QPen(theme.color("line"), 1))
            painter.setBrush(theme.color("accent", _STRONGEST * chance))
            painter.drawRect(area)
            painter.setFont(theme.font(12, bold=int(found.ranks[layer, column]) == 1))
            painter.setPen(theme.color("text"))
            label = visible(self._names.label(int(found.guesses[layer, column, 0])))
            shown = painter.fontMetrics().elidedText(label, Qt.TextElideMode.ElideRight, self.wide - 8)
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, shown)
        top = self.place(decided, column)
        painter.setPen(QPen(theme.color("validation"), 3))
        painter.drawLine(top.topLeft() + QPointF(2, 0.5), top.topRight() + QPointF(-2, 0.5))

    def _draw_layers(self, painter: QPainter) -> None:
        assert self._found is not None
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("panel"))
        painter.drawRect(QRectF(self.shift, 0, _LEFT, self.height()))
        painter.setFont(theme.font(12))
        for layer in range(len(self._found.guesses)):
            painter.setPen(theme.color("accent" if layer == self.row else "muted"))
            area = QRectF(self.shift, _TOP + layer * self._high, _LEFT - 8, self._high)
            painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, layer_name(layer))

    def described(self, row: int, column: int) -> str:
        """The guesses of a cell and their probabilities."""
        if self._found is None:
            return ""
        head = _("{layer}, after “{token}”:").format(
            layer=layer_name(row), token=visible(self._found.tokens[column].label))  # fmt: skip
        rows = [f"{visible(word)}  {percent(chance, 1)}" for _token, word, chance in self.guesses(row, column)]
        return "\n".join([head, *rows])


class LensPane(QScrollArea):
    """A scroll area with a LensGrid."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.grid = LensGrid(self)
        theme.set_role(self.grid, "plain")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(self.grid)
        self.horizontalScrollBar().valueChanged.connect(self._on_scrolled)
        self.horizontalScrollBar().rangeChanged.connect(self.show_chosen)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Adapt the grid to the new size."""
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """Fit the grid into this widget, leaving space for a horizontal scroll bar."""
        bar = self.horizontalScrollBar()
        self.grid.fit(self.viewport().width(), self.height() - bar.sizeHint().height() - 2)
        bar.setSingleStep(self.grid.wide)

    @Slot()
    def show_chosen(self) -> None:
        """Scroll to the chosen cell."""
        area = self.grid.place(self.grid.row, self.grid.column)
        self.ensureVisible(round(area.center().x()), round(area.center().y()), _LEFT + self.grid.wide, 20)
        bar = self.horizontalScrollBar()
        bar.setValue(round(bar.value() / self.grid.wide) * self.grid.wide)  # so that no column is cut at the left

    @Slot(int)
    def _on_scrolled(self, value: int) -> None:
        self.grid.shift = value
        self.grid.update()

"""The attention map of one head: how much each token (row) attends to each earlier one (column)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QHelpEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from llm_studio.i18n import _, percent
from llm_studio.ui import theme
from llm_studio.ui.views.head_grid import image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llm_studio.ui.views.levels import Levels

_LABELS = 84
"""Width of the token labels beside the map in pixels."""
_READABLE = 11
"""Minimum row height in pixels at which the tokens are written beside the rows."""


class HeatMap(QWidget):
    """Shows an attention map with the row of the chosen token framed."""

    row_chosen = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._levels: Levels | None = None
        self._weights: NDArray[np.float16] | None = None
        self._image = QImage()
        self._words: Sequence[str] = ()
        self._row = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(260, 160)
        self.setAccessibleName(_("Attention weights of this head"))
        theme.notifier().changed.connect(self._paint_image)

    def show_head(self, levels: "Levels", weights: "NDArray[np.float16]", words: Sequence[str]) -> None:
        """Show a head: its `levels` and `weights`, both (T, T), and the labels of the T tokens."""
        self._levels, self._weights, self._words = levels, weights, words
        self._row = min(self._row, len(words) - 1)
        self._paint_image()

    def show_row(self, row: int) -> None:
        """Frame a row."""
        self._row = row
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """Large enough for a short text."""
        return QSize(360, 190)

    @Slot()
    def _paint_image(self) -> None:
        if self._levels is not None:
            self._image = image(self._levels)
        self.update()

    def _has_labels(self) -> bool:
        return min(self.width() - _LABELS, self.height()) - 2 >= _READABLE * len(self._words)

    def _square(self) -> QRectF:
        left = _LABELS if self._has_labels() else 0
        side = min(self.width() - left - 2, self.height() - 2)
        return QRectF(left + max(0, (self.width() - left - side) / 2), 1, side, side)

    def at(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column at a point; None above and below the map. The column may be out of range."""
        area, count = self._square(), len(self._words)
        if not count or not area.top() <= y < area.bottom():
            return None
        row = int((y - area.top()) / area.height() * count)
        return row, int((x - area.left()) / area.width() * count)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Draw the map, the tokens at its left and the frames."""
        if self._levels is None:
            return
        painter = QPainter(self)
        area, count = self._square(), len(self._words)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, area.height() < count)
        painter.drawImage(area, self._image)
        high = area.height() / count
        if self._has_labels():
            painter.setFont(theme.font(max(8, min(12, int(high) - 1))))
            for row, word in enumerate(self._words):
                painter.setPen(theme.color("accent" if row == self._row else "muted"))
                place = QRectF(area.left() - _LABELS, area.top() + row * high, _LABELS - 6, high)
                shown = painter.fontMetrics().elidedText(word, Qt.TextElideMode.ElideRight, _LABELS - 8)
                painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, shown)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.color("accent" if self.hasFocus() else "line"), 1))
        painter.drawRect(area)
        painter.setPen(QPen(theme.color("text"), 1.2))
        painter.drawRect(QRectF(area.left(), area.top() + self._row * high, area.width(), max(2.0, high)))

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Choose the token of the row under the mouse."""
        found = self.at(event.position().x(), event.position().y())
        if found is not None:
            self.row_chosen.emit(found[0])

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Choose the token before or after."""
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        elif 0 <= self._row + step < len(self._words):
            self.row_chosen.emit(self._row + step)

    def event(self, event: QEvent) -> bool:
        """Show the weight under the mouse as a tooltip."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent) and self._weights is not None:
            found = self.at(event.pos().x(), event.pos().y())
            text = ""
            if found is not None and 0 <= found[1] <= found[0]:
                text = _("“{token}” gives {share} of its attention to “{other}”").format(
                    token=self._words[found[0]], share=percent(float(self._weights[found]), 1),
                    other=self._words[found[1]])  # fmt: skip
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

"""A histogram of lengths."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from llm_studio.ui import theme

_GAP = 2
_LEAST = 2.0
"""Minimum height of a bar in pixels, so that a single document is visible."""


class Histogram(QWidget):
    """Bars side by side, each with a tooltip. The description is for screen readers."""

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        self._counts: Sequence[int] = ()
        self._tips: Sequence[str] = ()
        self.setAccessibleName(name)
        self.setMinimumHeight(110)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier().changed.connect(self.update)

    def show_bars(self, counts: Sequence[int], tips: Sequence[str], description: str) -> None:
        """Show other bars; none if `counts` is empty."""
        self._counts, self._tips = counts, tips
        self.setAccessibleDescription(description)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """Twice as wide as high."""
        return QSize(220, 110)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Paint the bars, the highest with the full height."""
        del event
        if not self._counts:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        highest = max(self._counts) or 1
        width, room = self.width() / len(self._counts), self.height() - 2
        for place, count in enumerate(self._counts):
            height = max(_LEAST, room * count / highest) if count else 0.0
            painter.setBrush(theme.color("accent", 0.8))
            bar = QRectF(place * width + _GAP / 2, 1 + room - height, max(1.0, width - _GAP), height)
            painter.drawRoundedRect(bar, min(2.0, height / 2), min(2.0, height / 2))
        painter.setBrush(theme.color("line"))
        painter.drawRect(QRectF(0, self.height() - 1, self.width(), 1))

    def event(self, event: QEvent) -> bool:
        """Show the tooltip of the bar under the pointer."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self._counts:
            place = min(len(self._counts) - 1, max(0, int(event.pos().x() * len(self._counts) / max(1, self.width()))))
            QToolTip.showText(event.globalPos(), self._tips[place], self)
            return True
        return super().event(event)

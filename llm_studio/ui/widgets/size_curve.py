"""A small curve of measured points over a logarithmic axis of sizes, with the current one highlighted."""

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from llm_studio.i18n import _, number, short_number
from llm_studio.ui import theme

_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 14, 12, 22


class SizeCurve(QWidget):
    """Size of the vocabulary → characters per token. The last point is the tokenizer itself."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._points: tuple[tuple[int, float], ...] = ()
        self.setMinimumHeight(120)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(_("Size of the vocabulary → characters per token"))
        theme.notifier().changed.connect(self.update)

    def show_points(self, points: Sequence[tuple[int, float]]) -> None:
        """Show other points, by ascending size; empty for none."""
        self._points = tuple(points)
        self.setAccessibleDescription("; ".join(_said(point) for point in self._points))
        self.update()

    def _axes(self) -> tuple[float, float, float, float]:
        sizes = [math.log(size) for size, _rate in self._points]
        rates = [rate for _size, rate in self._points]
        return min(sizes), max(*sizes, min(sizes) + 1e-6), math.floor(min(rates)), math.ceil(max(rates) + 0.05)

    def _place(self, point: tuple[int, float]) -> QPointF:
        left, right, low, high = self._axes()
        x = (math.log(point[0]) - left) / (right - left)
        y = (point[1] - low) / (high - low)
        wide, tall = self.width() - _LEFT - _RIGHT, self.height() - _TOP - _BOTTOM
        return QPointF(_LEFT + x * wide, _TOP + (1 - y) * tall)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Paint axes, curve and the current point."""
        if not self._points:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(11))
        muted, faint = QPen(theme.color("muted")), QPen(theme.color("line"))
        *_sizes, low, high = self._axes()
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        for rate in _ticks(low, high):
            y = self._place((self._points[0][0], rate)).y()
            painter.setPen(faint)
            painter.drawLine(QPointF(_LEFT, y), QPointF(self.width() - _RIGHT, y))
            painter.setPen(muted)
            painter.drawText(QRectF(0, y - 8, _LEFT - 8, 16), middle, number(rate, 0 if rate == int(rate) else 1))
        self._paint_sizes(painter)
        painter.setPen(QPen(theme.color("accent"), 2))
        painter.drawPolyline(QPolygonF([self._place(point) for point in self._points]))
        painter.setBrush(theme.color("accent"))
        painter.setPen(Qt.PenStyle.NoPen)
        for point in self._points[:-1]:
            painter.drawEllipse(self._place(point), 2, 2)
        painter.drawEllipse(self._place(self._points[-1]), 5, 5)

    def _paint_sizes(self, painter: QPainter) -> None:
        """Paint labels of sizes along the axis, as many as fit."""
        painter.setPen(QPen(theme.color("muted")))
        taken = self.width() + 20.0
        for size, rate in reversed(self._points):
            text = short_number(size) if size >= 10_000 else number(size)
            wide = painter.fontMetrics().horizontalAdvance(text) + 2
            left = min(self._place((size, rate)).x() - wide / 2, self.width() - wide)
            if left + wide + 14 <= taken:
                painter.drawText(QRectF(left, self.height() - _BOTTOM + 5, wide, 16), 0, text)
                taken = left

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Show the values of the nearest point."""
        if self._points:
            nearest = min(self._points, key=lambda point: abs(self._place(point).x() - event.position().x()))
            self.setToolTip(_said(nearest))


def _said(point: tuple[int, float]) -> str:
    size, rate = number(point[0]), number(point[1], 2)
    return _("{size} tokens: {rate} characters per token").format(size=size, rate=rate)


def _ticks(low: float, high: float) -> list[float]:
    """Whole numbers, or halves if there would be too few."""
    step = 1.0 if high - low <= 5 else math.ceil((high - low) / 5)
    return [low + step * index for index in range(int((high - low) / step) + 1)]

"""A text on one line, with arcs from a token to those it attends to. The width of an arc shows the attention weight."""

import heapq
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QWidget

from llm_studio.i18n import _, percent
from llm_studio.ui import theme

_ARCS, _LINE, _FIGURES, _GAP, _PADDING = 62, 24, 16, 3, 4
_LEAST = 0.02
"""Smallest weight that is drawn as an arc."""
_MOST = 24
"""Maximum number of arcs; the largest weights are drawn."""
_NAMED = 0.08
"""Smallest weight that is written below its token."""


class ArcLine(QWidget):
    """The arcs of one token. Arrow keys choose the token before or after, Home the first one, End the last one."""

    chosen = Signal(int)
    """The index of the token that the user has chosen."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._words: Sequence[str] = ()
        self._weights: Sequence[float] = ()
        self._lefts: list[float] = []
        self._widths: list[float] = []
        self.current = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(_("The text, with arcs to the tokens that the chosen one attends to"))
        theme.notifier().changed.connect(self.update)

    def show_weights(self, words: Sequence[str], current: int, weights: Sequence[float]) -> None:
        """Show the attention weights of token `current` for the tokens up to and including itself."""
        if words != self._words:
            self._words = words
            metrics = QFontMetricsF(theme.font(13))
            self._lefts, self._widths = [], []
            left = 2.0
            for word in words:
                wide = max(18.0, metrics.horizontalAdvance(word) + 2 * _PADDING)
                self._lefts.append(left)
                self._widths.append(wide)
                left += wide + _GAP
            self.setFixedSize(round(left) + 2, _ARCS + _LINE + _FIGURES)
        self.current, self._weights = current, weights
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """As high as the arcs, the line of text and the numbers."""
        return QSize(200, _ARCS + _LINE + _FIGURES)

    def place(self, index: int) -> QRectF:
        """The rectangle of a token."""
        return QRectF(self._lefts[index], _ARCS, self._widths[index], _LINE)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Draw the arcs and the visible tokens."""
        if not self._words:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for index in heapq.nlargest(_MOST, range(len(self._weights)), key=self._weights.__getitem__):
            if self._weights[index] >= _LEAST:
                self._draw_arc(painter, index, float(self._weights[index]))
        painter.setFont(theme.font(13))
        for index, word in enumerate(self._words):
            area = self.place(index)
            if area.right() < event.rect().left() or area.left() > event.rect().right():
                continue
            weight = float(self._weights[index]) if index < len(self._weights) else 0.0
            painter.setBrush(theme.color("accent", 0.5 * weight**0.5) if weight else Qt.BrushStyle.NoBrush)
            is_current = index == self.current
            painter.setPen(QPen(theme.color("accent"), 2) if is_current else Qt.PenStyle.NoPen)
            painter.drawRoundedRect(area.adjusted(1, 1, -1, -1), 4, 4)
            painter.setPen(theme.color("muted" if index > self.current else "text"))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, word)
        self._draw_figures(painter)

    def _draw_figures(self, painter: QPainter) -> None:
        """Write the largest weights below their tokens, without overlaps."""
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("accent"))
        drawn: list[QRectF] = []
        for index in sorted(range(len(self._weights)), key=lambda n: -self._weights[n]):
            if self._weights[index] < _NAMED:
                return
            area = self.place(index)
            below = QRectF(area.center().x() - 18, area.bottom(), 36, _FIGURES)
            if not any(below.intersects(other) for other in drawn):
                painter.drawText(below, Qt.AlignmentFlag.AlignCenter, percent(float(self._weights[index])))
                drawn.append(below)

    def _draw_arc(self, painter: QPainter, index: int, weight: float) -> None:
        start, end = self.place(self.current).center().x(), self.place(index).center().x()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        # drawing a curve wider than one pixel takes ten times as long; most arcs aren't wider
        painter.setPen(QPen(theme.color("accent", 0.25 + 0.75 * weight**0.5), max(1.0, 6 * weight)))
        path = QPainterPath(QPointF(start, _ARCS))
        if index == self.current:
            path.cubicTo(start - 14, _ARCS - 24, start + 14, _ARCS - 24, start + 0.5, _ARCS)
        else:
            top = _ARCS - min(_ARCS * 1.28, 18 + abs(start - end) * 0.35)
            path.cubicTo(start, top, end, top, end, _ARCS)
        painter.drawPath(path)

    def _at(self, x: float) -> int:
        return next((n for n, left in enumerate(self._lefts) if left <= x <= left + self._widths[n] + _GAP), -1)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Choose the token under the mouse."""
        index = self._at(event.position().x())
        if index >= 0:
            self.chosen.emit(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Choose another token."""
        last = len(self._words) - 1
        places = {Qt.Key.Key_Left: self.current - 1, Qt.Key.Key_Right: self.current + 1, Qt.Key.Key_Home: 0,
                  Qt.Key.Key_End: last}  # fmt: skip
        place = places.get(Qt.Key(event.key()))
        if place is None:
            super().keyPressEvent(event)
        elif 0 <= place <= last:
            self.chosen.emit(place)


class ArcPane(QScrollArea):
    """A scroll area with an ArcLine."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.line = ArcLine(self)
        theme.set_role(self.line, "plain")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(self.line)
        self.setFixedHeight(_ARCS + _LINE + _FIGURES + 12)

    @Slot()
    def show_current(self) -> None:
        """Scroll to the chosen token."""
        area = self.line.place(self.line.current)
        self.ensureVisible(round(area.center().x()), round(area.center().y()), self.viewport().width() // 3, 0)

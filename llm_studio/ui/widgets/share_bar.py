"""A bar divided into fractions of a whole, with a legend below it."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from llm_studio.i18n import _, percent
from llm_studio.ui import theme

_BAR, _LINE, _SQUARE, _GAP = 22, 20, 10, 12


@dataclass(frozen=True)
class Share:
    """One part of the whole: its name, its amount, its colour by name, and the amount as text."""

    name: str
    amount: float
    color: str
    words: str = ""


class ShareBar(QWidget):
    """Shows fractions of a whole. Those below half a percent are omitted."""

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        self._name = name
        self._shares: list[Share] = []
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier().changed.connect(self.update)

    def show_shares(self, shares: Sequence[Share]) -> None:
        """Show these parts, from left to right."""
        whole = sum(share.amount for share in shares)
        self._shares = [share for share in shares if share.amount > 0.005 * whole]
        lines = ((share.name, f"{self._percent(share)} {share.words}".rstrip()) for share in self._shares)
        summary = "\n".join(_("{name}: {value}").format(name=name, value=value) for name, value in lines)
        self.setAccessibleDescription(summary)
        self.setToolTip(summary)
        self._fit()
        self.update()

    def _percent(self, share: Share) -> str:
        return percent(share.amount / sum(each.amount for each in self._shares))

    def _legend(self) -> list[tuple[int, int, Share]]:
        """The position (x, line) of each entry of the legend, wrapped into lines."""
        metrics = self.fontMetrics()
        found: list[tuple[int, int, Share]] = []
        left, top = 0, _BAR + 8
        for share in self._shares:
            width = _SQUARE + 6 + metrics.horizontalAdvance(share.name)
            if left and left + width > self.width():
                left, top = 0, top + _LINE
            found.append((left, top, share))
            left += width + _GAP
        return found

    def _fit(self) -> None:
        legend = self._legend()
        self.setFixedHeight((legend[-1][1] if legend else _BAR) + _LINE)

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """Any width; high enough for the legend."""
        return QSize(200, self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Update the height for the legend's lines."""
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Paint the bar with its percentages, and the legend."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        whole = sum(share.amount for share in self._shares)
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(0, 0, self.width(), _BAR), 5, 5)
        painter.setClipPath(outline)
        left = 0.0
        painter.setFont(theme.font(11))
        for share in self._shares:
            place = QRectF(left, 0, self.width() * share.amount / whole, _BAR)
            painter.fillRect(place, theme.color(share.color))
            text = self._percent(share)
            if painter.fontMetrics().horizontalAdvance(text) + 6 <= place.width():
                painter.setPen(theme.color("on_accent"))
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, text)
            left = place.right()
        painter.setClipping(False)
        painter.setFont(self.font())
        for x, y, share in self._legend():
            painter.fillRect(QRectF(x, y + (_LINE - _SQUARE) / 2, _SQUARE, _SQUARE), theme.color(share.color))
            painter.setPen(theme.color("text"))
            side = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
            painter.drawText(QRectF(x + _SQUARE + 6, y, self.width(), _LINE), side, share.name)
        painter.end()

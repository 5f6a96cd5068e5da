"""An overlay that shows that a dragged object may be dropped here."""

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from llm_studio.ui import theme

_EDGE = 12


class DropVeil(QWidget):
    """Covers its parent while something is dragged over it, and shows the effect of a drop."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._over = parent
        self._text, self._allowed = "", True
        self.hide()

    def cover(self, text: str, allowed: bool) -> None:
        """Cover the visible part of the parent, and show `text`."""
        self._text, self._allowed = text, allowed
        self.setAccessibleName(text)
        self.setGeometry(self._over.visibleRegion().boundingRect())
        self.show()
        self.raise_()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Paint a dashed frame around the text."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), theme.color("background", 0.72))
        ink = theme.color("accent" if self._allowed else "muted")
        painter.setPen(QPen(ink, 2, Qt.PenStyle.DashLine))
        painter.setBrush(theme.color("accent_soft" if self._allowed else "sunken", 0.75))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(_EDGE, _EDGE, -_EDGE, -_EDGE), 12, 12)
        painter.setFont(theme.font(17, bold=True))
        painter.setPen(ink)
        inside = self.rect().adjusted(2 * _EDGE, _EDGE, -2 * _EDGE, -_EDGE)
        painter.drawText(inside, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._text)

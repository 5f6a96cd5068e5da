"""A scatter plot of tokens that can be panned and zoomed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from llm_studio.i18n import _, percent
from llm_studio.ui import theme
from llm_studio.ui.views.view import TokenNames
from llm_studio.workflows.generation.next_token import visible

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import EmbeddingMap

_EDGE, _STEP, _ZOOM, _MOST_ZOOM = 26, 40, 1.25, 200.0
_NEAR = 12
"""Maximum distance in pixels between a click and the point that it chooses."""


class TokenMap(QWidget):
    """Shows an `EmbeddingMap`. Dragging and arrow keys pan, the wheel, + and - zoom, 0 resets the view."""

    chosen = Signal(int)
    """The ID of the token that the user has clicked."""

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        self._ids: Sequence[int] = ()
        self._points: list[tuple[float, float]] = []
        """x and y of each token, y downwards, scaled so that they span 0 to 1 on the axis with the larger range."""
        self._labels: list[str] = []
        self._axes = ""
        self._token = -1
        self._zoom, self._centre = 1.0, QPointF(0.5, 0.5)
        self._grabbed: QPointF | None = None
        self._dragged = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(150, 160)
        self.setAccessibleName(name)
        self.setToolTip(_("Drag or arrow keys: move · wheel or + and −: zoom · 0: all of it · click: choose a token"))
        theme.notifier().changed.connect(self.update)

    def show_map(self, found: "EmbeddingMap", names: TokenNames, token: int) -> None:
        """Show a map with `token` highlighted."""
        low, high = found.points.min(axis=0), found.points.max(axis=0)
        size = max(float((high - low).max()), 1e-9)
        middle = (low + high) / 2
        ids = found.ids.tolist()
        if ids != list(self._ids):
            self._zoom, self._centre = 1.0, QPointF(0.5, 0.5)
        self._ids = ids
        self._points = [(x, 1 - y) for x, y in ((found.points - middle) / size + 0.5).tolist()]
        self._labels = [visible(names.label(one)) for one in ids]
        first, second = (percent(one) for one in found.explained)
        self._axes = _("{first} and {second} of the variance").format(first=first, second=second)
        self._token = token
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """Large enough for some readable labels."""
        return QSize(340, 240)

    # --- Geometry -----------------------------------------------------------------------------------------------

    def _scale(self) -> float:
        return max(1.0, min(self.width(), self.height()) - 2 * _EDGE) * self._zoom

    def place(self, index: int) -> QPointF:
        """The position of a token, by its index in the map, in pixels."""
        x, y = self._points[index]
        scale = self._scale()
        wide = min(2.0, max(1.0, self.width() / max(1, self.height())))  # stretched: the axes have no common unit
        return QPointF(self.width() / 2 + (x - self._centre.x()) * scale * wide,
                       self.height() / 2 + (y - self._centre.y()) * scale)  # fmt: skip

    def nearest(self, point: QPointF) -> int:
        """The index in the map of the token at a point; -1 for none."""
        distances = [(self.place(n) - point).manhattanLength() for n in range(len(self._points))]
        best = min(range(len(distances)), key=distances.__getitem__, default=-1)
        return best if best >= 0 and distances[best] <= _NEAR else -1

    # --- Drawing ------------------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Draw the points, and the labels that don't overlap."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(self.rect())
        painter.setPen(QPen(theme.color("accent" if self.hasFocus() else "line"), 1))
        painter.setBrush(theme.color("background"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("muted"))
        painter.drawText(QRectF(8, self.height() - 20, self.width() - 16, 16), Qt.AlignmentFlag.AlignRight, self._axes)
        if not self._points:
            return
        places = [self.place(n) for n in range(len(self._points))]
        area = QRectF(self.rect())
        seen = [n for n, place in enumerate(places) if area.contains(place)]
        painter.setPen(QPen(theme.color("muted", 0.6), 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawPoints([places[n] for n in seen])
        self._draw_labels(painter, places, seen)

    def _draw_labels(self, painter: QPainter, places: list[QPointF], seen: list[int]) -> None:
        metrics = QFontMetricsF(theme.font(11))
        taken: set[tuple[int, int]] = set()
        first = [n for n in seen if self._ids[n] == self._token]
        for index in (*first, *seen):
            place = places[index]
            wide = metrics.horizontalAdvance(self._labels[index]) + 4
            row = int(place.y() // 14)
            cells = {(row, column) for column in range(int(place.x() // 8), int((place.x() + wide) // 8) + 1)}
            if cells & taken or place.x() + wide > self.width() or not 22 < place.y() < self.height() - 22:
                continue
            taken |= {(beside, column) for _row, column in cells for beside in (row - 1, row, row + 1)}
            marked = self._ids[index] == self._token
            painter.setFont(theme.font(11, bold=marked))
            painter.setPen(theme.color("accent" if marked else "text"))
            painter.drawText(QPointF(place.x() + 4, place.y() + 4), self._labels[index])
            if marked:
                painter.setBrush(theme.color("accent"))
                painter.drawEllipse(place, 3.5, 3.5)

    # --- Panning and zooming ------------------------------------------------------------------------------------

    def _zoom_by(self, factor: float) -> None:
        self._zoom = max(0.5, min(_MOST_ZOOM, self._zoom * factor))
        self.update()

    def _move_by(self, x: float, y: float) -> None:
        scale = self._scale()
        self._centre -= QPointF(x / scale, y / scale)
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  Qt's
        """Zoom in or out."""
        self._zoom_by(_ZOOM ** (event.angleDelta().y() / 120))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Start to drag, or to click."""
        self._grabbed, self._dragged = event.position(), False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Pan with the mouse."""
        if self._grabbed is not None:
            by = event.position() - self._grabbed
            if self._dragged or by.manhattanLength() > 4:
                self._dragged = True
                self._grabbed = event.position()
                self._move_by(by.x(), by.y())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Choose the token under the mouse, unless the map was dragged."""
        self._grabbed = None
        index = -1 if self._dragged else self.nearest(event.position())
        if index >= 0:
            self.chosen.emit(self._ids[index])

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Pan or zoom."""
        moves = {Qt.Key.Key_Left: (_STEP, 0), Qt.Key.Key_Right: (-_STEP, 0), Qt.Key.Key_Up: (0, _STEP),
                 Qt.Key.Key_Down: (0, -_STEP)}  # fmt: skip
        zooms = {Qt.Key.Key_Plus: _ZOOM, Qt.Key.Key_Equal: _ZOOM, Qt.Key.Key_Minus: 1 / _ZOOM}
        key = Qt.Key(event.key())
        if key in moves:
            self._move_by(*moves[key])
        elif key in zooms:
            self._zoom_by(zooms[key])
        elif key == Qt.Key.Key_0:
            self._zoom, self._centre = 1.0, QPointF(0.5, 0.5)
            self.update()
        else:
            super().keyPressEvent(event)

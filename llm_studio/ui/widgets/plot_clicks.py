"""What a click on a curve opens: by mouse, with Enter at the crosshair, or from the context menu."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QAction, QContextMenuEvent, QGuiApplication, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QMenu

if TYPE_CHECKING:
    from llm_studio.ui.widgets.plot import Plot

_NEAR = 12
"""Distance in pixels from a curve, and from the bottom of the plot, within which the mouse is on it."""
Place = tuple[str, float]
"""The name of the curves, and the step."""


class PlotClicks(QObject):
    """Watches a plot. The first click of a double click, which resets the zoom, opens nothing."""

    opened = Signal(str, float)
    """The name of the curves, and the step."""

    def __init__(self, plot: "Plot", offer: Callable[[Place], str]) -> None:
        """`offer`: the text about what would be opened at a place; "" for nothing."""
        super().__init__(plot)
        self._plot, self._viewport, self._offer = plot, plot.viewport(), offer
        self._pressed: QPoint | None = None
        self._place: Place | None = None
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._open)
        for watched in (plot, self._viewport):
            watched.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's
        """Watch the user's input; the plot gets every event, except Enter and the context menu."""
        if isinstance(event, QContextMenuEvent):
            keyboard = event.reason() == QContextMenuEvent.Reason.Keyboard
            self._show_menu(None if keyboard else event.pos(), event.globalPos())
            return True
        if watched is self._plot and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            return event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._start(self._at_cross(), 0)
        if watched is self._viewport and isinstance(event, QMouseEvent):
            self._on_mouse(event)
        return False

    def _on_mouse(self, event: QMouseEvent) -> None:
        here = event.position().toPoint()
        if event.type() == QEvent.Type.MouseMove:
            inside = self._is_offered(self.near(here))
            self._viewport.setCursor(Qt.CursorShape.PointingHandCursor if inside else Qt.CursorShape.ArrowCursor)
        elif event.type() == QEvent.Type.MouseButtonDblClick:
            self._timer.stop()
            self._pressed = None
        elif event.type() == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:
            self._pressed = here
        elif event.type() == QEvent.Type.MouseButtonRelease and self._pressed is not None:
            still = (here - self._pressed).manhattanLength() < QGuiApplication.styleHints().startDragDistance()
            self._pressed = None
            if still:
                self._start(self.near(here), QGuiApplication.styleHints().mouseDoubleClickInterval())

    # --- Places -------------------------------------------------------------------------------------------------

    def _at_cross(self) -> Place | None:
        """The main curves, which are drawn last, at the crosshair."""
        step, curves = self._plot.cross_step(), self._plot.named_curves()
        return (curves[-1][0], step) if step is not None and curves else None

    def _at(self, point: QPoint) -> Place | None:
        """The main curves, at the step of a point; None outside of the plot."""
        view, scene, curves = self._plot.view_box, self._plot.mapToScene(point), self._plot.named_curves()
        inside = view.sceneBoundingRect().contains(scene) and curves
        return (curves[-1][0], view.mapSceneToView(scene).x()) if inside else None

    def near(self, point: QPoint) -> Place | None:
        """The curves near a point, or the main ones at the bottom of the plot; None if there are none."""
        import numpy as np

        place, view, scene = self._at(point), self._plot.view_box, self._plot.mapToScene(point)
        if place is None or view.sceneBoundingRect().bottom() - scene.y() <= _NEAR:
            return place
        step, value, room = place[1], view.mapSceneToView(scene).y(), _NEAR * view.viewPixelSize()[1]
        near = (name for name, x, y in reversed(self._plot.named_curves())
                if len(x) and abs(float(np.interp(step, x, y)) - value) <= room)  # fmt: skip
        name = next(near, None)
        return None if name is None else (name, step)

    # --- Opening ------------------------------------------------------------------------------------------------

    def _is_offered(self, place: Place | None) -> bool:
        return place is not None and bool(self._offer(place))

    def _start(self, place: Place | None, wait: int) -> bool:
        if not self._is_offered(place):
            return False
        self._place = place
        self._timer.start(wait)
        return True

    @Slot()
    def _open(self) -> None:
        if self._place is not None:
            self.opened.emit(*self._place)

    def _show_menu(self, point: QPoint | None, at: QPoint) -> None:
        """Show a menu with what can be opened at a point of the plot, or at the crosshair."""
        place = self._at(point) if point is not None else self._at_cross()
        if place is None or not self._is_offered(place):
            return
        menu = QMenu(self._plot)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(self._offer(place).replace("&", "&&")).setData(place)
        menu.triggered.connect(self._on_chosen)
        menu.popup(at)

    @Slot(QAction)
    def _on_chosen(self, action: QAction) -> None:
        self.opened.emit(*action.data())

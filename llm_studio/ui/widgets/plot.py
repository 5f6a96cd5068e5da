"""A plot of long curves over training steps. Importing this imports pyqtgraph, and with it all of Qt."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPoint, QPointF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from llm_studio.ui import theme
from llm_studio.ui.widgets.free_place import Curves, free_place
from llm_studio.ui.widgets.plot_axis import Axis
from llm_studio.ui.widgets.plot_foot import PlotFoot
from llm_studio.ui.widgets.plot_levels import PlotLevels
from llm_studio.ui.widgets.thinning import Floats, thin

_WIDE_DETAIL = 4
"""Pixels per point of a wide line: such lines take ten times as long to paint, and are smooth."""
_ZOOM = 1.25
_EDGE = 0.06
"""Margin above and below the curves, as a fraction of the plot's height."""


@dataclass(frozen=True)
class Line:
    """One curve: its points and style. `color` is a name of the theme. Steps ascend; NaN is a gap."""

    x: Floats
    y: Floats
    color: str
    alpha: float = 1.0
    width: float = 1.0
    dashed: bool = False
    dots: bool = False
    fits: bool = True
    """Whether it is included in the plot's limits."""
    name: str = ""
    """The name of its run: see `named_curves`."""


class _View(pg.ViewBox):
    """Zooms along the steps with the wheel and by dragging a rectangle."""

    reset_requested = Signal()
    moved_by_hand = Signal()

    def __init__(self) -> None:
        super().__init__(enableMenu=False)
        self.setMouseMode(pg.ViewBox.RectMode)
        self.disableAutoRange()

    def wheelEvent(self, ev: Any, axis: Any = None) -> None:  # noqa: N802
        """Zoom around the mouse, along the steps; with Ctrl, along the values."""
        vertical = bool(ev.modifiers() & Qt.KeyboardModifier.ControlModifier)
        super().wheelEvent(ev, axis=1 if vertical else 0)
        self.moved_by_hand.emit()

    def mouseDragEvent(self, ev: Any, axis: Any = None) -> None:  # noqa: N802
        """Drag a rectangle to zoom into; with the middle button, pan."""
        super().mouseDragEvent(ev, axis)
        if ev.isFinish():
            self.moved_by_hand.emit()

    def mouseDoubleClickEvent(self, ev: Any) -> None:  # noqa: N802
        """Reset the zoom."""
        ev.accept()
        self.reset_requested.emit()


class Plot(pg.PlotWidget):
    """Curves over steps, with marks, a crosshair and zoom. `show_lines` draws; nothing is drawn automatically."""

    pointed = Signal(float)
    """The step under the mouse or selected with the arrow keys; NaN when there is none any more."""

    def __init__(self, parent: QWidget) -> None:
        self.view_box = self._view = _View()
        self._left, self._bottom = Axis("left"), Axis("bottom")
        self._bottom.whole = True
        super().__init__(parent, viewBox=self._view, axisItems={"left": self._left, "bottom": self._bottom})
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFrameShape(pg.PlotWidget.Shape.NoFrame)
        self.hideButtons()
        self._drawing, self._painting = 0.0, 0.0
        self._lines: list[Line] = []
        self._items: list[pg.PlotCurveItem] = []
        self._dots: list[pg.ScatterPlotItem] = []
        self._levels = PlotLevels(self)
        self.foot = PlotFoot(self)
        self._cross = pg.InfiniteLine(angle=90, movable=False)
        self._cross.hide()
        self._cross_step = 0.0
        self._logarithmic = False
        self._end, self._whole = 0.0, True
        self.addItem(self._cross)
        self._view.sigRangeChanged.connect(self._on_range)
        self._view.sigResized.connect(self._on_resized)
        self._view.reset_requested.connect(self.show_all)
        self._view.moved_by_hand.connect(self._on_hand)
        theme.notifier().changed.connect(self._paint_theme)
        self._paint_theme()

    # --- Showing ----------------------------------------------------------------------------------------------

    def show_lines(self, lines: Sequence[Line], end: float = 0.0) -> None:
        """Draw these curves instead of the previous ones. `end`: the last step of the axis."""
        began = time.perf_counter()
        self._lines, self._end = list(lines), end
        if self._whole:
            self._fit()
        self._draw()
        self._drawing = time.perf_counter() - began

    def show_levels(self, levels: Sequence[tuple[float, str]]) -> None:
        """Draw dotted horizontal lines, each with a small label: (value, label)."""
        if self._levels.set(levels):
            self._draw_levels()

    def set_logarithmic(self, logarithmic: bool) -> None:
        """Whether the values have a logarithmic scale. Call `show_lines` afterwards."""
        self._logarithmic = logarithmic
        self._left.logarithmic = logarithmic
        self._left.picture = None
        self._whole = True
        self._draw_levels()

    def show_cross(self, step: float) -> None:
        """Put the crosshair at a step; NaN hides it."""
        self._cross.setVisible(not math.isnan(step))
        if not math.isnan(step):
            self._cross_step = step
            self._cross.setValue(step)

    def cross_x(self) -> float | None:
        """The position of the crosshair in pixels from the left; None if it is hidden or not visible."""
        if not self._cross.isVisible():
            return None
        place = self._view.mapViewToScene(QPointF(self._cross_step, self._view.viewRange()[1][0])).x()
        view = self._view.sceneBoundingRect()
        return place if view.left() <= place <= view.right() else None

    def cross_step(self) -> float | None:
        """The step of the crosshair; None if it is hidden."""
        return self._cross_step if self._cross.isVisible() else None

    def named_curves(self) -> list[tuple[str, Any, Any]]:
        """The curves as drawn, the main ones last: name, steps, values."""
        drawn = zip(self._lines, (item.getData() for item in self._items), strict=False)
        return [(line.name, x, y) for line, (x, y) in drawn if x is not None and y is not None]

    def free_place(self, size: QSize) -> QPoint:
        """Where a box of this size covers the least of curves and labels, and never the crosshair."""
        view, labels = self._view, self._levels.labels
        return free_place(size, view.sceneBoundingRect(), view.viewRange(), self._drawn(), self.cross_x(), labels)

    @Slot()
    def show_all(self) -> None:
        """Reset the zoom."""
        self._whole = True
        self._fit()
        self._draw()

    @property
    def cost(self) -> float:
        """Seconds that the last drawing and the last painting took together."""
        return self._drawing + self._painting

    @property
    def is_whole(self) -> bool:
        """Whether it isn't zoomed."""
        return self._whole

    # --- Drawing ----------------------------------------------------------------------------------------------

    def _scaled(self, values: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(values > 0, np.log10(values), np.nan) if self._logarithmic else values
        return np.where(np.isfinite(values), values, np.nan)

    def _fit(self) -> None:
        """Set the limits of the view to those of all curves."""
        lows, highs, right = [], [], max(self._end, 1.0)
        for line in self._lines:
            if len(line.x) == 0:
                continue
            right = max(right, float(line.x[-1]))
            if not line.fits:
                continue
            least, most = float(np.fmin.reduce(line.y)), float(np.fmax.reduce(line.y))
            if not math.isfinite(least + most) or (self._logarithmic and least <= 0):
                usable = line.y[np.isfinite(line.y) & ((line.y > 0) | (not self._logarithmic))]
                least, most = (float(usable.min()), float(usable.max())) if len(usable) else (math.nan, math.nan)
            if not math.isnan(least):
                lows.append(least)
                highs.append(most)
        low, high = (min(lows), max(highs)) if lows else (0.1, 1.0)
        if self._logarithmic:
            low, high = math.log10(max(low, 1e-12)), math.log10(max(high, 1e-12))
        room = _EDGE * ((high - low) or abs(high) or 1.0)
        foot = low - 1.6 * room if low < 0 or self._logarithmic or low > 1.6 * room else -0.02 * (high + room)
        self._view.setRange(xRange=(-0.006 * right, 1.012 * right), yRange=(foot, high + room), padding=0, update=True)

    def _draw(self) -> None:
        while len(self._items) < len(self._lines):
            item = pg.PlotCurveItem(connect="finite", skipFiniteCheck=False)
            dots = pg.ScatterPlotItem(pxMode=True, size=5)
            self._items.append(item)
            self._dots.append(dots)
            self.addItem(item)
            self.addItem(dots)
        (low, high), pixels = self._view.viewRange()[0], int(self._view.width())
        for index, item in enumerate(self._items):
            if index >= len(self._lines):
                item.setData([], [])
                self._dots[index].setData([], [])
                continue
            line = self._lines[index]
            x, y = thin(line.x, line.y, low, high, pixels // _WIDE_DETAIL if line.width > 1 else pixels)
            smooth = line.width > 1 or len(x) < 500
            y = self._scaled(y)
            item.setData(x, y, pen=_pen(line), antialias=smooth)
            dotted = np.isfinite(y) & (line.dots and len(x) <= 60)
            self._dots[index].setData(x[dotted], y[dotted], pen=None, brush=theme.color(line.color))
        self._levels.place_labels(self._drawn())

    def _draw_levels(self) -> None:
        self._levels.draw(self._logarithmic)
        self._levels.place_labels(self._drawn())

    def _drawn(self) -> Curves:
        """The curves as drawn: steps and values."""
        return [(x, y) for x, y in (item.getData() for item in self._items) if x is not None and y is not None]

    @Slot()
    def _paint_theme(self) -> None:
        self.setBackground(theme.color("panel"))
        for axis in (self._left, self._bottom):
            axis.setTextPen(theme.color("muted"))
            axis.setZValue(-100)  # draw the curves over the grid
            axis.setPen(pg.mkPen(theme.color("line")))
            axis.setTickPen(pg.mkPen(theme.color("line")))
            axis.setStyle(tickFont=theme.font(11), tickLength=0, tickTextOffset=8)
        self._left.setGrid(255)
        self._left.setPen(None)
        self._left.setWidth(44)
        self._left.setTickDensity(1.5)
        self._view.rbScaleBox.setPen(pg.mkPen(theme.color("accent")))
        self._view.rbScaleBox.setBrush(theme.color("accent", 0.12))
        self._cross.setPen(pg.mkPen(theme.color("muted"), width=1, style=Qt.PenStyle.DashLine))
        self._draw_levels()
        self._draw()
        self.foot.draw()

    # --- Mouse and keyboard -----------------------------------------------------------------------------------

    @Slot()
    def _on_hand(self) -> None:
        self._whole = False

    def _on_resized(self, *_args: object) -> None:
        """Draw as many points as fit now: curves are often drawn before the plot has its final size."""
        self._draw()

    def _on_range(self, *_args: object) -> None:
        if not self._whole:
            self._draw()
        self.foot.draw()

    def mouseMoveEvent(self, ev: QMouseEvent) -> None:  # noqa: N802
        """Report the step under the mouse."""
        super().mouseMoveEvent(ev)
        place = self.mapToScene(ev.position().toPoint())
        inside = self._view.sceneBoundingRect().contains(place)
        self.pointed.emit(self._view.mapSceneToView(place).x() if inside else math.nan)

    def paintEvent(self, ev: QPaintEvent) -> None:  # noqa: N802
        """Paint, and measure the time."""
        began = time.perf_counter()
        super().paintEvent(ev)
        self._painting = time.perf_counter() - began

    def leaveEvent(self, ev: Any) -> None:  # noqa: N802
        """The mouse has left the plot."""
        super().leaveEvent(ev)
        self.pointed.emit(math.nan)

    def keyPressEvent(self, ev: QKeyEvent) -> None:  # noqa: N802
        """Left, Right, Home and End move the crosshair; + and - zoom, 0 resets the zoom."""
        low, high = self._view.viewRange()[0]
        here = self._cross_step if self._cross.isVisible() else (low + high) / 2
        pace = (high - low) / 100
        moves = {Qt.Key.Key_Left: here - pace, Qt.Key.Key_Right: here + pace,
                 Qt.Key.Key_Home: low, Qt.Key.Key_End: high}  # fmt: skip
        zooms = {Qt.Key.Key_Plus: 1 / _ZOOM, Qt.Key.Key_Minus: _ZOOM}
        key = Qt.Key(ev.key())
        if key in moves:
            self.pointed.emit(min(high, max(low, moves[key])))
        elif key in zooms:
            self._whole = False
            self._view.scaleBy(x=zooms[key], center=QPointF(here, 0))
        elif key == Qt.Key.Key_0:
            self.show_all()
        else:
            super().keyPressEvent(ev)


def _pen(line: Line) -> QPen:
    # mixed with the background instead of painted half transparent, which takes twice the time
    color = _mixed(theme.color(line.color), theme.color("panel"), line.alpha)
    style = Qt.PenStyle.DashLine if line.dashed else Qt.PenStyle.SolidLine
    return pg.mkPen(color, width=line.width, style=style)


def _mixed(color: QColor, behind: QColor, share: float) -> QColor:
    pairs = ((color.red(), behind.red()), (color.green(), behind.green()), (color.blue(), behind.blue()))
    return QColor(*(round(share * over + (1 - share) * under) for over, under in pairs))

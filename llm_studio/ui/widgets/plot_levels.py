"""Dotted horizontal lines in a plot, each with a small label at its right end."""

import math
from collections.abc import Sequence

import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt

from llm_studio.ui import theme
from llm_studio.ui.widgets.free_place import Curves, covered_pixels

_BELOW, _ABOVE = (1.0, 0.0), (1.0, 1.0)
"""Anchors of a label: its upper or its lower right corner is on the line."""
_OUTSIDE = 1e6
"""The cost of a label that leaves the plot: more than any number of covered pixels."""


class PlotLevels:
    """Plot items, which the plot makes again when colours or scale change. `levels`: (value, label) of each line."""

    def __init__(self, plot: pg.PlotWidget) -> None:
        self._plot, self._view = plot, plot.getViewBox()
        self.levels: list[tuple[float, str]] = []
        self._items: list[pg.InfiniteLine] = []

    @property
    def labels(self) -> list[QRectF]:
        """The area of each label, in pixels of the plot."""
        return [item.label.sceneBoundingRect() for item in self._items]

    def set(self, levels: Sequence[tuple[float, str]]) -> bool:
        """Set the lines: (value, label). Returns whether they have changed; call `draw` afterwards."""
        changed = list(levels) != self.levels
        self.levels = list(levels)
        return changed

    def draw(self, logarithmic: bool) -> None:
        """Draw them, if `logarithmic`, at the logarithms of their values. Call `place_labels` afterwards."""
        for old in self._items:
            self._plot.removeItem(old)
        self._items = []
        pen = pg.mkPen(theme.color("muted", 0.8), width=1, style=Qt.PenStyle.DotLine)
        options = {"position": 0.99, "color": theme.color("muted"), "movable": False, "anchors": [_BELOW, _BELOW]}
        for value, text in self.levels:
            shown = math.log10(value) if logarithmic and value > 0 else value
            item = pg.InfiniteLine(shown, angle=0, movable=False, pen=pen, label=text, labelOpts=options)
            self._plot.addItem(item)
            item.label.setFont(theme.font(11))
            self._items.append(item)

    def place_labels(self, curves: Curves) -> None:
        """Put each label below or above its line, where it covers less of the curves and of the previous labels."""
        placed: list[QRectF] = []
        self._view.updateMatrix()  # pyqtgraph would do it before the next painting
        for item in self._items:
            costs = {anchor: self._cost(item, anchor, curves, placed) for anchor in (_ABOVE, _BELOW)}
            placed.append(_moved(item, min(_BELOW, _ABOVE, key=costs.__getitem__)))

    def _cost(
        self, item: pg.InfiniteLine, anchor: tuple[float, float], curves: Curves, placed: Sequence[QRectF]
    ) -> float:
        box, view = _moved(item, anchor), self._view.sceneBoundingRect()
        outside = _OUTSIDE * (box.top() < view.top() or box.bottom() > view.bottom())
        covered = covered_pixels(box, view, self._view.viewRange(), curves)
        return outside + covered + sum(box.intersected(other).width() for other in placed)


def _moved(item: pg.InfiniteLine, anchor: tuple[float, float]) -> QRectF:
    """Move the label of a line, and return its area."""
    item.label.anchors = [anchor, anchor]  # on either half of the plot
    item.label.updatePosition()
    return item.label.sceneBoundingRect()

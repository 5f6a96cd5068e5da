"""Marks at the bottom of a plot: dots, one of them selected, and short lines."""

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg

from llm_studio.ui import theme


class PlotFoot:
    """Two plot items, which the plot redraws whenever its limits change."""

    def __init__(self, plot: pg.PlotWidget) -> None:
        self._view = plot.getViewBox()
        self._marks: tuple[list[float], float | None] = ([], None)
        self._ticks: list[float] = []
        self._dots = pg.ScatterPlotItem(pxMode=True, size=8)
        self._dots.setZValue(20)
        self._lines = pg.PlotCurveItem(connect="pairs")
        for item in (self._lines, self._dots):
            plot.addItem(item)

    def show_marks(self, steps: Sequence[float], chosen: float | None) -> None:
        """Set the dots; the selected one has the accent colour."""
        self._marks = (list(steps), chosen)
        self.draw()

    def show_ticks(self, steps: Sequence[float]) -> None:
        """Set the short lines."""
        self._ticks = list(steps)
        self.draw()

    def draw(self) -> None:
        """Draw them within the limits of the plot."""
        low, high = self._view.viewRange()[1]
        steps, chosen = self._marks
        accent, muted = theme.color("accent"), theme.color("muted")
        brushes = [accent if step == chosen else muted for step in steps]
        self._dots.setData(steps, [low + 0.025 * (high - low)] * len(steps), brush=brushes, pen=None)
        feet = np.array([low, low + 0.016 * (high - low)] * len(self._ticks))
        self._lines.setData(np.repeat(np.array(self._ticks, dtype=float), 2), feet, pen=pg.mkPen(muted, width=1))

"""Where to place a box of values in a plot: it covers the least of curves and labels, and never the crosshair."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, QRectF, QSize

Floats = NDArray[np.float64]
Curves = Sequence[tuple[Floats, Floats]]
"""Steps and values of each curve, as drawn."""
_GAP, _MARGIN = 10, 3
"""Margin around the box and minimum distance to a curve, in pixels."""
_ROWS, _COLUMNS = 6, 6
"""Into how many parts the height and the width are divided for the places that are tried."""


def free_place(
    size: QSize,
    view: QRectF,
    ranges: Sequence[Sequence[float]],
    curves: Curves,
    cross: float | None,
    labels: Sequence[QRectF] = (),
) -> QPoint:
    """The upper left corner of a box of this size in a plot, in pixels.

    `view`: the area of the curves, which shows the `ranges` of x and y. `cross`: the crosshair, in pixels from the
    left. `labels`: texts that shouldn't be covered either. The box is beside the crosshair if it covers nothing there,
    otherwise elsewhere; without a crosshair, at the lower left if possible, which a falling loss leaves free.
    """

    def cost(place: QPointF) -> float:
        box = QRectF(place, size).adjusted(-_MARGIN, -_MARGIN, _MARGIN, _MARGIN)
        return covered_pixels(box, view, ranges, curves) + sum(box.intersected(label).width() for label in labels)

    left, right = view.left() + _GAP, view.right() - _GAP - size.width()
    room = max(0.0, view.height() - size.height() - 2 * _GAP)
    rows = [view.top() + _GAP + room * part / _ROWS for part in range(_ROWS + 1)]
    between = [left + (right - left) * part / _COLUMNS for part in range(1, _COLUMNS)]
    if cross is None:
        columns = [left, right, *between]
        rows.reverse()
    else:
        beside = (cross + _GAP, cross - _GAP - size.width(), right, left, *between)
        columns = [x for x in beside if left <= x <= right and not x <= cross <= x + size.width()] or [right]
    places = [QPointF(x, y) for x in columns for y in rows]
    return min(places, key=cost).toPoint()


def covered_pixels(box: QRectF, view: QRectF, ranges: Sequence[Sequence[float]], curves: Curves) -> int:
    """Number of pixels of the curves that a box covers, counted along the steps."""
    xs, ys = ranges
    steps = xs[0] + (np.arange(box.left(), box.right()) - view.left()) / max(1.0, view.width()) * (xs[1] - xs[0])
    high, low = (ys[1] - (edge - view.top()) / max(1.0, view.height()) * (ys[1] - ys[0])
                 for edge in (box.top(), box.bottom()))  # fmt: skip
    covered = 0
    for x, y in curves:
        known = np.isfinite(y)
        if not known.any():
            continue
        there, values = x[known], y[known]
        between = np.interp(steps, there, values, left=np.nan, right=np.nan)
        inside = (there >= steps[0]) & (there <= steps[-1]) & (values >= low) & (values <= high)
        covered += int(((between >= low) & (between <= high)).sum()) + int(inside.sum())
    return covered

"""Reduces the points of a long curve without a visible difference."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def thin(x: Floats, y: Floats, low: float, high: float, pixels: int) -> tuple[Floats, Floats]:
    """The visible points of a curve between the steps `low` and `high`: the minimum and the maximum per pixel.

    These are points of the curve in order: a falling curve falls, whereas both values at the same step would make it a
    sawtooth. The width of the bins is a power of two and their positions are fixed, so that a growing curve doesn't
    flicker.
    """
    first = max(0, int(np.searchsorted(x, low)) - 1)
    last = min(len(x), int(np.searchsorted(x, high, "right")) + 1)
    size = 1
    while (last - first) > 2 * size * max(1, pixels):
        size *= 2
    if size == 1:
        return x[first:last], y[first:last]
    first -= first % size
    bins = (last - first) // size
    middle = first + bins * size
    parts = y[first:middle].reshape(bins, size)
    gaps = np.isnan(parts)
    lowest, highest = parts, parts
    if gaps.any():
        lowest, highest = np.where(gaps, np.inf, parts), np.where(gaps, -np.inf, parts)
    extremes = np.sort(np.stack([lowest.argmin(axis=1), highest.argmax(axis=1)], axis=1), axis=1)
    places = (extremes + size * np.arange(bins)[:, None]).ravel() + first
    return np.concatenate([x[places], x[middle:last]]), np.concatenate([y[places], y[middle:last]])

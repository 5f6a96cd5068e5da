"""Fewer points of a long curve, without a visible difference."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def thin(x: Floats, y: Floats, low: float, high: float, pixels: int) -> tuple[Floats, Floats]:
    """What is seen of a curve between the steps `low` and `high`: the lowest and the highest point of each pixel.

    These are points of the curve in their order: a falling curve falls, where both values at one step would make it a
    sawtooth. The bins are as many points wide as a power of two and keep their places, so that a growing curve doesn't
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

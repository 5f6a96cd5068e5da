"""The axis of a plot. Importing this imports pyqtgraph, and with it all of Qt."""

import math
from collections.abc import Sequence
from typing import Any

import pyqtgraph as pg

from llm_studio.i18n import number, short_number


class Axis(pg.AxisItem):
    """An axis with numbers in the user's language, also on a logarithmic scale."""

    logarithmic = False
    whole = False
    """Place ticks at whole numbers only."""

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802, N803
        """The positions of the ticks."""
        if not self.logarithmic:
            levels: Any = super().tickValues(minVal, maxVal, size)
            if self.whole and levels and levels[0][0] < 1:
                return [(1.0, [float(n) for n in range(math.ceil(minVal), math.floor(maxVal) + 1)])]
            return levels[:1]
        return [(1.0, _logarithmic_ticks(minVal, maxVal))]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """The labels of the ticks."""
        if self.logarithmic:
            return [_figure(10**value, 10**value / 10) for value in values]
        return [_figure(value * scale, spacing * scale) for value in values]


def _logarithmic_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(low), math.ceil(high) + 1)
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 3), (1,)):
        ticks = [d + math.log10(s) for d in decades for s in steps if low <= d + math.log10(s) <= high]
        if len(ticks) <= 9:
            return ticks if len(ticks) >= 3 else _even_ticks(low, high)
    return ticks[:: 1 + len(ticks) // 9]


def _even_ticks(low: float, high: float) -> list[float]:
    """Ticks for a short span of a logarithmic scale: round values at equal distances."""
    least, most = 10**low, 10**high
    power = 10 ** math.floor(math.log10((most - least) / 3))
    pace = next(power * s for s in (10, 5, 2, 1) if power * s <= (most - least) / 3)
    first = math.ceil(least / pace)
    return [math.log10(n * pace) for n in range(first, math.floor(most / pace) + 1) if n > 0]


def _figure(value: float, spacing: float) -> str:
    """The label of a tick, as precise as the spacing requires."""
    if spacing >= 100 and abs(value) >= 1000:
        digits = 0 if spacing % 1000 == 0 else 1
        return f"{number(value / 1000, digits)}\u00a0k" if abs(value) < 999_500 else short_number(value)
    if value and spacing < 1e-3:
        return f"{value:.2g}"
    return number(value, min(4, max(0, math.ceil(-math.log10(spacing) - 1e-9))))

"""The plot of curves, alone."""

import numpy as np
import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from llm_studio.ui.widgets.plot import Line, Plot

STEPS = np.array([0.0, 10.0, 20.0, 30.0])


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_the_limits_take_account_of_what_is_finite(qtbot: QtBot, light: None, odd: float, logarithmic: bool) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    plot = Plot(holder)
    plot.resize(400, 300)
    holder.show()
    plot.set_logarithmic(logarithmic)
    for values in ([3.0, odd, 2.0, 1.5], [odd] * 4):
        plot.show_lines([Line(STEPS, np.array([2.0, 2.0, 1.0, 1.0]), "accent", width=2),
                         Line(STEPS, np.array(values), "validation", dots=True)], 40.0)  # fmt: skip
        low, high = plot._view.viewRange()[1]
        most = max([value for value in values if np.isfinite(value)], default=2.0)
        shown = np.log10([1.0, most]) if logarithmic else [1.0, most]
        assert low < shown[0] and shown[1] < high < shown[1] + 1
        assert not plot.grab().isNull()

"""The plot of curves, alone."""

from collections.abc import Generator

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from llm_studio.ui.widgets.plot import Line, Plot
from llm_studio.ui.widgets.thinning import thin

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


@pytest.fixture
def plot(qtbot: QtBot, light: None) -> Generator[Plot]:
    """A plot of 700 × 320 pixels on the screen."""
    holder = QWidget()
    qtbot.addWidget(holder)
    holder.resize(700, 320)
    shown = Plot(holder)
    shown.resize(700, 320)
    holder.show()
    yield shown


@pytest.mark.parametrize("shape", ["falling", "rising", "falling late", "flat with a peak"])
def test_the_box_of_values_covers_neither_the_curve_nor_the_cross_hair(plot: Plot, shape: str) -> None:
    steps = np.arange(1.0, 1001.0)
    values = {"falling": 1 + 8 * np.exp(-steps / 80), "rising": 9 - 8 * np.exp(-steps / 80),
              "falling late": 1 + 8 / (1 + np.exp((steps - 800) / 20)),
              "flat with a peak": 1 + 8 * np.exp(-((steps - 500) / 30) ** 2)}[shape]  # fmt: skip
    plot.show_lines([Line(steps, values, "accent", width=2)], 1000.0)
    box = QLabel("step 500<br>training 2.34<br>validation 2.45 · 1.20 bits per byte", plot)
    box.adjustSize()
    (low, high), view = plot._view.viewRange()[1], plot._view.sceneBoundingRect()
    for step in [np.nan, *range(1, 1000, 37)]:
        plot.show_cross(step)
        box.move(plot.free_place(box.size()))
        cross = plot.cross_x()
        assert cross is None or not box.x() <= cross <= box.x() + box.width()
        assert view.toAlignedRect().contains(box.geometry())
        pixels = [plot._view.mapViewToScene(QPointF(x, y)) for x, y in zip(steps, values, strict=True)]
        covered = [point for point in pixels if box.geometry().contains(point.toPoint())]
        assert not covered, (step, low, high, box.geometry())


def test_the_box_of_values_leaves_the_labels_readable(plot: Plot) -> None:
    steps = np.arange(1.0, 1001.0)
    plot.show_lines([Line(steps, 1 + 8 * np.exp(-steps / 80), "accent", width=2)], 1000.0)
    plot.show_levels([(8.5, "random guessing 8.50 · 3.30 bits per byte"), (5.0, "frequency of the words")])
    box = QLabel("step 500<br>training 2.34<br>validation 2.45 · 1.20 bits per byte", plot)
    box.adjustSize()
    for height, step in [*((320, step) for step in range(300, 1000, 37)), (190, 1000)]:
        plot.resize(700, height)
        QApplication.processEvents()
        plot.show_cross(step)
        box.move(plot.free_place(box.size()))
        for label in plot._levels.labels:
            assert label.width() > 100
            assert not label.intersects(QRectF(box.geometry())), (step, box.geometry(), label)


@pytest.mark.parametrize("height", [320, 150])
def test_the_labels_of_levels_cover_no_curve_and_no_other_label(plot: Plot, height: int) -> None:
    plot.resize(700, height)
    QApplication.processEvents()
    steps = np.arange(1.0, 1001.0)
    values = 4.2 + 4.2 * np.exp(-steps / 60)
    plot.show_levels([(8.3, "random guessing 8.30 · 3.33 bits per byte"), (6.75, "frequency of the words"),
                      (4.6, "previous word only 4.60 · 1.85 bits per byte")])  # fmt: skip
    plot.show_lines([Line(steps, values, "accent", width=2)], 1000.0)
    labels, view = plot._levels.labels, plot._view.sceneBoundingRect()
    assert len(labels) == 3
    for label in labels:
        assert label.width() > 100
        assert view.top() <= label.top() < label.bottom() <= view.bottom()
        assert not any(label.intersects(other) for other in labels if other != label)
        assert not any(
            label.contains(plot._view.mapViewToScene(QPointF(x, y))) for x, y in zip(steps, values, strict=True)
        )


def drawn(plot: Plot) -> tuple[np.ndarray, np.ndarray]:
    """The points of the first line as they are painted."""
    x, y = plot._items[0].getData()
    assert x is not None
    assert y is not None
    return x, y


def test_a_falling_curve_falls_however_many_points_it_has() -> None:
    steps = np.arange(1.0, 6001.0)
    for pixels in (1, 10, 178, 700):
        _x, y = thin(steps, 2 + 4 / np.sqrt(steps), 0, 6000, pixels)
        assert len(y) <= 4 * pixels + 6000 // pixels
        assert np.all(np.diff(y) <= 0)


def test_each_point_drawn_is_a_point_of_the_curve_and_no_peak_is_lost() -> None:
    steps, losses = np.arange(1.0, 5001.0), np.random.default_rng(1).normal(3, 1, 5000)
    losses[700], losses[100:104], losses[2000:2600] = 99.0, np.nan, np.nan
    x, y = thin(steps, losses, 0, 5000, 100)
    assert np.all(np.diff(x) >= 0)
    assert np.array_equal(y, losses[x.astype(int) - 1], equal_nan=True)
    assert np.nanmax(y) == 99.0
    assert np.nanmin(y) == np.nanmin(losses)
    assert np.isnan(y[(x > 2100) & (x < 2500)]).all()


def test_a_curve_drawn_in_a_small_plot_gets_its_points_when_the_plot_grows(qtbot: QtBot, light: None) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    plot = Plot(holder)
    steps = np.arange(1.0, 6001.0)
    plot.resize(60, 60)
    holder.resize(900, 500)
    holder.show()
    plot.show_lines([Line(steps, 2 + 4 / np.sqrt(steps), "accent", width=2)])
    assert np.diff(drawn(plot)[0]).max() > 100
    plot.resize(900, 500)
    assert np.diff(drawn(plot)[0]).max() < 20

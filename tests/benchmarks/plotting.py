"""Time to smooth the curves of a run of a million steps, and to draw their plot."""

import os
import statistics
import time

import numpy as np

_STEPS = 1_000_000


def main() -> None:
    """Print the times of smoothing, and of a redraw after one more step."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtWidgets import QWidget

    from llm_studio.events import StepDone
    from llm_studio.ui import theme
    from llm_studio.ui.widgets.plot import Line, Plot
    from llm_studio.ui.window.app import make_application
    from llm_studio.workflows.training.curves import LOSS, STEP, Curves

    app = make_application()
    theme.set_theme("light")
    curves = Curves("long")
    losses = 2 + 7 * np.exp(-np.arange(_STEPS) / 50_000) + np.random.default_rng(0).normal(0, 0.1, _STEPS)
    for step, loss in enumerate(losses.tolist(), 1):
        curves.take(StepDone(step, loss, 1e-3, 1.0, step, 1e4, 1.0))
    began = time.perf_counter()
    curves.smoothed(LOSS, 0.99)
    print(f"smoothing {_STEPS:,} steps at once: {1000 * (time.perf_counter() - began):.0f} ms")
    holder = QWidget()
    holder.resize(800, 480)
    plot = Plot(holder)
    plot.resize(760, 420)
    holder.show()
    app.processEvents()

    def draw() -> float:
        curves.take(StepDone(curves.last_step + 1, 2.0, 1e-3, 1.0, 1, 1e4, 1.0))
        began = time.perf_counter()
        steps, smooth = curves.steps.column(STEP), curves.smoothed(LOSS, 0.99)
        raw = Line(steps, curves.steps.column(LOSS), "accent", alpha=0.3)
        plot.show_lines([raw, Line(steps, smooth, "accent", width=2, fits=False)])
        plot.viewport().repaint()
        return time.perf_counter() - began

    times = sorted(draw() for _round in range(50))
    print(f"one more step drawn: median {1000 * statistics.median(times):.1f} ms, slowest {1000 * times[-1]:.1f} ms "
          "(bar 16 ms)")  # fmt: skip

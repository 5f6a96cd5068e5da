"""Everything about a run: figures, curves with the curve doctor and the table of runs, samples, log."""

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from llm_studio.events import Event
from llm_studio.i18n import _
from llm_studio.ui.tabs.training.curves import CurvesCard
from llm_studio.ui.tabs.training.doctor import DoctorLine
from llm_studio.ui.tabs.training.drawing_timer import DrawingTimer
from llm_studio.ui.tabs.training.figures import Figures
from llm_studio.ui.tabs.training.log import LogPanel
from llm_studio.ui.tabs.training.runs import RunsPanel
from llm_studio.ui.tabs.training.samples import SamplesPane
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import label
from llm_studio.workflows.training.runs import ACTIVE

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview
    from llm_studio.workflows.training.curves import Curves

_WIDEST_SAMPLES = 660
"""Pixels: longer lines of text are hard to read."""
_FIGURES_EVERY = 3
"""Drawings of the curves between two updates of the figures."""


class RunView(QWidget):
    """Draws the curves of one run while they grow. Events only change arrays; `drawing` shows new data."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.figures = Figures(self)
        self.card, self.samples = CurvesCard(self), SamplesPane(self)
        self.doctor = DoctorLine(self.card)
        self.runs = RunsPanel(self.card)
        self.run_problems = label("", self.card, "warn", wrap=True)
        self.log = LogPanel(self)
        self.drawing = DrawingTimer(self, self._draw)
        self._overview: Overview | None = None
        self._live, self._running = "", False
        self._stale = False
        """Whether a run has ended here and the overview doesn't include that yet."""
        self._lay_out()
        self.card.stepped.connect(self._on_stepped)
        self.samples.chosen.connect(self._on_sample)

    def _lay_out(self) -> None:
        self.card.content.addWidget(self.doctor)
        self.card.content.addWidget(self.runs)
        self.card.content.addWidget(self.run_problems)
        self.run_problems.hide()
        self.samples.setMinimumWidth(236)
        self.samples.setMaximumWidth(_WIDEST_SAMPLES)
        middle = QHBoxLayout()
        middle.setSpacing(GAP)
        middle.addWidget(self.card, 8)
        middle.addWidget(self.samples, 3)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(GAP)
        whole.addWidget(self.figures)
        whole.addLayout(middle, 1)
        whole.addWidget(self.log)

    def show_state(self, overview: "Overview | None", running: bool, live: str, stale: bool) -> None:
        """`running`: a run trains in this window; `live`: its name, once it is known.

        `stale`: the overview is older than the end of a run.
        """
        self._overview, self._running, self._live, self._stale = overview, running, live, stale
        problems = overview.run_problems if overview else ()
        self.run_problems.setText("\n".join(f"{problem.what} {problem.to_do}" for problem in problems))
        self.run_problems.setVisible(bool(problems))
        self.card.say_starting(running)
        self.drawing.wake()

    def show_curves(self, curves: "Curves | None") -> None:
        """Show the curves of the main run in all parts."""
        if curves is not self.card.curves:
            self.card.show_curves(curves)
            self.samples.show_curves(curves)
            self.log.show_past(curves)
        if curves is None:
            self.figures.show_nothing()
            self.doctor.examine(None, None, None, False)
        self.drawing.wake()

    def show_overlays(self, overlays: "list[tuple[Curves, str]]") -> None:
        """Draw curves over those of the main run, each in its colour."""
        self.card.show_overlays(overlays)
        self.drawing.wake()

    @Slot(object)
    def add_event(self, event: Event) -> None:
        """Add an event of the run that trains."""
        self.log.take(event)
        self.drawing.wake()

    def _draw(self, count: int) -> bool:
        """Draw new data; returns whether there is more to draw."""
        curves = self.card.curves
        self.card.running = self._running and curves is not None and curves.run == self._live
        drawn = self.card.draw()
        self.log.draw()
        if curves is not None and (count % _FIGURES_EVERY == 0 or not self._running or self.drawing.is_slow):
            runs = self._overview.runs if self._overview else ()
            shown = next((run for run in runs if run.name == curves.run), None)
            starting = self._running and not self._live  # perhaps the displayed run
            known = shown is not None and not starting and not (self._stale and shown.state in ACTIVE)
            self.figures.show_curves(curves, self.card.running, _(shown.state) if shown and known else "")
            self.samples.follow(curves)
            self.doctor.examine(curves, self._overview, self.card.baselines, self.card.running)
        if self.card.plot is not None:
            self.drawing.set_cost(self.card.plot.cost)
        return drawn or self._running

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Resume drawing."""
        super().showEvent(event)
        self.drawing.wake()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  Qt's
        """Stop drawing."""
        super().hideEvent(event)
        self.drawing.stop()

    @Slot(float)
    def _on_stepped(self, step: float) -> None:
        if not math.isnan(step) and self.card.plot is not None and self.card.plot.hasFocus():
            self.samples.choose_step(step)

    @Slot(int)
    def _on_sample(self, step: int) -> None:
        if self.card.plot is not None and self.card.plot.hasFocus():  # the plot has selected this sample
            return
        self.card.point(math.nan if step < 0 else float(step))

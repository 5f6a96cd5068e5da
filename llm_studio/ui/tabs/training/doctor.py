"""The line under the curves that reports a problem with them, and the button that helps; hidden if there is none."""

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QWidget

from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import button, label, row
from llm_studio.workflows.training.runs import ACTIVE

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview
    from llm_studio.workflows.training.baselines import Baselines
    from llm_studio.workflows.training.curves import Curves
    from llm_studio.workflows.training.run_health import Finding

_PERIOD = 3.0
"""Seconds between two checks of growing curves."""


class DoctorLine(QFrame):
    """One sentence, one button."""

    chosen = Signal(object)
    """The Finding whose button was pressed."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.finding: Finding | None = None
        self._which: object = None
        self._version, self._looked = 0, 0.0
        set_role(self, "card-warn")
        self._text = label("", self, wrap=True)
        self._act = button("", self, self._on_act, "small")
        inside = row(self._text, self._act, spacing=12)
        inside.setStretch(0, 1)
        inside.setContentsMargins(12, 8, 12, 8)
        self.setLayout(inside)
        self.hide()

    def examine(
        self, curves: "Curves | None", here: "Overview | None", baselines: "Baselines | None", running: bool
    ) -> None:
        """Check the curves, at a limited rate."""
        run = next((r for r in here.runs if curves is not None and r.name == curves.run), None) if here else None
        if curves is None or here is None or run is None:
            self.show_finding(None)
            return
        which = (id(curves), running, run.state, here.tokens, baselines)
        now = time.monotonic()
        if which == self._which and (curves.version == self._version or (running and now - self._looked < _PERIOD)):
            return
        self._which, self._version, self._looked = which, curves.version, now
        from llm_studio.workflows.training.run_health import examine

        self._act.setHidden(run.state in ACTIVE and not running)  # it is running elsewhere and can't be controlled here
        self.show_finding(examine(curves, run, here.tokens, baselines, here.cost.vocab_size, running))

    def show_finding(self, finding: "Finding | None") -> None:
        """Show a finding; if it is the same as before, the button keeps the focus."""
        if finding == self.finding:
            return
        self.finding = finding
        self.setVisible(finding is not None)
        if finding is not None:
            self._text.setText(finding.text)
            self._act.setText(finding.action)
            self._act.setAccessibleDescription(finding.text)

    def _on_act(self) -> None:
        if self.finding is not None:
            self.chosen.emit(self.finding)

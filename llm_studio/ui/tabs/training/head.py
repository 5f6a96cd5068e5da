"""The head of the page: the buttons that start and stop runs, and the line about the run below the title."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from llm_studio.config import Settings
from llm_studio.i18n import _, number, short_number
from llm_studio.ui.icons import put_icon
from llm_studio.ui.tabs.training.run_controller import RunController
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import button

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview
    from llm_studio.workflows.training.runs import Run

_OPTIMIZERS = {"adamw": "AdamW", "muon": "Muon"}


class RunButtons(QObject):
    """Save, pause and stop while a run trains; start, and keep training, while none does."""

    save_requested = Signal()
    pause_requested = Signal()
    stop_requested = Signal()
    keep_training_requested = Signal()
    start_requested = Signal()

    def __init__(self, parent: QWidget, place: QHBoxLayout) -> None:
        super().__init__(parent)
        self.save = button(_("Save now"), parent, self.save_requested.emit, tip=_("Write a checkpoint and continue"))
        self.pause = button(_("Pause"), parent, self.pause_requested.emit,
                            tip=_("Save and stop for now; “Resume” continues exactly there"))  # fmt: skip
        tip = _("Save and stop, to start another one; it can still be resumed from the table of runs")
        self.stop = button(_("Stop"), parent, self.stop_requested.emit, "danger", tip)
        self.keep_training = button(_("Keep training…"), parent, self.keep_training_requested.emit)
        self.start = button(_("Start training"), parent, self.start_requested.emit, "primary")
        put_icon(self.pause, "pause-fill")
        put_icon(self.stop, "stop-fill", "bad")
        for made in (self.save, self.pause, self.stop, self.keep_training, self.start):
            place.addWidget(made)

    def show_state(
        self, state: RunController, live: str, newest: "Run | None", ready: bool, offered: bool, primary: bool
    ) -> None:  # fmt: skip
        """Show the buttons that make sense now.

        `ready`: a run can be started at once. `offered`: a card offers something else to do first. `primary`: starting
        one is the main action.
        """
        for made in (self.save, self.pause, self.stop):
            made.setVisible(state.running)
        self.save.setEnabled(bool(live) and not state.stopping)
        self.pause.setEnabled(not state.stopping)
        self.stop.setEnabled(not state.stopping)
        free = not state.running and not offered
        self.start.setVisible(free)
        self.start.setEnabled(ready)
        set_role(self.start, "primary" if primary else "")
        self.start.setText(_("Start a new run") if newest else _("Start training"))
        self.keep_training.setVisible(free and newest is not None and newest.state == "finished")
        self.keep_training.setEnabled(ready)


def subtitle(state: RunController, overview: "Overview | None", live: str) -> str | None:
    """The line below the title; None where it stays as it is."""
    if state.stopping:
        return _("Saving and stopping…")
    if state.running and not live:
        return _("Getting ready…")
    if overview is None:
        return None
    if not state.running:
        return _plan(overview.cost.parts.total, overview.settings)
    run = next((run for run in overview.runs if run.name == live), None)
    if run is None:
        return _("Run “{run}”").format(run=live)
    settings = Settings.from_dict(run.settings)  # the project's may have changed since it began
    optimizer = _OPTIMIZERS.get(settings.training.optimizer, settings.training.optimizer)
    return _("Run “{run}”").format(run=live) + f" · {optimizer} · {_plan(run.parameters, settings)}"


def _plan(parameters: int, settings: Settings) -> str:
    training = settings.training
    tokens = training.batch_size * training.gradient_accumulation_steps * settings.model.max_seq_len
    return _("{n} parameters · {steps} steps · {tokens} tokens per batch").format(
        n=short_number(parameters), steps=number(training.max_steps), tokens=number(tokens)
    )

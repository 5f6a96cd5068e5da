"""The head of the page: the buttons that start and stop runs, and the line about the run below the title."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from llm_studio.config import Settings
from llm_studio.i18n import _, number, short_number, time_limit
from llm_studio.ui.icons import put_icon
from llm_studio.ui.tabs.training.run_controller import RunController
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import button

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview
    from llm_studio.workflows.training.runs import Run

_OPTIMIZERS = {"adamw": "AdamW", "muon": "Muon"}


class RunButtons(QObject):
    """Buttons to save, pause and stop while a run trains; otherwise to start one, and to continue a finished one."""

    save_requested = Signal()
    pause_requested = Signal()
    stop_requested = Signal()
    keep_training_requested = Signal()
    start_requested = Signal()
    plan_requested = Signal()

    def __init__(self, parent: QWidget, place: QHBoxLayout) -> None:
        super().__init__(parent)
        self.save = button(_("Save now"), parent, self.save_requested.emit, tip=_("Write a checkpoint and continue"))
        self.pause = button(_("Pause"), parent, self.pause_requested.emit,
                            tip=_("Save and stop for now; “Resume” continues exactly there"))  # fmt: skip
        tip = _("Save and stop, to start another one; it can still be resumed from the table of runs")
        self.stop = button(_("Stop"), parent, self.stop_requested.emit, "danger", tip)
        self.keep_training = button(_("Keep training…"), parent, self.keep_training_requested.emit)
        self.start = button(_("Start training"), parent, self.start_requested.emit, "primary")
        self.plan = button(_("Plan for a time…"), parent, self.plan_requested.emit, "primary",
                           _("Say how long it may train: the model and its settings are chosen for that"))  # fmt: skip
        put_icon(self.pause, "pause-fill")
        put_icon(self.stop, "stop-fill", "bad")
        for made in (self.save, self.pause, self.stop, self.keep_training, self.start, self.plan):
            place.addWidget(made)

    def show_state(
        self, state: RunController, live: str, newest: "Run | None", ready: bool, offered: bool, primary: bool,
        too_long: bool,
    ) -> None:  # fmt: skip
        """Show the buttons that are useful now.

        `ready`: a run can be started at once. `offered`: a card offers another action to do first. `primary`: starting
        a run is the primary action. `too_long`: a run with these settings would take unreasonably long.
        """
        for made in (self.save, self.pause, self.stop):
            made.setVisible(state.running)
        self.save.setEnabled(bool(live) and not state.stopping)
        self.pause.setEnabled(not state.stopping)
        self.stop.setEnabled(not state.stopping)
        free = not state.running and not offered
        self.start.setVisible(free)
        self.start.setEnabled(ready)
        set_role(self.start, "primary" if primary and not too_long else "")
        set_role(self.plan, "primary" if primary else "")
        self.plan.setVisible(free and too_long)
        self.plan.setEnabled(ready)
        self.start.setText(_("Start a new run") if newest else _("Start training"))
        self.keep_training.setVisible(free and newest is not None and newest.state == "finished")
        self.keep_training.setEnabled(ready)


def subtitle(state: RunController, overview: "Overview | None", live: str, last: int | None) -> str | None:
    """The line below the title; None to keep it. `last`: the last step of the run that trains."""
    if state.stopping:
        return _("Saving and stopping…")
    if state.preparing and not state.running:
        return _("The tokenizer and the tokens are being prepared…")
    if state.running and not live:
        return _("Getting ready…")
    if overview is None:
        return None
    if not state.running:
        return _plan(overview.cost.parts.total, overview.settings, None)
    run = next((run for run in overview.runs if run.name == live), None)
    if run is None:
        return _("Run “{run}”").format(run=live)
    settings = Settings.from_dict(run.settings)  # the project's may have changed since it started
    optimizer = _OPTIMIZERS.get(settings.training.optimizer, settings.training.optimizer)
    return (
        _("Run “{run}”").format(run=live) + f" · {optimizer} · {_plan(run.parameters, settings, last or run.max_steps)}"
    )


def _plan(parameters: int, settings: Settings, max_steps: int | None) -> str:
    """`max_steps`: of a run that has started; before that they depend on its time limit, if it has one."""
    training = settings.training
    tokens = training.batch_size * training.gradient_accumulation_steps * settings.model.max_seq_len
    steps = _("{n} steps").format(n=number(training.max_steps if max_steps is None else max_steps))
    if training.minutes:
        limit = time_limit(training.minutes)
        about = _("{time} (about {steps} steps)").format(time=limit, steps=number(max_steps or 0))
        steps = limit if max_steps is None else about
    return _("{n} parameters · {steps} · {tokens} tokens per batch").format(
        n=short_number(parameters), steps=steps, tokens=number(tokens)
    )

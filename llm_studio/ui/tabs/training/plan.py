"""What the next training will take, told before it starts; and how it is made to fit this machine."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _, duration, number, short_number, size
from llm_studio.ui.tabs.training import tasks
from llm_studio.ui.tabs.training.commands import TrainingCommands
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, button, label, row

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview
    from llm_studio.workflows.training.forecast import Fit, Forecast


class PlanCard(Card):
    """One line: memory, time, tokens, disk; and two buttons."""

    measure_asked = Signal()
    fit_asked = Signal()
    drop_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.content.setContentsMargins(16, 8, 12, 8)
        self._text = label("", self, "muted", wrap=True)
        self._measure = button(_("Measure"), self, self.measure_asked.emit, "small",
                               _("Runs a few real steps on a temporary model"))  # fmt: skip
        self._fit = button(
            _("Optimise for this computer"),
            self,
            self.fit_asked.emit,
            "small",
            _(
                "Tries which micro-batch suits this computer, for up to ten seconds; the result of a step stays "
                "the same"
            ),
        )
        self._drop = button(_("Use the settings"), self, self.drop_asked.emit, "small")
        inside = row(self._text, self._measure, self._fit, self._drop)
        inside.setStretch(0, 1)
        self.content.addLayout(inside)
        self.hide()

    def show_plan(self, told: "Forecast | None", fit: "Fit | None", busy: str) -> None:
        """Show what is known. `busy`: what is being found out, "" for nothing."""
        self._text.setText(busy or " · ".join(_parts(told, fit)) or _("Estimating time and memory…"))
        short = told is not None and told.memory > told.free
        set_role(self._text, "bad" if short and not busy else "muted")
        self._measure.setVisible(told is None or not told.measured)
        self._fit.setVisible(fit is None)
        self._drop.setVisible(fit is not None and bool(fit.changes))
        for made in (self._measure, self._fit, self._drop):
            made.setEnabled(not busy)


def _parts(told: "Forecast | None", fit: "Fit | None") -> list[str]:
    if told is None:
        return []
    parts: list[str] = []
    if fit is not None:
        batch = _("{micro} × {batch} sequences per step").format(
            micro=number(fit.micro_batches), batch=number(fit.batch_size)
        )
        parts.append(_("Optimised for this computer: {batch}").format(batch=batch))
        if fit.checkpointing:
            parts.append(_("activations recomputed"))
    parts.append(_("memory {needed} of {free} free").format(needed=size(told.memory), free=size(told.free)))
    text = (_("about {time} for {steps} steps") if told.measured
            else _("about {time} for {steps} steps (estimate)"))  # fmt: skip
    parts.append(text.format(time=duration(max(1.0, told.seconds)), steps=number(told.steps)))
    tokens = _("{n} tokens").format(n=short_number(told.tokens))
    if told.passes is not None:
        tokens += " " + _("({n} passes)").format(n=number(told.passes, 1 if told.passes < 10 else 0))
    disk = told.checkpoints + told.snapshots
    return [*parts, tokens, _("{size} on the disk").format(size=size(disk))]


class TrainingPlan(TrainingCommands):
    """Asks for the forecast when the settings change, and starts a training as it was planned."""

    def __init__(self, title: str, subtitle: str, parent: QWidget) -> None:
        super().__init__(title, subtitle, parent)
        self.plan = PlanCard(self)
        self._told: Forecast | None = None
        self._fit: Fit | None = None
        self._busy = ""
        self._planned: object = None
        self._asked: object = None
        """What was planned when the last question was asked: answers to older ones are out of date."""
        self.plan.measure_asked.connect(self._on_measure)
        self.plan.fit_asked.connect(self._on_fit)
        self.plan.drop_asked.connect(self._on_drop_fit)
        self.context.listen(tasks.FORECAST, succeeded=self._on_forecast)
        self.context.listen(tasks.PROBE, succeeded=self._on_forecast, ended=self._on_found)
        self.context.listen(tasks.FIT, succeeded=self._on_fitted, ended=self._on_found)

    def _plan_anew(self, here: "Overview | None") -> None:
        """What was worked out holds for the settings and tokens of then."""
        what = (here.project.root, here.settings, here.tokens) if here else None
        if what == self._planned:
            return
        self._planned, self._told, self._fit, self._busy = what, None, None, ""
        if here is not None and here.settings_problem is None:
            self._asked = what
            self.context.request(tasks.forecast(here.project, here.settings))
        self._show_plan()

    def _show_plan(self) -> None:
        self.plan.show_plan(self._told, self._fit, self._busy)

    def _on_measure(self) -> None:
        if self.overview is not None:
            self._busy, self._asked = _("Measuring a few steps…"), self._planned
            self._show_plan()
            changes = self._fit.changes if self._fit else {}
            self.context.request(tasks.probe(self.overview.project, self.overview.settings.replaced(changes)))

    def _on_fit(self) -> None:
        if self.overview is not None:
            self._busy, self._asked = _("Finding what fits this computer…"), self._planned
            self._show_plan()
            self.context.request(tasks.fit(self.overview.project, self.overview.settings))

    def _on_drop_fit(self) -> None:
        self._planned = None
        self._plan_anew(self.overview)

    def _on_forecast(self, told: "Forecast") -> None:
        if self._asked == self._planned:
            self._told = told
            self._show_plan()

    def _on_fitted(self, found: "tuple[Fit, Forecast]") -> None:
        if self._asked == self._planned:
            self._fit, self._told = found
            self._show_plan()

    def _on_found(self) -> None:
        self._busy = ""
        self._show_plan()

    def _on_start(self) -> None:
        if self.project is not None:
            self.context.request(tasks.train(self.project, changes=self._fit.changes if self._fit else {}))

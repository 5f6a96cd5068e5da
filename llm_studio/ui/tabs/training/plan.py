"""The card with the forecast of the next run."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _, duration, number, percent, short_number, size, time_limit
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.workflows.training.plan_text import disk_text

if TYPE_CHECKING:
    from llm_studio.workflows.training.forecast import Fit, Forecast


class PlanCard(Card):
    """One line: memory, time, tokens, disk; and two buttons."""

    measure_requested = Signal()
    fit_requested = Signal()
    drop_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.content.setContentsMargins(16, 8, 12, 8)
        self._text = label("", self, "muted", wrap=True)
        self._measure = button(_("Measure"), self, self.measure_requested.emit, "small",
                               _("Runs a few real steps on a temporary model"))  # fmt: skip
        self._fit = button(
            _("Optimise for this computer"),
            self,
            self.fit_requested.emit,
            "small",
            _(
                "Tries which micro-batch suits this computer, for up to ten seconds; the result of a step stays "
                "the same"
            ),
        )
        self._drop = button(_("Use the settings"), self, self.drop_requested.emit, "small")
        inside = row(self._text, self._measure, self._fit, self._drop)
        inside.setStretch(0, 1)
        self.content.addLayout(inside)
        self.hide()

    @property
    def text(self) -> str:
        """The line."""
        return self._text.text()

    def show_plan(self, forecast: "Forecast | None", fit: "Fit | None", activity: str, *, too_long: bool) -> None:
        """Show what is known. `activity`: the current measurement, "" for none; `too_long`: unreasonably long."""
        text = " · ".join(_parts(forecast, fit)) or _("Estimating time and memory…")
        if too_long:
            advice = _("Too long for this computer: plan the run for a time, which fits the model to it.")
            text = f"{advice} {text}"
        self._text.setText(activity or text)
        short = forecast is not None and forecast.memory > forecast.free
        set_role(self._text, "muted" if activity else "bad" if short else "warn" if too_long else "muted")
        self._measure.setVisible(forecast is None or not forecast.measured)
        self._fit.setVisible(fit is None)
        self._drop.setVisible(fit is not None and bool(fit.changes))
        for made in (self._measure, self._fit, self._drop):
            made.setEnabled(not activity)


def _parts(forecast: "Forecast | None", fit: "Fit | None") -> list[str]:
    if forecast is None:
        return []
    parts: list[str] = []
    if fit is not None:
        batch = _("{micro} × {batch} sequences per step").format(
            micro=number(fit.micro_batches), batch=number(fit.batch_size)
        )
        parts.append(_("Optimised for this computer: {batch}").format(batch=batch))
        if fit.checkpointing:
            parts.append(_("activations recomputed"))
    if forecast.minutes:
        text = _("{time} (about {steps} steps)")
        parts.append(text.format(time=time_limit(forecast.minutes), steps=number(forecast.steps)))
    else:
        text = (_("About {time} for {steps} steps") if forecast.measured
                else _("About {time} for {steps} steps (estimate)"))  # fmt: skip
        parts.append(text.format(time=duration(max(1.0, forecast.seconds)), steps=number(forecast.steps)))
    tokens = _("{n} tokens").format(n=short_number(forecast.tokens))
    if forecast.passes is not None:
        tokens += f" ({passes_text(forecast.passes)})"
    disk = disk_text(_("{size} on the disk").format(size=size(forecast.disk)), forecast.snapshots)
    memory = _("memory: {needed} of {free} free").format(needed=size(forecast.memory), free=size(forecast.free))
    return [*parts, tokens, memory, disk]


def passes_text(passes: float) -> str:
    """The number of epochs: a percentage if it is below one."""
    if passes < 1:
        return _("{part} of the texts read").format(part=percent(passes))
    return _("{n} passes").format(n=number(passes, 1 if passes < 10 else 0))

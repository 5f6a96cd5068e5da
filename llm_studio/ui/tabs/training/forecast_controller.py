"""The forecast of the next run, and the micro-batch that fits this computer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.i18n import _
from llm_studio.ui.controller import Controller
from llm_studio.ui.forecasts import MODEL_PROBE
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tabs.training import tasks

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.training.forecast import Fit, Forecast

TOO_LONG = 24 * 3600
"""In seconds."""


class ForecastController(Controller):
    """Requests a forecast when settings or tokens change; measures and fits on request."""

    changed = Signal()
    """`forecast`, `fit` or `activity` has changed."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.forecast: Forecast | None = None
        self.fit: Fit | None = None
        self.activity = ""
        """The current measurement, for the user; "" for none."""
        self._inputs: object = None
        """Project, settings and tokens of `forecast` and `fit`."""
        self._requested: object = None
        """The inputs of the last request: results of earlier ones are out of date."""
        context.listen(tasks.FORECAST, succeeded=self._on_forecast)
        context.listen(tasks.PROBE, succeeded=self._on_forecast, ended=self._on_ended)
        context.listen(tasks.FIT, succeeded=self._on_fit, ended=self._on_ended)
        context.listen(MODEL_PROBE, succeeded=self._on_measured_elsewhere)

    @property
    def changes(self) -> Mapping[str, object]:
        """The settings of the next run that the fit changes."""
        return self.fit.changes if self.fit else {}

    @property
    def too_long(self) -> bool:
        """Whether the next run would take unreasonably long."""
        return self.forecast is not None and self.forecast.seconds > TOO_LONG

    def open_project(self, project: "Project | None") -> None:
        """Forget the forecast."""
        self._update(None)

    def show_overview(self, overview: "Overview") -> None:
        """Request another forecast if settings or tokens have changed."""
        self._update(overview)

    def _update(self, overview: "Overview | None") -> None:
        inputs = (overview.project.root, overview.settings, overview.tokens) if overview else None
        if inputs == self._inputs:
            return
        self._inputs, self.forecast, self.fit, self.activity = inputs, None, None, ""
        self.refresh()
        self.changed.emit()

    def refresh(self) -> None:
        """Request the forecast again: it may have been measured on the tab Model meanwhile."""
        overview = self.overview
        if overview is not None and overview.settings_problem is None and not self.activity:
            self._requested = self._inputs
            self.context.request(tasks.forecast(overview.project, overview.settings.replaced(self.changes)))

    @Slot()
    def measure(self) -> None:
        """Replace the estimate with a measurement of a few real steps."""
        if self.overview is not None:
            self._begin(_("Measuring a few steps…"))
            self.context.request(tasks.probe(self.overview.project, self.overview.settings.replaced(self.changes)))

    @Slot()
    def find_fit(self) -> None:
        """Find the micro-batch that fits this computer, by trying."""
        if self.overview is not None:
            self._begin(_("Finding what fits this computer…"))
            self.context.request(tasks.fit(self.overview.project, self.overview.settings))

    @Slot()
    def drop_fit(self) -> None:
        """Use the settings without the fit."""
        self._inputs = None
        self._update(self.overview)

    def _begin(self, activity: str) -> None:
        self.activity, self._requested = activity, self._inputs
        self.changed.emit()

    def _on_forecast(self, found: "Forecast") -> None:
        if self._requested == self._inputs:
            self.forecast = found
            self.changed.emit()

    def _on_measured_elsewhere(self, _found: object) -> None:
        self.refresh()

    def _on_fit(self, found: "tuple[Fit, Forecast]") -> None:
        if self._requested == self._inputs:
            self.fit, self.forecast = found
            self.changed.emit()

    def _on_ended(self) -> None:
        self.activity = ""
        self.changed.emit()

"""The forecast of a run with the settings of the form; a step is measured automatically if that is fast."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal, Slot

from llm_studio.config import Settings
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.ui import forecasts
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tasks import BackgroundJob, Query, Task
from llm_studio.workflows.training.forecast import step_key

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Machine, Overview, Project
    from llm_studio.workflows.projects import Cost
    from llm_studio.workflows.training.forecast import Forecast

FORECAST, PROBE = forecasts.MODEL_FORECAST, forecasts.MODEL_PROBE
_PAUSE = 1000
"""Milliseconds without a change after which the forecast is requested."""
_QUICK = 2e11
"""FLOPs of a step that any processor computes within a second or two."""
_ROOMY = 0.8
"""Fraction of the free memory that an automatic measurement may use."""


class StepTime(Controller):
    """Requests forecasts and measurements, and caches the forecasts while the project is open."""

    changed = Signal()
    """The forecast, or the reason why there is none, has changed."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._known: dict[str, Forecast] = {}
        self._failed: dict[str, str] = {}
        self._here: Overview | None = None
        self._settings = Settings()
        self._cost: Cost | None = None
        self._machine: Machine | None = None
        self._on_screen = self._measuring = False
        self._jobs: set[str] = set()
        self._timer = QTimer(self, interval=_PAUSE, singleShot=True)
        self._timer.timeout.connect(self._request_forecast)
        context.listen(FORECAST, succeeded=self._on_estimated, failed=self._on_failed)
        context.listen(PROBE, succeeded=self._on_measured, failed=self._on_failed, ended=self._on_ended)
        context.listeners.listen_to_all(started=self._on_task_started, ended=self._on_task_ended)

    def open_project(self, project: "Project | None") -> None:
        """Forget the forecasts."""
        self._timer.stop()
        self._known.clear()
        self._failed.clear()
        self._here, self._measuring = None, False

    def plan(self, here: "Overview", settings: Settings, cost: "Cost", machine: "Machine | None") -> None:
        """Set the current settings."""
        same = self._here is not None and step_key(self._settings) == step_key(settings) and machine is self._machine
        if here.tokens != (self._here.tokens if self._here else None):
            self._known.clear()
            self._failed.clear()
        self._here, self._settings, self._cost, self._machine = here, settings, cost, machine
        if not same:
            self._plan_again()

    def set_visible(self, visible: bool) -> None:
        """Whether the page is visible: otherwise nothing is measured unless requested."""
        self._on_screen = visible
        self._plan_again()

    def _on_task_started(self, task: Task) -> None:
        if isinstance(task, BackgroundJob):  # a measurement would slow it down and be wrong
            self._jobs.add(task.key)
            self._timer.stop()
            if self._measuring:
                self.context.stop_requested.emit(PROBE)

    def _on_task_ended(self, key: str) -> None:
        if key in self._jobs:
            self._jobs.discard(key)
            self._plan_again()

    @property
    def forecast(self) -> "Forecast | None":
        """The forecast for a run with steps like those of these settings; None if there is none."""
        return self._known.get(step_key(self._settings))

    @property
    def measured_seconds(self) -> float | None:
        """Measured seconds per step; None if not measured."""
        return self.forecast.seconds_per_step if self.forecast and self.forecast.measured else None

    @property
    def may_measure(self) -> bool:
        """Whether the user may request a measurement now."""
        return self._has_tokens() and not self._measuring and not self._jobs

    @property
    def note(self) -> str:
        """Why there is no time yet."""
        if self._measuring:
            return _("measuring the time of a step…")
        if not self._has_tokens():
            return _("Time: measured once the tokens are prepared.")
        estimated = _("Time: estimated, not measured yet") if self.forecast else _("Time: not measured yet")
        return self._failed.get(step_key(self._settings), estimated)

    def _has_tokens(self) -> bool:
        here = self._here
        return here is not None and here.tokens is not None and here.settings_problem is None

    def _plan_again(self) -> None:
        if self._on_screen and not self._jobs:
            self._timer.start()

    @Slot()
    def _request_forecast(self) -> None:
        here, settings, key = self._here, self._settings, step_key(self._settings)
        if here is None or not self._has_tokens() or key in self._failed:
            return
        project = here.project
        task = Query(FORECAST, lambda job: (key, forecasts.forecast(project, settings)), page_shows_errors=True)
        self.context.request(task)

    def _measure_if_quick(self) -> None:
        key, cost, machine = step_key(self._settings), self._cost, self._machine
        known = self.forecast
        if cost is None or machine is None or known is None or known.measured or key in self._failed:
            return
        training = self._settings.training
        tokens = training.batch_size * self._settings.model.max_seq_len * training.gradient_accumulation_steps
        quick = machine.has_gpu or cost.flops_per_token * tokens < _QUICK
        if self.may_measure and self._on_screen and quick and cost.training_bytes < _ROOMY * machine.memory:
            self.begin()

    @Slot()
    def begin(self) -> None:
        """Measure now."""
        here, settings, key = self._here, self._settings, step_key(self._settings)
        if here is None or not self.may_measure:
            return
        project = here.project

        def work(job: Job) -> "tuple[str, Forecast]":
            return key, forecasts.timed(project, settings, job)

        self._timer.stop()
        self._failed.pop(key, None)
        self._measuring = True
        self.changed.emit()
        self.context.request(Query(PROBE, work, page_shows_errors=True))

    # --- Results ----------------------------------------------------------------------------------------------

    def _on_estimated(self, result: "tuple[str, Forecast]") -> None:
        """Store a forecast, which may have been measured on another tab."""
        self._on_measured(result)
        self.changed.emit()
        self._measure_if_quick()

    def _on_measured(self, result: "tuple[str, Forecast]") -> None:
        self._known[result[0]] = result[1]

    def _on_failed(self, error: BaseException) -> None:
        """Show the reason instead of the time."""
        self._failed[step_key(self._settings)] = str(error)
        self.changed.emit()

    def _on_ended(self) -> None:
        """A measurement has ended. Start another if the settings have changed meanwhile."""
        self._measuring = False
        self._plan_again()
        self.changed.emit()

"""How long a step takes with the settings of the form: measured here, by itself where that is quick."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from llm_studio.config import Settings
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.ui.tasks import Query

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Machine, Overview
    from llm_studio.workflows.projects import Cost

PROBE = "model/probe"
_PAUSE = 1000
"""Milliseconds without a change after which a quick measurement begins by itself."""
_QUICK = 2e11
"""Floating-point operations of a step that any processor does within a second or two."""
_ROOMY = 0.8
"""Share of the free memory that a measurement which nobody asked for may take."""


class StepTime(QObject):
    """Measures, and remembers what was measured for which settings while the project is open."""

    task_requested = Signal(object)
    """A Task that measures."""
    stop_requested = Signal(str)
    changed = Signal()
    """There is another time, or another reason why there is none."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._known: dict[str, float] = {}
        self._failed: dict[str, str] = {}
        self._here: Overview | None = None
        self._settings = Settings()
        self._cost: Cost | None = None
        self._machine: Machine | None = None
        self._on_screen = self._measuring = False
        self._jobs: set[str] = set()
        self._timer = QTimer(self, interval=_PAUSE, singleShot=True)
        self._timer.timeout.connect(self._begin_by_itself)

    def forget(self) -> None:
        """Another project is open."""
        self._timer.stop()
        self._known.clear()
        self._failed.clear()
        self._here, self._measuring = None, False

    def plan(self, here: "Overview", settings: Settings, cost: "Cost", machine: "Machine | None") -> None:
        """These are the settings now."""
        same = self._here is not None and _what(self._settings) == _what(settings) and machine is self._machine
        if here.tokens != (self._here.tokens if self._here else None):
            self._known.clear()
            self._failed.clear()
        self._here, self._settings, self._cost, self._machine = here, settings, cost, machine
        if not same:
            self._plan_again()

    def show_page(self, on_screen: bool) -> None:
        """Whether someone looks at the page: else nothing is measured by itself."""
        self._on_screen = on_screen
        self._plan_again()

    def job_started(self, key: str) -> None:
        """A job of the user's has begun: a measurement would disturb it and be wrong."""
        self._jobs.add(key)
        self._timer.stop()
        if self._measuring:
            self.stop_requested.emit(PROBE)

    def job_ended(self, key: str) -> None:
        """A job is over."""
        if key in self._jobs:
            self._jobs.discard(key)
            self._plan_again()

    @property
    def seconds(self) -> float | None:
        """Of one step, None where it isn't measured."""
        return self._known.get(_what(self._settings))

    @property
    def may_measure(self) -> bool:
        """Whether the user may ask for it now."""
        return self._has_tokens() and not self._measuring and not self._jobs

    @property
    def note(self) -> str:
        """Why there is no time yet."""
        if self._measuring:
            return _("measuring the time of a step…")
        if not self._has_tokens():
            return _("Time: measured once the tokens are prepared.")
        return self._failed.get(_what(self._settings), _("Time: not measured yet"))

    def _has_tokens(self) -> bool:
        here = self._here
        return here is not None and here.tokens is not None and here.settings_problem is None

    def _plan_again(self) -> None:
        if self._on_screen and not self._jobs:
            self._timer.start()

    @Slot()
    def _begin_by_itself(self) -> None:
        what, cost, machine = _what(self._settings), self._cost, self._machine
        if cost is None or machine is None or what in self._known or what in self._failed:
            return
        training = self._settings.training
        tokens = training.batch_size * self._settings.model.max_seq_len * training.gradient_accumulation_steps
        quick = machine.has_gpu or cost.flops_per_token * tokens < _QUICK
        if self.may_measure and self._on_screen and quick and cost.training_bytes < _ROOMY * machine.memory:
            self.begin()

    @Slot()
    def begin(self) -> None:
        """Measure now."""
        here, settings, what = self._here, self._settings, _what(self._settings)
        if here is None or not self.may_measure:
            return
        project = here.project

        def work(job: Job) -> tuple[str, float]:
            from llm_studio.workflows.training.train import seconds_per_step

            return what, seconds_per_step(project, settings, job=job)

        self._timer.stop()
        self._failed.pop(what, None)
        self._measuring = True
        self.changed.emit()
        self.task_requested.emit(Query(PROBE, work, page_shows_errors=True))

    # --- What comes of it -------------------------------------------------------------------------------------

    def measured(self, result: tuple[str, float]) -> None:
        """A measurement has ended well."""
        self._known[result[0]] = result[1]

    def failed(self, error: BaseException) -> None:
        """A measurement has failed: the reason stands where the time would."""
        self._failed[_what(self._settings)] = str(error)

    def ended(self) -> None:
        """A measurement is over. For settings changed meanwhile another follows."""
        self._measuring = False
        self._plan_again()
        self.changed.emit()


def _what(settings: Settings) -> str:
    """All that the time of a step depends on."""
    training = settings.training
    return repr((settings.model, training.batch_size, training.gradient_accumulation_steps, training.device,
                 training.precision, training.threads))  # fmt: skip

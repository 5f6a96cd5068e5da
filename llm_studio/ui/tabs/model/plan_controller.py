"""The settings shown on the page, the resulting model and its cost, and the memory of this machine."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.config import Settings
from llm_studio.jobs import Job
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tabs.model.probe import StepTime
from llm_studio.ui.tasks import Query
from llm_studio.workflows.model_advice import Plan
from llm_studio.workflows.projects import cost_of

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Machine, Overview
    from llm_studio.workflows.projects import Cost

_MACHINE = "model/machine"


class PlanController(Controller):
    """Holds the settings that the page shows, which may not be saved yet."""

    previewed = Signal(object)
    """The Plan: its settings, the project or the machine have changed."""

    def __init__(self, context: PageContext, step_time: StepTime) -> None:
        super().__init__(context)
        self.settings = Settings()
        self._step_time = step_time
        self._machine: Machine | None = None
        context.listen(_MACHINE, succeeded=self._on_machine)

    @property
    def has_gpu(self) -> bool:
        """Whether a graphics card is used for training; False while unknown."""
        return self._machine is not None and self._machine.has_gpu

    @property
    def plan(self) -> Plan | None:
        """The model and the cost of these settings, with the step time if measured; None without a project."""
        overview = self.overview
        if overview is None:
            return None
        memory = self._machine.memory if self._machine else None
        return Plan(overview, self.settings, self._cost(overview), memory, self._step_time.measured_seconds)

    def _cost(self, overview: "Overview") -> "Cost":
        wanted = self.settings.model.vocab_size
        return cost_of(
            self.settings, overview.cost.vocab_size if wanted == overview.settings.model.vocab_size else wanted
        )

    @Slot(object)
    def preview(self, settings: Settings) -> None:
        """Use these settings for the plan."""
        self.settings = settings
        self.refresh()

    def refresh(self) -> None:
        """The project or the machine has changed."""
        overview = self.overview
        if overview is not None:
            self._step_time.plan(overview, self.settings, self._cost(overview), self._machine)
            self.previewed.emit(self.plan)

    def read_machine(self) -> None:
        """Read the available memory."""
        self.context.request(Query(_MACHINE, _read_machine, page_shows_errors=True))

    def _on_machine(self, machine: "Machine") -> None:
        self._machine = machine
        self.refresh()


def _read_machine(job: Job) -> "Machine":
    from llm_studio.workflows.overview import machine

    return machine()

"""How well the model of the newest run writes, measured after the run has ended."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.events import Event, Progress
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tabs.training import state, tasks
from llm_studio.ui.tabs.training.run_controller import RunController

if TYPE_CHECKING:
    from llm_studio.workflows.generation.writing_quality import WritingQuality
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.training.runs import Run


class ReadyController(Controller):
    """Measures when a run has ended, or when the page first shows one that ended before; never during a run."""

    changed = Signal()
    """`run`, `quality` or `progress` has changed."""

    def __init__(self, context: PageContext, runs: RunController) -> None:
        super().__init__(context)
        self.run: Run | None = None
        """The newest run, if it has ended with a model; None if it hasn't, or if the user has closed its card."""
        self.quality: WritingQuality | None = None
        self.progress: float | None = None
        """Progress of the measurement, 0 to 1; None if none is running."""
        self._runs = runs
        self._closed: tuple[str, int] | None = None
        """Run and step of the card that the user has closed."""
        self._measured: tuple[str, int] | None = None
        """Run and step that were measured, or could not be."""
        self._wanted = False
        """Whether a run has just ended: its model is measured even if the page is hidden."""
        self._visible = False
        runs.started.connect(self._on_run_started)
        runs.ended.connect(self._on_run_ended)
        context.listen(tasks.WRITING, reported=self._on_reported, succeeded=self._on_measured, ended=self._on_ended)

    def open_project(self, project: "Project | None") -> None:
        """Forget the model."""
        self.run, self.quality, self.progress = None, None, None
        self._closed, self._measured, self._wanted = None, None, False

    def show_overview(self, overview: "Overview") -> None:
        """The newest run may be another one, or have been continued."""
        found = None if self._runs.running else state.ready(overview)
        if found is not None and self._closed == (found.name, found.step):
            found = None
        self.run = found
        if found is None or self._measured != (found.name, found.step):
            self.quality = None
        self._measure()
        self.changed.emit()

    def set_visible(self, visible: bool) -> None:
        """Whether the page is visible."""
        self._visible = visible
        self._measure()

    @Slot()
    def close(self) -> None:
        """The user has closed the card."""
        if self.run is not None:
            self._closed = (self.run.name, self.run.step)
            self.run = None
            self._stop()
            self.changed.emit()

    def _measure(self) -> None:
        project, run = self.project, self.run
        if project is None or run is None or self.progress is not None or self._measured == (run.name, run.step):
            return
        if self._visible or self._wanted:
            self._wanted, self.progress, self._measured = False, 0.0, (run.name, run.step)
            self.context.request(tasks.writing(project, run.name))

    def _stop(self) -> None:
        if self.progress is not None:
            self.context.stop_requested.emit(tasks.WRITING)

    def _on_run_started(self) -> None:
        self.run, self.quality, self._closed, self._measured = None, None, None, None
        self._stop()
        self.changed.emit()

    def _on_run_ended(self) -> None:
        self._wanted = True

    def _on_reported(self, event: Event) -> None:
        if isinstance(event, Progress) and event.total:
            self.progress = event.done / event.total
            self.changed.emit()

    def _on_measured(self, found: "WritingQuality") -> None:
        if self.run is not None and found.checkpoint.partition("/")[0] == self.run.name:
            self.quality = found
            self.changed.emit()

    def _on_ended(self) -> None:
        self.progress = None
        self.changed.emit()

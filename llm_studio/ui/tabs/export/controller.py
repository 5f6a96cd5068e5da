"""The state and the tasks of the tab Export: runs, the checkpoints of the selected one, and the exported file."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from llm_studio.errors import StudioError
from llm_studio.events import CheckpointSaved, Event, Progress
from llm_studio.i18n import N_, _, number
from llm_studio.jobs import Job
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext, Toast
from llm_studio.ui.tasks import TRAINING, BackgroundJob, Query

if TYPE_CHECKING:
    from llm_studio.workflows.export import Candidate, Exported, Format, Options
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.training.runs import Run

EXPORT = "export/file"
_CHECKPOINTS = "export/checkpoints"


class ExportController(Controller):
    """Reads the checkpoints of one run as soon as the page is visible."""

    runs_changed = Signal()
    """`overview.runs` or the selected run has changed."""
    checkpoints_changed = Signal()
    """`checkpoints` or `problem` has changed."""
    export_changed = Signal()
    """An export has started or ended."""
    progressed = Signal(float, float)
    """Bytes written, and their total."""
    exported = Signal(object)
    """The Exported: the file is complete."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.run = ""
        """The selected run, "" for none."""
        self.checkpoints: list[Candidate] = []
        """The readable checkpoints of the selected run, the newest first."""
        self.problem = ""
        """Why there are no checkpoints; "" if there are some or they aren't known yet."""
        self._runs: tuple[Run, ...] = ()
        self.is_exporting = False
        self._visible = False
        self._stale = True
        self._signature: object = None
        context.listen(_CHECKPOINTS, succeeded=self._on_checkpoints, failed=self._on_failed)
        context.listen(
            EXPORT,
            started=self._on_started,
            reported=self._on_progress,
            succeeded=self._on_exported,
            ended=self._on_ended,
        )
        context.listen(TRAINING, reported=self._on_training)

    def open_project(self, project: "Project | None") -> None:
        """Forget runs and checkpoints."""
        self.run, self.checkpoints, self.problem, self._runs = "", [], "", ()
        self.is_exporting, self._stale, self._signature = False, True, None

    def show_overview(self, overview: "Overview") -> None:
        """Read the checkpoints again if a run has changed; the selection is kept."""
        signature = tuple((run.name, run.state, run.step, run.bytes) for run in overview.runs)
        if signature == self._signature:
            return
        self._signature = signature
        self._runs = overview.runs
        names = [run.name for run in overview.runs]
        if self.run not in names:
            self.run = names[-1] if names else ""
        self.runs_changed.emit()
        self.refresh()

    def set_visible(self, visible: bool) -> None:
        """Whether the page is visible."""
        self._visible = visible
        if visible and self._stale:
            self.refresh()

    def choose_run(self, run: str) -> None:
        """Read the checkpoints of another run."""
        self.run, self.checkpoints = run, []
        self.checkpoints_changed.emit()
        self.refresh()

    def refresh(self) -> None:
        """Read the checkpoints of the selected run, now or as soon as the page is visible."""
        self._stale = not self._visible
        project, run = self.project, self.run
        if not self._stale and project is not None and run:
            self.context.request(Query(_CHECKPOINTS, lambda job: _checkpoints(project, run), page_shows_errors=True))

    def export(self, chosen: "Candidate", form: "Format", place: Callable[[], Path], options: "Options") -> None:
        """Write a checkpoint in a format to the path that `place` returns, which is called in the job."""

        def work(job: Job) -> "Exported":
            return form.write(chosen.model, place(), options, job)

        self.context.request(BackgroundJob(EXPORT, work, N_("Export"), "export"))

    def stop(self) -> None:
        """Stop the export."""
        self.context.stop_requested.emit(EXPORT)

    def _on_training(self, event: Event) -> None:
        if isinstance(event, CheckpointSaved):
            self.refresh()

    def _on_checkpoints(self, found: "list[Candidate]") -> None:
        if found and found[0].model.run != self.run:
            return
        self.checkpoints = found
        self.problem = "" if found else self._why_none()
        self.checkpoints_changed.emit()

    def _why_none(self) -> str:
        """Why the selected run has no checkpoints: none was saved yet, or none can be read."""
        run = next((run for run in self._runs if run.name == self.run), None)
        if run is not None and run.state == "running":
            training = run.settings.get("training", {})
            step = min(training.get("checkpoint_interval", run.max_steps), run.max_steps)
            return _("The first checkpoint will be saved at step {step}, or sooner.").format(step=number(step))
        return _("This run has no readable checkpoint. Choose another one.")

    def _on_failed(self, error: BaseException) -> None:
        self.checkpoints = []
        self.problem = str(error) if isinstance(error, StudioError) else _("The checkpoints can't be read.")
        self.checkpoints_changed.emit()

    def _on_started(self, _task: BackgroundJob) -> None:
        self.is_exporting = True
        self.export_changed.emit()

    def _on_progress(self, event: Event) -> None:
        if isinstance(event, Progress) and event.total:
            self.progressed.emit(event.done, event.total)

    def _on_exported(self, exported: "Exported") -> None:
        self.exported.emit(exported)
        self.context.toast_requested.emit(Toast(_("Model exported: {name}").format(name=exported.path.name)))

    def _on_ended(self) -> None:
        self.is_exporting = False
        self.export_changed.emit()


def _checkpoints(project: "Project", run: str) -> "list[Candidate]":
    from llm_studio.workflows.export import candidates

    return candidates(project, run)

"""*Prepare and train*: its dialog, the plans it shows, and the jobs it starts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QWidget

from llm_studio.errors import StudioError
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.ui.tabs.data import TAB as DATA
from llm_studio.ui.tabs.data import MoreTexts
from llm_studio.ui.tabs.training import TAB as TRAINING_TAB
from llm_studio.ui.tasks import PREPARING, Query
from llm_studio.ui.window.preparation_chain import PreparationChain
from llm_studio.ui.window.session import Session

if TYPE_CHECKING:
    from llm_studio.jobs import Job
    from llm_studio.ui.dialogs.prepare import PrepareDialog
    from llm_studio.workflows.other_models import OtherModel
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.training.planner import RunPlan

PLAN, UNFINISHED, MODELS = "preparation/plan", "preparation/unfinished", "preparation/models"
_ADD = "data/add"
"""The job that adds texts, see `ui/tabs/data/adding_controller.py`."""
USUAL_MINUTES = 30.0


class Tabs(Protocol):
    """What this class needs of the shell."""

    shown: str

    def go_to(self, name: str) -> None: ...
    def show_target(self, name: str, target: object) -> None: ...


class Preparation(QObject):
    """Lives as long as the window: the jobs continue when the language changes."""

    def __init__(self, session: Session, shell: Callable[[], Tabs], window: QWidget) -> None:
        super().__init__(window)
        self._session, self._shell, self._window = session, shell, window
        self.chain = PreparationChain(session, self)
        self._dialog: PrepareDialog | None = None
        self._texts: object = None
        """The texts that the displayed plan is for."""
        self._known: tuple[object, RunPlan] | None = None
        """The last plan without manual changes, and its inputs."""
        self._tab = ""
        """The tab that was last shown for a job."""
        self.chain.step_started.connect(self._on_step)
        session.reported.connect(self._on_reported)
        session.succeeded.connect(self._on_succeeded)
        session.failed.connect(self._on_failed)
        session.started.connect(self._on_started)
        session.overview_changed.connect(self._on_overview)
        session.project_changed.connect(self._on_project)

    @Slot()
    def show_dialog(self) -> None:
        """Ask for the time; if the jobs of an earlier answer are running, show them instead."""
        from llm_studio.ui.dialogs.prepare import PrepareDialog

        running = next((task for task in self._session.jobs() if task.key in PREPARING), None)
        if running is not None:
            self._shell().go_to(running.tab)
            return
        project, overview = self._session.project, self._session.overview
        if project is None or overview is None or self._dialog is not None:
            return
        self._texts = _texts_of(overview)
        self._dialog = dialog = PrepareDialog(overview.settings.training.minutes or USUAL_MINUTES, self._window)
        dialog.plan_requested.connect(self._on_plan_requested)
        dialog.start_requested.connect(self._on_start)
        dialog.resume_requested.connect(self._on_resume)
        dialog.more_texts_requested.connect(self._on_more_texts)
        dialog.stories_requested.connect(self._on_stories)
        dialog.finished.connect(self._on_closed)
        dialog.open()
        self._look_for_unfinished(project)
        self._session.start(Query(MODELS, lambda job: _models(project, job), page_shows_errors=True))

    @Slot()
    def _on_closed(self) -> None:
        self._dialog = None
        self._session.stop(PLAN)
        self._session.stop(UNFINISHED)
        self._session.stop(MODELS)

    def _look_for_unfinished(self, project: "Project") -> None:
        self._session.start(Query(UNFINISHED, lambda job: _unfinished(project), page_shows_errors=True))

    # --- Planning ---------------------------------------------------------------------------------------------

    @Slot(float, dict, str)
    def _on_plan_requested(self, minutes: float, changes: dict[str, object], continue_from: str) -> None:
        project, about = self._session.project, (self._texts, minutes, continue_from)
        if project is None:
            return
        known = self._known[1] if self._known is not None and self._known[0] == about else None

        def work(job: "Job") -> "tuple[object, RunPlan, RunPlan]":
            return about, *_plans(project, minutes, changes, continue_from, known, job)

        self._session.start(Query(PLAN, work, page_shows_errors=True))

    @Slot(str, object)
    def _on_reported(self, key: str, event: object) -> None:
        if key == PLAN and self._dialog is not None and isinstance(event, Progress) and event.total:
            self._dialog.show_progress(event.done / event.total)

    @Slot(str, object)
    def _on_succeeded(self, key: str, result: object) -> None:
        if self._dialog is None or not isinstance(result, tuple):
            return
        if key == UNFINISHED:
            self._dialog.show_unfinished(*result)
        elif key == MODELS:
            self._dialog.show_models(result)
        elif key == PLAN:
            self._show_plan(self._dialog, result)

    def _show_plan(self, dialog: "PrepareDialog", result: Any) -> None:
        from llm_studio.workflows.training.plan_text import few_texts, origin_text

        about, plan, changed = result
        self._known = about, plan
        overview = self._session.overview
        stories = overview is not None and not any(s.name.startswith("stories") for s in overview.sources)
        if about[0] == self._texts:
            dialog.show_plan(changed, few_texts(), origin=origin_text(changed), stories=stories)

    @Slot(str, object)
    def _on_failed(self, key: str, error: BaseException) -> None:
        if self._dialog is None:
            return
        if key == UNFINISHED:
            self._dialog.show_unfinished("", "")
        elif key == PLAN:
            reason = str(error) if isinstance(error, StudioError) else f"{type(error).__name__}: {error}"
            self._dialog.show_problem(reason)

    @Slot(object)
    def _on_started(self, task: object) -> None:
        if self._dialog is not None and getattr(task, "key", "") == _ADD:
            self._texts = None
            self._dialog.wait(_("Adding the texts…"))

    @Slot(object)
    def _on_overview(self, overview: "Overview") -> None:
        """Plan again if the texts have changed, as soon as no more are being added."""
        texts = _texts_of(overview)
        if self._dialog is not None and texts != self._texts and not self._session.is_running(_ADD):
            self._texts = texts
            self._dialog.plan_again()
            self._look_for_unfinished(overview.project)

    @Slot(object)
    def _on_project(self, _project: "Project | None") -> None:
        self._known = None
        if self._dialog is not None:
            self._dialog.reject()

    # --- What the user chose ----------------------------------------------------------------------------------

    @Slot(object)
    def _on_start(self, plan: "RunPlan") -> None:
        project = self._session.project
        if project is not None:
            self._tab = ""
            self.chain.begin(project, plan)

    @Slot(str)
    def _on_resume(self, run: str) -> None:
        from llm_studio.ui.tabs.training import tasks

        project = self._session.project
        if project is not None and not any(self._session.is_running(key) for key in PREPARING):
            self._session.start(tasks.train(project, run))
            self._shell().go_to(TRAINING_TAB.name)

    @Slot(str)
    def _on_step(self, tab: str) -> None:
        """Show the tab of the job, unless the user has gone elsewhere since the previous one."""
        if not self._tab or self._shell().shown == self._tab:
            self._shell().go_to(tab)
            self._tab = tab

    @Slot()
    def _on_more_texts(self) -> None:
        if self._dialog is not None:
            self._dialog.reject()
        self._shell().show_target(DATA.name, MoreTexts("hub", self._language()))

    @Slot()
    def _on_stories(self) -> None:
        self._shell().show_target(DATA.name, MoreTexts("stories", self._language()))

    def _language(self) -> str:
        overview = self._session.overview
        return overview.settings.project.language if overview else ""


def _texts_of(overview: "Overview") -> object:
    """The inputs of a plan other than the time."""
    settings = overview.settings
    return overview.project.root, overview.all_sources, settings.data, overview.steps, settings.model.vocab_size


def _unfinished(project: "Project") -> tuple[str, str]:
    """The name of the run that can be resumed, and facts about it; "" if there is none."""
    from llm_studio.workflows.training.runs import ACTIVE
    from llm_studio.workflows.training.unfinished import unfinished_run, unfinished_text

    run = unfinished_run(project)
    if run is None or run.state in ACTIVE:  # trained by another process
        return "", ""
    return run.name, unfinished_text(run)


def _models(project: "Project", job: "Job") -> "tuple[OtherModel, ...]":
    from llm_studio.workflows.other_models import other_models

    return other_models(project, job)


def _plans(
    project: "Project",
    minutes: float,
    changes: dict[str, object],
    continue_from: str,
    known: "RunPlan | None",
    job: "Job",
) -> "tuple[RunPlan, RunPlan]":
    """The plan for a time, and the same with manual changes."""
    from llm_studio.workflows.training.planner import change_plan, plan_run
    from llm_studio.workflows.training.timed import check_minutes

    check_minutes(minutes)
    plan = known or plan_run(project, minutes, job, continue_from=continue_from or None)
    return plan, change_plan(project, plan, changes, job) if changes else plan

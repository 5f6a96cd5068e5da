"""Runs the jobs of tokenizer, tokens and training run one after the other."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from llm_studio.i18n import N_
from llm_studio.ui.tasks import PREPARING, TOKENIZER, TOKENS, TRAINING, BackgroundJob, Write
from llm_studio.ui.window.session import Session

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Project
    from llm_studio.workflows.training.planner import RunPlan

ADOPT = "preparation/settings"
_KEYS = {"tokenizer": TOKENIZER, "tokens": TOKENS, "train": TRAINING}


class PreparationChain(QObject):
    """Starts each job when the previous one has succeeded; if one fails or is stopped, the chain ends."""

    step_started = Signal(str)
    """The tab of a job that has started."""
    ended = Signal()

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._project: Project | None = None
        self._plan: RunPlan | None = None
        self._steps: list[str] = []
        """The remaining steps, the running one first; see `workflows.make.adopt_plan`."""
        session.succeeded.connect(self._on_succeeded)
        session.failed.connect(self._on_failed)
        session.cancelled.connect(self._on_cancelled)
        session.project_changed.connect(self._on_project)

    @property
    def running(self) -> bool:
        """Whether a job is running or pending."""
        return self._plan is not None

    def begin(self, project: "Project", plan: "RunPlan") -> None:
        """Write the plan's settings and start the jobs. Does nothing if one of the jobs is already running."""
        if self.running or any(self._session.is_running(key) for key in PREPARING):
            return
        self._session.flush_settings()
        self._project, self._plan = project, plan
        self._session.start(Write(ADOPT, lambda job: _adopt(project, plan), changes_project=True))

    def _start_next(self) -> None:
        if not self._steps or self._project is None or self._session.is_running(_KEYS[self._steps[0]]):
            self._end()
            return
        origin = self._plan.origin if self._plan else None
        task = _job(self._project, self._steps[0], origin.name if origin else None)
        self._session.start(task)
        self.step_started.emit(task.tab)

    def _end(self) -> None:
        if self.running:
            self._project, self._plan, self._steps = None, None, []
            self.ended.emit()

    def _is_current(self, key: str) -> bool:
        return self.running and key == (_KEYS[self._steps[0]] if self._steps else ADOPT)

    @Slot(str, object)
    def _on_succeeded(self, key: str, result: object) -> None:
        if not self._is_current(key):
            return
        if key == ADOPT:
            assert isinstance(result, tuple)
            self._steps = [str(step) for step in result]
        else:
            self._steps.pop(0)
        self._start_next()

    @Slot(str, object)
    def _on_failed(self, key: str, _error: BaseException) -> None:
        if self._is_current(key):
            self._end()

    @Slot(str)
    def _on_cancelled(self, key: str) -> None:
        if self._is_current(key):
            self._end()

    @Slot(object)
    def _on_project(self, project: "Project | None") -> None:
        if self._project is not None and (project is None or project.root != self._project.root):
            self._end()


def _adopt(project: "Project", plan: "RunPlan") -> tuple[str, ...]:
    from llm_studio.workflows.make import adopt_plan

    return adopt_plan(project, plan)


def _job(project: "Project", step: str, continue_from: str | None) -> BackgroundJob:
    """The job of a step as its tab requests it, with a title that shows the overall progress."""
    from llm_studio.ui.tabs.tokenizer import tasks as tokenizer
    from llm_studio.ui.tabs.training import tasks as training

    if step == "tokenizer":
        return tokenizer.train(project, {}, N_("1/3 Training the tokenizer"))
    if step == "tokens":
        return tokenizer.prepare(project, N_("2/3 Preparing the tokens"))
    return training.train(project, title=N_("3/3 Training"), continue_from=continue_from)

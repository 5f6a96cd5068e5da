"""The open project and the running tasks: the only place in the window where work is started and ended."""

import logging
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QDeadlineTimer, QObject, QTimer, Signal, Slot

from llm_studio.errors import BusyError, ProjectError, StudioError
from llm_studio.events import Event
from llm_studio.i18n import _
from llm_studio.ui.tasks import OVERVIEW, SETTINGS, BackgroundJob, Query, Task, Write
from llm_studio.ui.window.query_queue import QueryQueue
from llm_studio.ui.window.worker import Worker

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project

logger = logging.getLogger(__name__)
_SETTINGS_DELAY = 150
"""Milliseconds: settings changed within this time are written together."""
_LOOK_AGAIN = 5_000
"""Milliseconds between two checks whether a project's folder is back, while jobs run in it."""


class Session(QObject):
    """The open project and the running tasks. Its signals notify tabs, each with the key of the task."""

    project_changed = Signal(object)
    """The open project, or None."""
    leaving = Signal()
    """The project is about to be left: pending changes must be sent now."""
    overview_changed = Signal(object)
    started = Signal(object)
    """A task was started."""
    reported = Signal(str, object)
    succeeded = Signal(str, object)
    failed = Signal(str, object)
    cancelled = Signal(str)
    ended = Signal(str)
    problem = Signal(object)
    """An error that no other object reports to the user."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.project: Project | None = None
        self.overview: Overview | None = None
        self._current: dict[str, Worker] = {}
        self._workers: set[Worker] = set()
        self._turns = QueryQueue()
        self._again = False
        """Whether to read another overview after the current one."""
        self._changes: list[tuple[Project, dict[str, object]]] = []
        """Pending changes, each with its project: another project may be opened before they are written."""
        self._over, self._absent = False, False
        """Whether its folder was gone at the last check, and whether the user was notified."""
        self._settings_timer = QTimer(self, interval=_SETTINGS_DELAY, singleShot=True)
        self._settings_timer.timeout.connect(self._write_settings)

    # --- The project ------------------------------------------------------------------------------------------

    def open(self, project: "Project | None") -> None:
        """Open `project` instead of the current one; the caller has asked what to do with running jobs."""
        self.leaving.emit()
        self.flush_settings()
        for key, worker in list(self._current.items()):
            task = worker.task
            if not isinstance(task, BackgroundJob) and not task.outlives_project and key != SETTINGS:
                self._drop(key)
                self._turns.pass_over(key)  # a disconnected disk must not block the next project
        self.project, self.overview, self._absent = project, None, False
        self.project_changed.emit(project)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Read the project's overview again."""
        self._again = False
        if self.project is not None:
            project = self.project
            self.start(Query(OVERVIEW, lambda job: _overview(project), page_shows_errors=True))

    @Slot(dict)
    def change_settings(self, changes: dict[str, object]) -> None:
        """Change settings of the project, by dotted name. Changes within a moment are written together."""
        if self.project is None:
            return
        if not self._changes or self._changes[-1][0] is not self.project:
            self._changes.append((self.project, {}))
        self._changes[-1][1].update(changes)
        self._settings_timer.start()

    def flush_settings(self) -> None:
        """Write pending changes at once, or right after a write in progress."""
        self._settings_timer.stop()
        self._write_settings()

    @Slot()
    def _write_settings(self) -> None:
        if self._changes and SETTINGS not in self._current:  # otherwise they follow after the current write
            project, changes = self._changes.pop(0)
            self.start(Write(SETTINGS, lambda job: _change(project, changes), changes_project=True))

    # --- Tasks ------------------------------------------------------------------------------------------------

    @Slot(object)
    def start(self, task: Task) -> None:
        """Start a task. A job is refused while one with its key is running; other tasks replace their predecessor."""
        if self._over:
            return
        if task.key in self._current:
            if isinstance(task, BackgroundJob):
                self.problem.emit(BusyError(_("“{job}” is already running.").format(job=task.shown_title),
                                            _("Wait until it is done, or stop it.")))  # fmt: skip
                return
            if task.key == OVERVIEW:  # frequent requests would replace each other forever
                self._again = True
                return
            self._drop(task.key)
        earlier = [worker for worker in self._workers if worker.task.key == task.key]
        before = [worker.ended for worker in earlier] if isinstance(task, Write) else []
        worker = Worker(task, self, before)
        self._current[task.key] = worker
        self._workers.add(worker)
        worker.reported.connect(self._on_reported)
        worker.succeeded.connect(self._on_succeeded)
        worker.failed.connect(self._on_failed)
        worker.cancelled.connect(self._on_cancelled)
        worker.done.connect(self._on_done)
        self._turns.begin(worker)
        self.started.emit(task)

    @Slot(str)
    def stop(self, key: str) -> None:
        """Ask a task to end and to keep what it can."""
        if key in self._current:
            self._current[key].job.request_stop()

    @Slot(str)
    def save_now(self, key: str) -> None:
        """Ask a training run to save a checkpoint and continue."""
        if key in self._current:
            self._current[key].job.request_save()

    def is_running(self, key: str) -> bool:
        """Whether a task with this key is running."""
        return key in self._current

    def jobs(self) -> list[BackgroundJob]:
        """The running jobs, the oldest first."""
        return [worker.task for worker in self._current.values() if isinstance(worker.task, BackgroundJob)]

    def is_stopping(self, key: str) -> bool:
        """Whether a running task was asked to end."""
        return key in self._current and self._current[key].job.stop_requested

    def is_idle(self) -> bool:
        """Whether no task is running or pending."""
        return not self._workers and not self._settings_timer.isActive() and not self._changes

    def stop_all(self) -> None:
        """Ask all tasks to end; writes are completed."""
        for worker in self._workers:
            if not isinstance(worker.task, Write):
                worker.job.request_stop()

    def end(self, milliseconds: int) -> bool:
        """End: write pending changes, start nothing more. Returns whether all threads have ended in time."""
        self.leaving.emit()
        self.flush_settings()
        self.stop_all()
        self._over = True
        ended = self.wait(milliseconds)
        for project, changes in self._changes:  # pending behind a write whose end is no longer handled
            try:
                _change(project, changes)
            except StudioError:
                logger.exception("the last changes of the settings are lost")
        self._changes.clear()
        return ended

    def wait(self, milliseconds: int) -> bool:
        """Wait for all threads, at most `milliseconds` in total; returns whether all have ended."""
        deadline = QDeadlineTimer(milliseconds)
        return all(worker.wait(deadline) for worker in list(self._workers))

    def _drop(self, key: str) -> None:
        worker = self._current.pop(key)
        if not isinstance(worker.task, Write):
            worker.job.request_stop()
        if self._turns.waits(worker):
            self._forget(worker)

    def _is_current(self, worker: Worker) -> bool:
        return self._current.get(worker.task.key) is worker

    @Slot(object, object)
    def _on_reported(self, worker: Worker, event: Event) -> None:
        if self._is_current(worker):
            self.reported.emit(worker.task.key, event)

    @Slot(object, object)
    def _on_succeeded(self, worker: Worker, result: object) -> None:
        if self._ends(worker):
            if worker.task.key == OVERVIEW:
                self._show_overview(result)
            self.succeeded.emit(worker.task.key, result)
            self._after(worker.task)

    @Slot(object, object)
    def _on_failed(self, worker: Worker, error: BaseException) -> None:
        if not self._ends(worker):
            if isinstance(worker.task, Write):  # no one waits for its result, but data was not written
                self.problem.emit(error)
            return
        logger.info("task %s failed", worker.task.key, exc_info=error)
        self.failed.emit(worker.task.key, error)
        if worker.task.key == OVERVIEW:
            self._overview_failed(error)
        elif not worker.task.page_shows_errors:
            self.problem.emit(error)
        self._after(worker.task)

    @Slot(object)
    def _on_cancelled(self, worker: Worker) -> None:
        if self._ends(worker):
            self.cancelled.emit(worker.task.key)
            self._after(worker.task)

    def _ends(self, worker: Worker) -> bool:
        """Remove a worker from the running ones: a listener to its outcome may start the next at once."""
        if not self._is_current(worker):
            return False
        del self._current[worker.task.key]
        return True

    def _after(self, task: Task) -> None:
        self.ended.emit(task.key)
        if task.key == SETTINGS:
            self._write_settings()
        if task.changes_project and OVERVIEW in self._current:  # its result may be out of date
            self._drop(OVERVIEW)
        if task.changes_project or (task.key == OVERVIEW and self._again):
            self.refresh()

    @Slot(object)
    def _on_done(self, worker: Worker) -> None:
        worker.wait()
        self._forget(worker)
        self._turns.ended(worker, None if self._over else self._current.get(worker.task.key))

    def _forget(self, worker: Worker) -> None:
        self._workers.discard(worker)
        worker.release()
        worker.deleteLater()

    def _show_overview(self, found: Any) -> None:
        if self.project is not None and found.project.root == self.project.root:
            self.overview, self._absent = found, False
            self.overview_changed.emit(found)

    def _overview_failed(self, error: BaseException) -> None:
        """The folder is gone or can't be read: close the project with a message, as soon as no job runs in it.

        A drive or a share may be disconnected only for a moment, and training would continue without a page.
        """
        summary = self._absent
        if isinstance(error, ProjectError):
            if any(not task.outlives_project for task in self.jobs()):
                self._absent = True
                QTimer.singleShot(_LOOK_AGAIN, self, self.refresh)
            else:
                self.open(None)
        if not summary:
            self.problem.emit(error)


def _overview(project: "Project") -> object:
    from llm_studio.workflows.overview import overview

    return overview(project)


def _change(project: "Project", changes: dict[str, object]) -> object:
    from llm_studio.workflows.projects import change_settings

    return change_settings(project, changes)

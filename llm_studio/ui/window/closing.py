"""Opening, closing and leaving a project: the questions to the user if jobs are running."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QAbstractButton, QFileDialog, QMessageBox, QWidget

from llm_studio.errors import StudioError
from llm_studio.i18n import _
from llm_studio.ui.dialogs.problem import Problems
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tasks import TRAINING, BackgroundJob
from llm_studio.ui.window.session import Session
from llm_studio.ui.window.unsaved import Unsaved

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Project

_PATIENCE = 20_000
"""Milliseconds to wait for threads to end: a training run saves a checkpoint in this time."""


class Closing(QObject):
    """Ensures that no running job is stopped without asking, and that nothing unsaved is lost."""

    recent_changed = Signal()
    """A project was removed from the recent ones."""
    folder_chosen = Signal(str)
    """The user wants to open this folder of a project or a model."""

    def __init__(
        self, session: Session, preferences: Preferences, problems: Problems, unsaved: Unsaved, window: QWidget
    ) -> None:
        super().__init__(window)
        self._session, self._preferences, self._problems, self._unsaved = session, preferences, problems, unsaved
        self._window = window
        self.will_restart = False
        """Whether the program restarts after it has ended."""
        self._next: Project | None = None
        self._leaving = False
        self._quit = False
        self._logging_off = False
        self.question: QMessageBox | None = None
        """The question currently shown."""
        self._answers: dict[QAbstractButton, Callable[[], None] | None] = {}
        self._session.ended.connect(self._on_ended)

    # --- Opening ----------------------------------------------------------------------------------------------

    @Slot(str)
    def open_folder(self, folder: str) -> None:
        """Open the project in a folder, or show what is wrong with it."""
        from llm_studio.workflows.overview import open_project

        try:
            project = open_project(Path(folder))
        except StudioError as error:
            if os.path.isdir(Path(folder).parent):  # otherwise its drive or share is disconnected  # noqa: PTH112
                self._preferences.forget_project(folder)
                self.recent_changed.emit()
            self._problems.show(error)
            return
        self.open_project(project)

    @Slot()
    def choose_folder(self) -> None:
        """Ask for the folder of a project, or of a model."""
        folder = QFileDialog.getExistingDirectory(
            self._window, _("Open a project"), str(self._preferences.folder_for_projects())
        )
        if folder:
            self.folder_chosen.emit(folder)

    @Slot()
    def new_project(self) -> None:
        """Ask for name, location and language of a new project, create and open it."""
        from llm_studio.ui.dialogs.new_project import NewProjectDialog

        dialog = NewProjectDialog(self._preferences, self.ask_to_leave, self._window)
        dialog.made.connect(self._stop_and_leave)
        dialog.found.connect(self.open_project)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot()
    def close_project(self) -> None:
        """Close the project and show the start page."""
        self._leave(None)

    @Slot(object)
    def open_project(self, project: "Project") -> None:
        """Open a project; ask first if jobs are running in the current one."""
        if self._session.project is None or project.root != self._session.project.root:
            self._leave(project)
        else:  # keep its jobs and unsaved input
            self._session.refresh()

    def ask_to_leave(self, then: Callable[[], None]) -> None:
        """Call `then` when the open project may be left: at once if nothing is lost, otherwise if the user agrees."""
        if not self._unsaved.may_leave(lambda: self.ask_to_leave(then)):
            return
        jobs = self._jobs_of_project()
        if not jobs:
            then()
        else:
            self._ask(jobs, _("Save, stop and change project"), then)

    def _leave(self, project: "Project | None") -> None:
        self.ask_to_leave(lambda: self._stop_and_leave(project))

    def _jobs_of_project(self) -> list[BackgroundJob]:
        """The running jobs that end when the project is left; those independent of it continue."""
        return [task for task in self._session.jobs() if not task.outlives_project]

    @Slot(object)
    def _stop_and_leave(self, project: "Project | None") -> None:
        self._next, self._leaving = project, True
        for task in self._jobs_of_project():
            self._session.stop(task.key)
        self._on_ended("")

    # --- Closing ----------------------------------------------------------------------------------------------

    @Slot()
    def restart(self) -> None:
        """Restart the program, asking about running jobs."""
        self.will_restart = True
        self._window.close()

    def may_close(self) -> bool:
        """Whether the window may close now. If not, the user is asked, and it may close itself afterwards."""
        jobs = self._session.jobs()
        if not jobs or self._logging_off:
            return True
        if self._quit and all(self._session.is_stopping(task.key) for task in jobs):
            return False  # already answered: it closes when the jobs have saved
        self._ask(jobs, _("Save, stop and quit"), self._stop_and_quit, self._window.showMinimized)
        return False

    @Slot()
    def _stop_and_quit(self) -> None:
        self._quit = True
        self._session.stop_all()
        self._on_ended("")

    @Slot()
    def log_off(self) -> None:
        """The system ends the session and soon kills all programs: save at once, without questions."""
        self._logging_off = self._quit = True
        self._session.leaving.emit()
        self._session.flush_settings()
        self._session.stop_all()
        self._session.wait(_PATIENCE)

    def end_all(self) -> None:
        """Wait for all threads to end."""
        self._session.end(_PATIENCE)

    def _ask(
        self,
        jobs: list[BackgroundJob],
        stop: str,
        stopped: Callable[[], None],
        kept: Callable[[], None] | None = None,
    ) -> None:
        """Ask what to do with the running jobs. Only one such question is shown at a time.

        `kept`: called if they should continue; without it there is only one way to continue, besides Cancel.
        """
        if self.question is not None:
            self.question.raise_()
            return
        titles = ", ".join(task.shown_title for task in jobs)
        box = self.question = QMessageBox(self._window)
        box.setWindowTitle("LLM Studio")
        box.setTextFormat(Qt.TextFormat.PlainText)
        only_training = [task.key for task in jobs] == [TRAINING]
        box.setText(_("Training is running.") if only_training else _("Still running: {jobs}.").format(jobs=titles))
        saved = _("Stopping saves it; you can resume exactly there.")
        box.setInformativeText(saved if self._session.is_running(TRAINING) else _("Unfinished work is lost."))
        staying = _("Stay in this project") if kept is None else _("Minimise and continue")
        keep = box.addButton(staying, QMessageBox.ButtonRole.AcceptRole)
        stop_button = box.addButton(stop, QMessageBox.ButtonRole.DestructiveRole)
        box.setEscapeButton(keep if kept is None else box.addButton(_("Cancel"), QMessageBox.ButtonRole.RejectRole))
        box.setDefaultButton(keep)
        self._answers = {stop_button: stopped, keep: kept}
        box.finished.connect(self._on_answer)
        box.open()

    @Slot()
    def _on_answer(self) -> None:
        if self.question is None:
            return
        box, self.question = self.question, None
        answer = self._answers.get(box.clickedButton())
        self.will_restart = self.will_restart and answer == self._stop_and_quit
        box.deleteLater()
        if answer is not None:
            answer()

    @Slot(str)
    def _on_ended(self, _key: str) -> None:
        if self._quit:
            if not self._session.jobs():
                QTimer.singleShot(0, self, self._close_when_done)
        elif self._leaving and not self._jobs_of_project():
            self._leaving = False
            self._session.open(self._next)

    @Slot()
    def _close_when_done(self) -> None:
        """Close, but not before the user has seen errors of the last jobs."""
        dialog = self._problems.dialog
        if dialog is None:
            self._window.close()
        else:
            dialog.finished.connect(self._close_when_done, Qt.ConnectionType.QueuedConnection)

"""Shared by the objects of one page: the open project, requests to the window, and the listeners to tasks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from llm_studio.ui.preferences import Preferences
from llm_studio.ui.task_listeners import TaskListeners
from llm_studio.ui.tasks import Task

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project


@dataclass(frozen=True)
class Toast:
    """A short message at the bottom of the window that disappears after a while."""

    text: str
    undo: Task | None = None
    """Undoes the action: the toast then has a button for it."""
    action: str = ""
    """The text of that button; "" for "Undo"."""


class PageContext(QObject):
    """One per page. Page and controllers emit the requests, which the shell connects to the session."""

    project_opened = Signal(object)
    """Another project was opened, or None."""
    project_closing = Signal()
    """The project is about to be closed."""
    overview_changed = Signal(object)
    """The project has a new Overview."""
    task_requested = Signal(object)
    """A Task should be started."""
    stop_requested = Signal(str)
    """The task with this key should end and keep what it can."""
    save_requested = Signal(str)
    """The training run with this key should save a checkpoint now."""
    settings_requested = Signal(dict)
    """Settings of the project should be changed, by dotted name."""
    tab_requested = Signal(str)
    """Another tab should be shown."""
    target_requested = Signal(str, object)
    """Another tab should be shown with a target for its page, see `Page.show_target`."""
    toast_requested = Signal(object)
    """A Toast should be shown."""
    preparation_requested = Signal()
    """The dialog *Prepare and train* should open."""
    restart_requested = Signal()
    """The program should restart."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.project: Project | None = None
        self.overview: Overview | None = None
        """The project's last overview; None until there is one."""
        self.preferences = Preferences()
        """The user's preferences: those of the window once the page is in it."""
        self.listeners = TaskListeners()
        self.listen = self.listeners.listen

    def request(self, task: Task) -> None:
        """Ask the window to start a task."""
        self.task_requested.emit(task)

"""What the objects of one page share: the open project, their requests to the window, and the listeners to tasks."""

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
    """A short message at the foot of the window that disappears after a while."""

    text: str
    undo: Task | None = None
    """Undoes what was done: the toast then has a button for it."""
    action: str = ""
    """What that button says, "" for "Undo"."""


class PageContext(QObject):
    """One per page. Page and controllers emit the requests, which the shell connects to the session."""

    project_opened = Signal(object)
    """Another project is open, or None."""
    project_closing = Signal()
    """The project is about to be closed."""
    overview_changed = Signal(object)
    """The project has this Overview."""
    task_requested = Signal(object)
    """A Task is to be started."""
    stop_requested = Signal(str)
    """The task of this key should end and keep what it can."""
    save_requested = Signal(str)
    """The training run of this key should save a checkpoint now."""
    settings_requested = Signal(dict)
    """Settings of the project are to be changed, by dotted name."""
    tab_requested = Signal(str)
    """Another tab is to be shown."""
    target_requested = Signal(str, object)
    """Another tab is to be shown with something that its page understands, see `Page.show_target`."""
    toast_requested = Signal(object)
    """A Toast is to be shown."""
    preparation_requested = Signal()
    """The dialog *Prepare and train* should open."""
    restart_requested = Signal()
    """The program should end and start again."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.project: Project | None = None
        self.overview: Overview | None = None
        """The project's last overview; None until the first one of a project is known."""
        self.preferences = Preferences()
        """The user's choices: those of the window as soon as the page is in it."""
        self.listeners = TaskListeners()
        self.listen = self.listeners.listen

    def request(self, task: Task) -> None:
        """Ask the window to start a task."""
        self.task_requested.emit(task)

"""What all tabs have in common: a head with title and actions, and the way they ask and hear."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from llm_studio.ui.theme import GAP, PAGE_MARGIN, set_role
from llm_studio.ui.worker import Task

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project


@dataclass(frozen=True)
class Toast:
    """A short word at the foot of the window that goes away by itself, with a way to undo what was done."""

    text: str
    undo: Task | None = None


@dataclass(frozen=True)
class _Listener:
    started: Callable[[Task], None] | None
    reported: Callable[[Any], None] | None
    succeeded: Callable[[Any], None] | None
    failed: Callable[[BaseException], None] | None
    cancelled: Callable[[], None] | None
    ended: Callable[[], None] | None


class Page(QWidget):
    """One tab. It shows and asks: signals go out, and what comes of them comes in by its slots.

    A page is made anew when the language changes: all that it shows must come from the project, from `show_overview`,
    from what running tasks report, and from `draft`.
    """

    asked = Signal(object)
    """A Task to be started."""
    stop_asked = Signal(str)
    """The key of a task that should end and keep what it can."""
    save_asked = Signal(str)
    settings_asked = Signal(dict)
    """Settings to be changed, by dotted name."""
    tab_asked = Signal(str)
    """The name of another tab to go to."""
    checkpoint_asked = Signal(str, int)
    """Talk with a run's model as it was at a step."""
    told = Signal(object)
    """A Toast."""
    restart_asked = Signal()
    """The program should end and begin anew."""

    def __init__(self, title: str, subtitle: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.project: Project | None = None
        self.overview: Overview | None = None
        self._listeners: dict[str, _Listener] = {}
        set_role(self, "page")
        self.title = QLabel(title, self)
        set_role(self.title, "title")
        self.subtitle = QLabel(subtitle, self)
        self.subtitle.setWordWrap(True)
        set_role(self.subtitle, "muted")
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.title)
        words.addWidget(self.subtitle)
        self.head_buttons = QHBoxLayout()
        """Buttons at the right of the title, the primary one last."""
        self.head_buttons.setSpacing(GAP)
        head = QHBoxLayout()
        head.addLayout(words, 1)
        head.addLayout(self.head_buttons)
        self.body = QVBoxLayout(self)
        """Everything, from top to bottom; the head is first."""
        self.body.setContentsMargins(PAGE_MARGIN, 18, PAGE_MARGIN, 20)
        self.body.setSpacing(GAP)
        self.body.addLayout(head)

    # --- For the main window ----------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Another project is open, or none: forget all of the one before. `show_overview` follows soon."""
        self.project, self.overview = project, None
        for dialog in self.findChildren(QDialog):  # it asks about the project before
            dialog.reject()

    def leave_project(self) -> None:
        """The project is about to be left, or the program: send what the user has changed and what isn't sent."""

    def unsaved(self) -> str:
        """Why something that the user has written can't be kept when it is left now, "" where nothing is lost."""
        return ""

    def discard_unsaved(self) -> None:
        """The user gives up what `unsaved` tells of."""

    def draft(self) -> object:
        """What is being written and isn't in the project, for the page that takes this one's place; else None."""
        return None

    def take_draft(self, draft: Any) -> None:
        """Go on with what was being written on the page before this one; None where nothing was."""

    # No @Slot here: PySide6 6.11 goes on calling an overridden slot of a base class after the object was deleted
    def show_overview(self, overview: "Overview") -> None:
        """The project stands as `overview` says: called after opening and whenever something has changed."""
        self.overview = overview

    def take_checkpoint(self, run: str, step: int) -> None:
        """Another tab asks to talk with the model of `run` at `step`; Generation does."""

    def show_help(self, name: str) -> None:
        """Another tab, `name`, asks to be explained; Understand does."""

    def task_started(self, task: Task) -> None:
        """A task has begun; for a page made while it runs, also right after `open_project`."""
        listener = self._listeners.get(task.key)
        if listener and listener.started:
            listener.started(task)

    def task_reported(self, key: str, event: object) -> None:
        """A running task tells something."""
        listener = self._listeners.get(key)
        if listener and listener.reported:
            listener.reported(event)

    def task_succeeded(self, key: str, result: object) -> None:
        """A task has ended well."""
        listener = self._listeners.get(key)
        if listener and listener.succeeded:
            listener.succeeded(result)

    def task_failed(self, key: str, error: BaseException) -> None:
        """A task has failed. The window tells the user, unless the task says that its page does."""
        listener = self._listeners.get(key)
        if listener and listener.failed:
            listener.failed(error)

    def task_cancelled(self, key: str) -> None:
        """A task was stopped and kept nothing."""
        listener = self._listeners.get(key)
        if listener and listener.cancelled:
            listener.cancelled()

    def task_ended(self, key: str) -> None:
        """A task is over, whichever way."""
        listener = self._listeners.get(key)
        if listener and listener.ended:
            listener.ended()

    # --- For the tabs themselves ------------------------------------------------------------------------------

    def listen(
        self, key: str, *,
        started: Callable[[Task], None] | None = None, reported: Callable[[Any], None] | None = None,
        succeeded: Callable[[Any], None] | None = None, failed: Callable[[BaseException], None] | None = None,
        cancelled: Callable[[], None] | None = None, ended: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Call these when something happens to the task of this key, whoever asked for it."""
        self._listeners[key] = _Listener(started, reported, succeeded, failed, cancelled, ended)

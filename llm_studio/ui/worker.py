"""Work in the background: what a tab asks for, and the one kind of thread that does it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QThread, Signal

from llm_studio.errors import Cancelled
from llm_studio.events import Event
from llm_studio.jobs import Job


@dataclass(frozen=True, eq=False)
class Task:
    """Something to be done in the background, and how the window shows it.

    `key` says what it is; of tasks with the same key only one is under way. With a `title` it is a job that the user
    waits for: it is shown in the status bar and a second one is refused. Without one it is a question: a newer one
    takes the place of an older one, whose answer nobody sees; unless it writes, it begins when the older one has ended.
    """

    key: str
    work: Callable[[Job], Any]
    title: str = ""
    tab: str = ""
    """The tab that shows more, for a job of the status bar."""
    changes_project: bool = False
    """The project's state is read anew when it has ended."""
    shows_problems: bool = False
    """Who asked shows a problem itself: the window has no dialog for it."""
    in_order: bool = False
    """It writes something: a newer one of its key waits until it has ended, and nothing is written twice at a time."""
    of_program: bool = False
    """It has nothing to do with the open project: a question that goes on when another is opened."""
    keep_awake: bool = False
    """The computer isn't let fall asleep."""

    @property
    def is_question(self) -> bool:
        """Whether a newer task of the same key takes its place."""
        return not self.title

    @property
    def may_be_skipped(self) -> bool:
        """Whether nothing is lost where it never begins, because a newer one has taken its place before."""
        return self.is_question and not self.changes_project and not self.in_order


class Worker(QThread):
    """Runs one task. Exactly one of succeeded, failed, cancelled is sent, then `done`; each with the worker itself."""

    reported = Signal(object, object)
    succeeded = Signal(object, object)
    failed = Signal(object, object)
    cancelled = Signal(object)
    done = Signal(object)

    def __init__(self, task: Task, parent: QObject, before: Sequence[threading.Event] = ()) -> None:
        super().__init__(parent)
        self.task = task
        self.ended = threading.Event()
        """Set when the work is over."""
        self._before = before
        self.job = Job(self._report)
        self.setObjectName(task.key)

    def _report(self, event: Event) -> None:
        self.reported.emit(self, event)

    def let_go(self) -> None:
        """It is over: part worker and job, who hold each other, and with them what the task holds, a model often."""
        self.job = Job()

    def run(self) -> None:
        """In the thread: do the work and tell how it ended."""
        for ended in self._before:
            ended.wait()
        try:
            result = self.task.work(self.job)
        except Cancelled:
            self.cancelled.emit(self)
        except BaseException as error:  # a panic of a library in Rust isn't an Exception
            self.failed.emit(self, error)
        else:
            self.succeeded.emit(self, result)
        finally:
            self.ended.set()
            self.done.emit(self)

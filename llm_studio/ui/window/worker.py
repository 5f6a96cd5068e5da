"""The thread class that runs the window's tasks."""

import threading
from collections.abc import Sequence

from PySide6.QtCore import QObject, QThread, Signal

from llm_studio.errors import Cancelled
from llm_studio.events import Event
from llm_studio.jobs import Job
from llm_studio.ui.tasks import Task


class Worker(QThread):
    """Runs one task. Emits exactly one of succeeded, failed, cancelled, then `done`, each with the worker itself."""

    reported = Signal(object, object)
    succeeded = Signal(object, object)
    failed = Signal(object, object)
    cancelled = Signal(object)
    done = Signal(object)

    def __init__(self, task: Task, parent: QObject, before: Sequence[threading.Event] = ()) -> None:
        """`before`: the work starts when all of these are set."""
        super().__init__(parent)
        self.task = task
        self.ended = threading.Event()
        """Set when the work has ended."""
        self._before = before
        self.job = Job(self._report)
        self.setObjectName(task.key)

    def _report(self, event: Event) -> None:
        self.reported.emit(self, event)

    def release(self) -> None:
        """Break the reference cycle of worker and job at the end: a task often holds a whole model."""
        self.job = Job()

    def run(self) -> None:
        """Do the work, in the thread, and report how it ended."""
        for ended in self._before:
            ended.wait()
        try:
            result = self.task.work(self.job)
        except Cancelled:
            self.cancelled.emit(self)
        except BaseException as error:  # a panic in a Rust library isn't an Exception
            self.failed.emit(self, error)
        else:
            self.succeeded.emit(self, result)
        finally:
            self.ended.set()
            self.done.emit(self)

"""A registry of callbacks by the key of a task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llm_studio.ui.tasks import Task


@dataclass(frozen=True)
class _Listener:
    started: Callable[[Any], None] | None
    reported: Callable[[Any], None] | None
    succeeded: Callable[[Any], None] | None
    failed: Callable[[BaseException], None] | None
    cancelled: Callable[[], None] | None
    ended: Callable[[], None] | None


class TaskListeners:
    """The listeners of one page. A key has one listener, so that none is silently replaced."""

    def __init__(self) -> None:
        self._listeners: dict[str, _Listener] = {}
        self._started: list[Callable[[Task], None]] = []
        self._ended: list[Callable[[str], None]] = []

    def listen(
        self, key: str, *,
        started: Callable[[Any], None] | None = None, reported: Callable[[Any], None] | None = None,
        succeeded: Callable[[Any], None] | None = None, failed: Callable[[BaseException], None] | None = None,
        cancelled: Callable[[], None] | None = None, ended: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Call these for events of the task with this key, whoever requested it.

        Raises:
            ValueError: the key already has a listener.
        """
        if key in self._listeners:
            raise ValueError(f"the task {key!r} has a listener already")
        self._listeners[key] = _Listener(started, reported, succeeded, failed, cancelled, ended)

    def listen_to_all(self, *, started: Callable[[Task], None], ended: Callable[[str], None]) -> None:
        """Call these when any task starts or ends, after the listener of its key."""
        self._started.append(started)
        self._ended.append(ended)

    def task_started(self, task: Task) -> None:
        """A task has started; for a page created while it runs, also called right after `open_project`."""
        listener = self._listeners.get(task.key)
        if listener and listener.started:
            listener.started(task)
        for started in self._started:
            started(task)

    def task_reported(self, key: str, event: object) -> None:
        """A running task has reported an event."""
        listener = self._listeners.get(key)
        if listener and listener.reported:
            listener.reported(event)

    def task_succeeded(self, key: str, result: object) -> None:
        """A task has succeeded."""
        listener = self._listeners.get(key)
        if listener and listener.succeeded:
            listener.succeeded(result)

    def task_failed(self, key: str, error: BaseException) -> None:
        """A task has failed. The window shows the error, unless the task says that its page shows it."""
        listener = self._listeners.get(key)
        if listener and listener.failed:
            listener.failed(error)

    def task_cancelled(self, key: str) -> None:
        """A task was stopped without a result."""
        listener = self._listeners.get(key)
        if listener and listener.cancelled:
            listener.cancelled()

    def task_ended(self, key: str) -> None:
        """A task has ended, in whatever way."""
        listener = self._listeners.get(key)
        if listener and listener.ended:
            listener.ended()
        for ended in self._ended:
            ended(key)

"""Runs only one query per key at a time: many at once would slow each other down."""

from llm_studio.ui.tasks import Query
from llm_studio.ui.window.worker import Worker


class QueryQueue:
    """Starts queries. A replaced query may still run until it checks its job: the next one of its key waits for it."""

    def __init__(self) -> None:
        self._computing: dict[str, Worker] = {}

    def begin(self, worker: Worker) -> None:
        """Start the worker, unless it is a query and another one with its key is running."""
        task = worker.task
        if isinstance(task, Query) and self._computing.setdefault(task.key, worker) is not worker:
            return
        worker.start()

    def waits(self, worker: Worker) -> bool:
        """Whether it is a query that hasn't started."""
        return isinstance(worker.task, Query) and self._computing.get(worker.task.key) is not worker

    def pass_over(self, key: str) -> None:
        """No longer wait for the running query with this key."""
        self._computing.pop(key, None)

    def ended(self, worker: Worker, following: Worker | None) -> None:
        """A worker has ended: start `following` if it was waiting for it."""
        key = worker.task.key
        if self._computing.get(key) is worker:
            del self._computing[key]
            if following is not None and self.waits(following):
                self.begin(following)

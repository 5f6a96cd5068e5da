"""Of the questions of one key, one computes at a time: many at once would slow each other down."""

from llm_studio.ui.tasks import Query
from llm_studio.ui.window.worker import Worker


class QueryQueue:
    """Lets questions begin. One that was replaced goes on where its work takes no look at the job: its like waits."""

    def __init__(self) -> None:
        self._computing: dict[str, Worker] = {}

    def begin(self, worker: Worker) -> None:
        """Let it begin, unless it is a question and its like computes."""
        task = worker.task
        if isinstance(task, Query) and self._computing.setdefault(task.key, worker) is not worker:
            return
        worker.start()

    def waits(self, worker: Worker) -> bool:
        """Whether it is a question that hasn't begun."""
        return isinstance(worker.task, Query) and self._computing.get(worker.task.key) is not worker

    def pass_over(self, key: str) -> None:
        """Wait no longer for the one of this key that computes."""
        self._computing.pop(key, None)

    def ended(self, worker: Worker, following: Worker | None) -> None:
        """One is over: let the one that follows begin, if it has waited for it."""
        key = worker.task.key
        if self._computing.get(key) is worker:
            del self._computing[key]
            if following is not None and self.waits(following):
                self.begin(following)

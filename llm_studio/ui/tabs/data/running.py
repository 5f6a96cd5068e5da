"""Tracks whether a later step of preparation is running: the tokenizer, the tokens or a training run."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tasks import PREPARING, BackgroundJob, Task

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Project


class RunningController(Controller):
    """Knows the tab of the running job, so that the page can link to it instead of starting a second one."""

    changed = Signal()

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._tabs: dict[str, str] = {}
        context.listeners.listen_to_all(started=self._on_started, ended=self._on_ended)

    @property
    def tab(self) -> str:
        """The tab of the running job; "" for none."""
        return next(iter(self._tabs.values()), "")

    def open_project(self, project: "Project | None") -> None:
        """Forget the jobs of the previous project."""
        self._tabs.clear()

    def _on_started(self, task: Task) -> None:
        if isinstance(task, BackgroundJob) and task.key in PREPARING:
            self._tabs[task.key] = task.tab
            self.changed.emit()

    def _on_ended(self, key: str) -> None:
        if self._tabs.pop(key, None) is not None:
            self.changed.emit()

"""The current load of this computer, every second."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal, Slot

from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tasks import Query

if TYPE_CHECKING:
    from llm_studio.workflows.machine.gauges import Reading
    from llm_studio.workflows.overview import Project

GAUGES = "diagnostics/gauges"
_INTERVAL = 1000


class ReadingsController(Controller):
    """Reads the gauges while the page is visible, until that fails."""

    changed = Signal(object)
    """A Reading."""
    failed = Signal(object)
    """The exception that prevented reading the gauges."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._previous: Reading | None = None
        self._waiting = False
        self._timer = QTimer(self, interval=_INTERVAL)
        self._timer.timeout.connect(self.read)
        context.listen(GAUGES, succeeded=self._on_reading, failed=self._on_failed, ended=self._on_ended)

    @property
    def is_active(self) -> bool:
        """Whether the gauges are being read every second."""
        return self._timer.isActive()

    def open_project(self, project: "Project | None") -> None:
        """Another project may be on another disk."""
        self._previous, self._waiting = None, False

    def set_visible(self, visible: bool) -> None:
        """Whether the page is visible: otherwise nothing is measured."""
        if visible:
            self._timer.start()
            self.read()
        else:
            self._timer.stop()

    @Slot()
    def read(self) -> None:
        """Read the gauges now, unless the previous query is still running: a disk may be slow."""
        if self._waiting:
            return
        folder = self.project.root if self.project else Path.home()
        previous = self._previous
        self._waiting = True
        self.context.request(Query(GAUGES, lambda job: _look(folder, previous), page_shows_errors=True))

    def _on_reading(self, reading: "Reading") -> None:
        self._previous = reading
        self.changed.emit(reading)

    def _on_failed(self, error: BaseException) -> None:
        self._timer.stop()
        self.failed.emit(error)

    def _on_ended(self) -> None:
        self._waiting = False


def _look(folder: Path, previous: "Reading | None") -> "Reading":
    from llm_studio.workflows.machine.gauges import look

    return look(folder, previous)

"""Runs of this project that another process trains: on the command line, or on a server with access to the folder."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tabs.training import tasks
from llm_studio.workflows.training.runs import ACTIVE

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview

_INTERVAL = 3000
"""Milliseconds between an overview and the request for the next one."""


class ExternalRuns(QObject):
    """Requests overviews regularly while an external run is active and the page is visible."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.visible = False
        self._context = context
        self._timer = QTimer(self, interval=_INTERVAL, singleShot=True)
        self._timer.timeout.connect(self._refresh)

    def follow(self, overview: "Overview", live: str) -> list[str]:
        """The runs trained outside this window, which trains the run `live`; they are followed from now on."""
        found = [run.name for run in overview.runs if run.state in ACTIVE and run.name != live]
        if found and not live:
            self._timer.start()
        else:
            self._timer.stop()
        return found

    @Slot()
    def _refresh(self) -> None:
        if self.visible and self._context.project is not None:
            self._context.request(tasks.overview(self._context.project))
        else:
            self._timer.start()

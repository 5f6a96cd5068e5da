"""Runs that another program trains in this project: on the command line, or on a server that shares the folder."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from llm_studio.ui.page import Page
from llm_studio.ui.tabs.training import tasks
from llm_studio.workflows.training.runs import ACTIVE

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview

_EVERY = 3000
"""Milliseconds from what one look has shown to the next."""


class ExternalRuns(QObject):
    """Has the runs looked at again and again, as long as the page is seen and one of them goes on elsewhere."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._page = page
        self._timer = QTimer(self, interval=_EVERY, singleShot=True)
        self._timer.timeout.connect(self._look)

    def going_on(self, overview: "Overview", live: str) -> list[str]:
        """The runs that go on without this window, which trains the run `live`; from now on they are followed."""
        found = [run.name for run in overview.runs if run.state in ACTIVE and run.name != live]
        if found and not live:
            self._timer.start()
        else:
            self._timer.stop()
        return found

    @Slot()
    def _look(self) -> None:
        if self._page.isVisible() and self._page.project is not None:
            self._page.context.request(tasks.overview(self._page.project))
        else:
            self._timer.start()

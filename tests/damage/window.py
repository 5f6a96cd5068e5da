"""A real window, offscreen, that opens one project after another and goes through all its tabs.

`python -m tests.damage.window PROJECT` does so once, so that all that the window remembers of a project is there.
"""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QDialog

from llm_studio.errors import StudioError
from llm_studio.ui import tabs
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tabs.training.tasks import WRITING
from llm_studio.ui.window.app import make_application
from llm_studio.ui.window.garbage import Collector
from llm_studio.ui.window.main_window import MainWindow
from llm_studio.workflows.overview import Overview

_PATIENCE, _TO_MEASURE = 50.0, 900.0
"""Seconds; what takes longer is ended from outside."""


class Window:
    """Opens projects as a user does. An error that isn't a sentence is raised by `open`."""

    def __init__(self) -> None:
        self._app = make_application()
        self._collector = Collector(self._app)  # as in the program: Qt's objects aren't collected in other threads
        self._collector.start()
        self._said: list[str] = []
        self._bugs: list[BaseException] = []
        self._measure = False
        sys.excepthook = self._on_exception
        threading.excepthook = lambda args: self._on_error(args.exc_value)
        self._window = self._started()

    def _started(self) -> MainWindow:
        preferences = Preferences.load()
        preferences.reopen_last = False
        window = MainWindow(preferences)
        window.session.problem.connect(self._on_error)
        window.session.failed.connect(self._on_failed)
        made: list[bool] = []
        window.pages_made.connect(lambda: made.append(True))
        window.show()
        window.start("")
        self._wait(lambda: bool(made) or bool(self._bugs), window)
        return window

    def restart(self) -> None:
        """End the window and start another one, with the preferences that are on the disk now."""
        self._window.session.stop_all()
        self._wait(self._window.session.is_idle, self._window)
        self._window.close()
        self._window.deleteLater()
        self._window = self._started()
        self._raise_bugs()

    def open(self, root: Path, measure: bool = False) -> tuple[Overview | None, list[str]]:
        """Open a project, go through the tabs, close it: its overview, and what the window said about problems.

        Without `measure`, it isn't waited for how well the model writes, which takes a while.
        """
        self._measure = measure
        self._said.clear()
        window = self._window
        window.closing.open_folder(str(root))
        self._settle()
        for tab in tabs.TABS:
            if tab.needs_project and window.session.project is not None:
                window.go_to(tab.name)
                self._settle()
        found = window.session.overview
        for dialog in window.findChildren(QDialog):
            dialog.reject()
        window.session.open(None)
        self._settle()
        self._raise_bugs()
        return found, list(self._said)

    def _raise_bugs(self) -> None:
        if self._bugs:
            bug = self._bugs[0]
            self._bugs.clear()
            raise bug

    def _settle(self) -> None:
        session = self._window.session

        def idle() -> bool:
            if not self._measure:
                session.stop(WRITING)
            return session.is_idle()

        self._wait(idle, self._window)

    def _wait(self, met: Callable[[], bool], window: MainWindow) -> None:
        loop, ends = QEventLoop(), time.monotonic() + (_TO_MEASURE if self._measure else _PATIENCE)
        timer = QTimer(loop, interval=5)
        timer.timeout.connect(lambda: loop.quit() if met() or time.monotonic() > ends else None)
        timer.start()
        loop.exec()
        timer.stop()
        busy = {worker.task.key: worker.job.stop_requested for worker in window.session._workers}  # pyright: ignore[reportPrivateUsage]
        assert met(), f"still busy after {_PATIENCE} s (whether asked to stop): {busy}"

    def _on_failed(self, _key: str, error: BaseException) -> None:
        self._on_error(error)

    def _on_error(self, error: BaseException | None) -> None:
        if isinstance(error, StudioError):
            self._said.append(str(error))
        elif error is not None:
            self._bugs.append(error)

    def _on_exception(self, _kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        self._on_error(error)


if __name__ == "__main__":
    once = Window()
    sys.excepthook = sys.__excepthook__  # what happens outside of the window is nothing to be judged
    opened, problems = once.open(Path(sys.argv[1]), measure=True)
    assert opened is not None and not problems, problems

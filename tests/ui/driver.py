"""Drives a real window as a user does, and waits for what it does in the background."""

from typing import Any, TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QWidget
from pytestqt.qtbot import QtBot

from llm_studio.project import Project
from llm_studio.ui.dialogs.problem import ProblemDialog
from llm_studio.ui.page import Page
from llm_studio.ui.window.main_window import MainWindow

_W = TypeVar("_W", bound=QWidget)
LONG = 120_000
"""Milliseconds after which something has gone wrong, on the slowest machine."""


class Driver:
    """A window and the hand that moves it."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot, self.session = window, qtbot, window.session
        self.summary: list[BaseException] = []
        self.results: dict[str, Any] = {}
        self.session.problem.connect(self.summary.append)
        self.session.succeeded.connect(self._keep)

    def _keep(self, key: str, result: object) -> None:
        self.results[key] = result

    def settle(self) -> None:
        """Wait until nothing runs in the background and no timer of the session is about to begin something."""
        idle = self.session.is_idle
        self.qtbot.waitUntil(idle, timeout=LONG)

    def open(self, project: Project) -> None:
        """Open a project and wait until it is shown."""
        self.window.closing.open_project(project)
        self.settle()

    def page(self, name: str) -> Any:
        """Go to a tab and give its page."""
        self.window.go_to(name)
        page = self.window.pages[name]
        assert isinstance(page, Page)
        return page

    def button(self, text: str, inside: QWidget | None = None) -> QAbstractButton:
        """The visible button that says `text`."""
        found = [b for b in (inside or self.window).findChildren(QAbstractButton)
                 if b.isVisible() and text in (b.text(), b.accessibleName())]  # fmt: skip
        assert found, f"no button “{text}”"
        return found[0]

    def click(self, target: QWidget | str, inside: QWidget | None = None) -> None:
        """Click on a widget, or on the visible button of this text."""
        widget = self.button(target, inside) if isinstance(target, str) else target
        assert widget.isEnabled(), f"{target} can't be pressed now"
        self.qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)

    def dialog(self, kind: type[_W]) -> _W:
        """The visible dialog of this kind."""
        self.qtbot.waitUntil(lambda: any(d.isVisible() for d in self.window.findChildren(kind)), timeout=10_000)
        return next(d for d in self.window.findChildren(kind) if d.isVisible())

    def problem(self) -> ProblemDialog:
        """The dialog of the problem on the screen."""
        return self.dialog(ProblemDialog)

    def running(self, key: str) -> None:
        """Wait until a task of this key runs."""
        self.qtbot.waitUntil(lambda: self.session.is_running(key), timeout=LONG)

    def end(self) -> None:
        """Close without asking; every thread must end."""
        self.session.flush_settings()
        self.session.stop_all()
        self.qtbot.waitUntil(self.session.is_idle, timeout=LONG)
        assert self.session.wait(0)

"""Notifies a user who is looking elsewhere that a long job has ended."""

import time
from typing import Any

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QApplication, QStyle, QSystemTrayIcon, QWidget

from llm_studio.i18n import _, translated
from llm_studio.ui.tasks import TRAINING, BackgroundJob, Task
from llm_studio.ui.window.session import Session
from llm_studio.workflows.training.request import TrainResult

_LONG = 20.0
"""Seconds: for shorter jobs the user is still there."""
_SHOWN = 10_000


class CompletionNotifier(QObject):
    """Flashes the taskbar button, and shows a notification of the system if available."""

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._begun: dict[str, tuple[str, float]] = {}
        self._failed = False
        self._model = ""
        """The model of the run that has just finished."""
        self._tray: QSystemTrayIcon | None = None
        self.last = ""
        """The last notification."""
        session.started.connect(self._on_started)
        session.succeeded.connect(self._on_succeeded)
        session.failed.connect(self._on_failed)
        session.ended.connect(self._on_ended)

    @Slot(object)
    def _on_started(self, task: Task) -> None:
        if isinstance(task, BackgroundJob):
            self._begun[task.key] = (task.title, time.monotonic())
            self._failed = False

    @Slot(str, object)
    def _on_succeeded(self, key: str, result: Any) -> None:
        ended = key == TRAINING and isinstance(result, TrainResult) and result.finished
        self._model = result.run.name if ended else ""

    @Slot(str, object)
    def _on_failed(self, key: str, _error: object) -> None:
        if key in self._begun:
            self._failed = True

    @Slot(str)
    def _on_ended(self, key: str) -> None:
        title, begun = self._begun.pop(key, ("", 0.0))
        if title and time.monotonic() - begun >= _LONG and not self._window.isActiveWindow():
            text = _("“{job}” has failed.") if self._failed else _("“{job}” is done.")
            if key == TRAINING and self._model:
                text = _("Your model is ready: “{run}” has finished.").format(run=self._model)
            self._report(text.format(job=translated(title)))

    def _report(self, text: str) -> None:
        self.last = text
        QApplication.alert(self._window, 0)
        if not QSystemTrayIcon.isSystemTrayAvailable():
            return
        if self._tray is None:
            icon = self._window.windowIcon()
            if icon.isNull():
                icon = self._window.style().standardIcon(QStyle.StandardPixmap.SP_ComputerIcon)
            self._tray = QSystemTrayIcon(icon, self)
            self._tray.messageClicked.connect(self._window.raise_)
        self._tray.show()
        self._tray.showMessage("LLM Studio", text, QSystemTrayIcon.MessageIcon.Information, _SHOWN)

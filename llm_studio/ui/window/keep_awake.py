"""Keeps the computer from going to sleep during long jobs."""

import sys
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from llm_studio.i18n import _
from llm_studio.jobs import hold_awake
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tasks import BackgroundJob, Task

if TYPE_CHECKING:
    from llm_studio.ui.window.session import Session

_CONNECTION = "llm-studio-awake"
_LOOK_EVERY = 5000
"""Milliseconds between two checks of the preference while a job runs."""


class Awake(QObject):
    """Keeps the computer awake while a task with `keep_awake` runs and the user wants it.

    The screen may turn off. On Windows the state belongs to the thread that sets it: everything is done in the UI
    thread, which lives as long as the program. On Linux the request is sent to the desktop over a separate D-Bus
    connection; closing it withdraws the request. On other systems it does nothing.
    """

    def __init__(self, session: "Session", preferences: Preferences, parent: QObject) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._tasks: set[str] = set()
        self.holds = False
        """Whether the computer is currently kept awake."""
        self._timer = QTimer(self, interval=_LOOK_EVERY)
        self._timer.timeout.connect(self.refresh)
        session.started.connect(self._on_started)
        session.ended.connect(self._on_ended)

    @Slot()
    def refresh(self) -> None:
        """Set or withdraw the request, according to the running tasks and the preference."""
        wanted = bool(self._tasks) and self._preferences.keep_awake
        if wanted == self.holds:
            return
        self.holds = wanted
        if sys.platform == "linux":
            _hold_linux(wanted)
        else:
            hold_awake(wanted)

    @Slot(object)
    def _on_started(self, task: Task) -> None:
        if isinstance(task, BackgroundJob) and task.keep_awake:
            self._tasks.add(task.key)
            self._timer.start()
            self.refresh()

    @Slot(str)
    def _on_ended(self, key: str) -> None:
        self._tasks.discard(key)
        if not self._tasks:
            self._timer.stop()
        self.refresh()


def _hold_linux(wanted: bool) -> None:
    try:
        from PySide6.QtDBus import QDBusConnection, QDBusMessage
    except ImportError:  # a build of Qt without it
        return
    if not wanted:
        QDBusConnection.disconnectFromBus(_CONNECTION)
        return
    bus = QDBusConnection.connectToBus(QDBusConnection.BusType.SessionBus, _CONNECTION)
    if not bus.isConnected():
        return
    service, path = "org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"
    message = QDBusMessage.createMethodCall(service, path, service, "Inhibit")
    message.setArguments(["LLM Studio", _("Training is running")])
    bus.send(message)  # the cookie in the reply isn't needed: closing the connection withdraws the request

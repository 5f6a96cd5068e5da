"""Shows the progress of the running job on the window's taskbar button. Qt 6 has no API for it; Windows does."""

import sys
import uuid

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QWidget

from llm_studio.events import Event
from llm_studio.ui.tasks import BackgroundJob, Task
from llm_studio.ui.widgets.footer import JobProgress
from llm_studio.ui.window.session import Session

_TICKS = 1000
_REDRAW = 500
"""Milliseconds between two updates."""
_NOTHING, _ENDLESS, _NORMAL = 0, 1, 2
"""TBPF_NOPROGRESS, TBPF_INDETERMINATE, TBPF_NORMAL."""
_CLASS, _INTERFACE = "56FDF344-FD6D-11d0-958A-006097C9A090", "EA1AFB91-9E28-4B86-90E9-9E9F8A5EEFAF"
"""CLSID_TaskbarList, IID_ITaskbarList3."""
_INITIALISE, _SET_VALUE, _SET_STATE = 3, 9, 10
"""Indices of the methods HrInit, SetProgressValue and SetProgressState in the interface (shobjidl_core.h)."""


class Taskbar(QObject):
    """Follows the oldest running job. `state`: a fraction from 0 to 1, -1 for "busy", or None for no progress."""

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._jobs: dict[str, JobProgress] = {}
        self.state: float | None = None
        self._shown: float | None = None
        self._list: _TaskbarList | None = None
        self._timer = QTimer(self, interval=_REDRAW)
        self._timer.timeout.connect(self.draw)
        session.started.connect(self._on_started)
        session.reported.connect(self._on_reported)
        session.ended.connect(self._on_ended)

    @Slot(object)
    def _on_started(self, task: Task) -> None:
        if isinstance(task, BackgroundJob):
            self._jobs[task.key] = JobProgress(task.title, task.tab)
            self._timer.start()

    @Slot(str, object)
    def _on_reported(self, key: str, event: Event) -> None:
        if key in self._jobs:
            self._jobs[key].take(event)

    @Slot(str)
    def _on_ended(self, key: str) -> None:
        self._jobs.pop(key, None)
        if not self._jobs:
            self._timer.stop()
            self.draw()

    @Slot()
    def draw(self) -> None:
        """Show the progress of the oldest job, if it has changed."""
        job = next(iter(self._jobs.values()), None)
        self.state = None if job is None else -1 if job.share is None else job.share
        if self.state == self._shown or sys.platform != "win32":
            return
        self._shown = self.state
        if self._list is None:
            self._list = _TaskbarList()
        self._list.show(int(self._window.winId()), self.state)


class _TaskbarList:
    """Windows' ITaskbarList3, for the thread that created it. Does nothing if it isn't available."""

    def __init__(self) -> None:
        self._made = 0
        """The address of the COM object, 0 if there is none."""
        if sys.platform == "win32":
            import ctypes

            made = ctypes.c_void_p()
            kind, interface = (uuid.UUID(text).bytes_le for text in (_CLASS, _INTERFACE))
            ctypes.windll.ole32.CoInitialize(None)  # Qt has already done so in this thread; harmless
            ctypes.windll.ole32.CoCreateInstance(kind, None, 1, interface, ctypes.byref(made))
            self._made = made.value or 0
            self._call(_INITIALISE)

    def show(self, window: int, state: float | None) -> None:
        """`state` as in Taskbar, on the button of the window with this handle."""
        if state is None or state < 0:
            self._call(_SET_STATE, window, _NOTHING if state is None else _ENDLESS)
        else:
            self._call(_SET_STATE, window, _NORMAL)
            self._call(_SET_VALUE, window, round(_TICKS * state), _TICKS)

    def _call(self, place: int, *arguments: int) -> None:
        """Call the method at index `place` of the object's table; all arguments are whole numbers and handles."""
        if sys.platform == "win32" and self._made:
            import ctypes

            table = ctypes.cast(self._made, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))[0]
            kinds = [ctypes.c_uint64] * len(arguments)
            method = ctypes.WINFUNCTYPE(ctypes.c_long, ctypes.c_void_p, *kinds)(table[place] or 0)
            method(self._made, *arguments)

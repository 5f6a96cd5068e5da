"""What a running job may do: report, and ask whether to stop or to save.

A job is a plain function that gets a `Job`. The command line runs it in place, the window in a thread, a test
with `events.append`. Requests come from another thread or a signal handler; the job looks at safe points.
"""

import contextlib
import sys
import threading
from collections.abc import Callable, Generator

from llm_studio.errors import Cancelled
from llm_studio.events import Event


def _ignore(event: Event) -> None:
    del event


class Job:
    """The context of one running job."""

    def __init__(self, report: Callable[[Event], None] = _ignore) -> None:
        self.report = report
        self._stop = threading.Event()
        self._save = threading.Event()

    @property
    def stop_requested(self) -> bool:
        """Whether the job should end soon, keeping what it can."""
        return self._stop.is_set()

    def request_stop(self) -> None:
        """Ask the job to end. Safe from any thread and from a signal handler."""
        self._stop.set()

    def request_save(self) -> None:
        """Ask a training to save a checkpoint now and go on."""
        self._save.set()

    def take_save_request(self) -> bool:
        """Whether a save was asked for since the last call."""
        if not self._save.is_set():
            return False
        self._save.clear()
        return True

    def check(self) -> None:
        """Raise Cancelled if the job should end: for jobs that have nothing to keep yet."""
        if self.stop_requested:
            raise Cancelled

    def wait(self, seconds: float) -> None:
        """Do nothing for so long. Raises Cancelled as soon as the job should end."""
        self._stop.wait(seconds)
        self.check()


_CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 0x00000001
"""ES_CONTINUOUS, ES_SYSTEM_REQUIRED of SetThreadExecutionState."""


def hold_awake(wanted: bool) -> None:
    """Ask Windows not to fall asleep, or no longer; the screen may go dark. Does nothing elsewhere.

    The wish belongs to the thread that has it, and ends with it.
    """
    if sys.platform == "win32":
        import ctypes

        state = _CONTINUOUS | (_SYSTEM_REQUIRED if wanted else 0)
        ctypes.windll.kernel32.SetThreadExecutionState(ctypes.c_uint(state))


@contextlib.contextmanager
def awake() -> Generator[None]:
    """Windows is held awake while the block runs, in its thread."""
    hold_awake(True)
    try:
        yield
    finally:
        hold_awake(False)

"""The time that a run has trained: without pauses, without the sleep of the computer.

`time.perf_counter` goes on while Windows sleeps, and while this program is stopped by a debugger or a full disk.
"""

import statistics
import sys
import time
from collections import deque
from collections.abc import Callable

_LONG, _TIMES = 5.0, 10.0
"""A step that takes more than so many seconds, and so many times the usual, and hardly any processor time, ..."""
_IDLE = 0.2
"""... less than this fraction of it, was not spent training: the program was suspended."""
_REMEMBERED = 25
"""Steps whose median is the usual duration."""


class ActiveClock:
    """Seconds of active training. `now` and `busy` read a clock that goes on, and one of processor time."""

    def __init__(self, now: Callable[[], float] | None = None, busy: Callable[[], float] = time.process_time) -> None:
        self._now, self._busy = now or awake_seconds, busy
        self._began, self._excluded = self._now(), 0.0
        self._stopped_at: float | None = None
        self._usual: deque[float] = deque(maxlen=_REMEMBERED)
        self._step_began = self._now(), self._busy()

    @property
    def seconds(self) -> float:
        """Active seconds since the clock was made."""
        return (self._now() if self._stopped_at is None else self._stopped_at) - self._began - self._excluded

    def stop(self) -> None:
        """The run waits. May be called again."""
        if self._stopped_at is None:
            self._stopped_at = self._now()

    def resume(self) -> None:
        """The run no longer waits. May be called again."""
        if self._stopped_at is not None:
            waited = self._now() - self._stopped_at
            self._excluded += waited
            self._stopped_at = None
            self._step_began = self._step_began[0] + waited, self._step_began[1]

    def begin_step(self) -> None:
        """A step begins."""
        self._step_began = self._now(), self._busy()

    def end_step(self) -> float:
        """A step is done; its active seconds. Time in which the program was suspended is excluded."""
        taken, worked = self._now() - self._step_began[0], self._busy() - self._step_began[1]
        usual = statistics.median(self._usual) if self._usual else taken
        if taken > max(_LONG, _TIMES * usual) and worked < _IDLE * taken:
            self._excluded += taken - usual
            return usual
        self._usual.append(taken)
        return taken


def awake_seconds() -> float:
    """Seconds of a clock that nobody can set and that stands still while the computer sleeps."""
    if sys.platform == "win32":
        import ctypes

        ticks = ctypes.c_ulonglong()  # of 100 nanoseconds
        if ctypes.windll.kernel32.QueryUnbiasedInterruptTime(ctypes.byref(ticks)):
            return ticks.value / 1e7
    return time.monotonic()

"""The time that a run has trained, without pauses and without the time that the computer was asleep.

`time.perf_counter` keeps counting while Windows sleeps and while a process is suspended by a debugger or a full disk.
"""

import statistics
import sys
import time
from collections import deque
from collections.abc import Callable

_LONG, _TIMES = 5.0, 10.0
"""A step was interrupted by a suspension if it took longer than these seconds, longer than this multiple of the median
step, ..."""
_IDLE = 0.2
"""... and used less than this fraction of the time on the processor."""
_REMEMBERED = 25
"""Number of recent steps for the median."""


class ActiveClock:
    """Counts seconds of active training. `now` returns wall-clock seconds, `busy` seconds of processor time."""

    def __init__(self, now: Callable[[], float] | None = None, busy: Callable[[], float] = time.process_time) -> None:
        self._now, self._busy = now or awake_seconds, busy
        self._began, self._excluded = self._now(), 0.0
        self._stopped_at: float | None = None
        self._usual: deque[float] = deque(maxlen=_REMEMBERED)
        self._step_began = self._now(), self._busy()

    @property
    def seconds(self) -> float:
        """Active seconds since this clock was created."""
        return (self._now() if self._stopped_at is None else self._stopped_at) - self._began - self._excluded

    def stop(self) -> None:
        """Pause the clock. Idempotent."""
        if self._stopped_at is None:
            self._stopped_at = self._now()

    def resume(self) -> None:
        """Continue counting after `stop`. Idempotent."""
        if self._stopped_at is not None:
            waited = self._now() - self._stopped_at
            self._excluded += waited
            self._stopped_at = None
            self._step_began = self._step_began[0] + waited, self._step_began[1]

    def begin_step(self) -> None:
        """Mark the start of a step."""
        self._step_began = self._now(), self._busy()

    def end_step(self) -> float:
        """Mark the end of a step and return its active seconds, without any time in which the process was suspended."""
        taken, worked = self._now() - self._step_began[0], self._busy() - self._step_began[1]
        usual = statistics.median(self._usual) if self._usual else taken
        if taken > max(_LONG, _TIMES * usual) and worked < _IDLE * taken:
            self._excluded += taken - usual
            return usual
        self._usual.append(taken)
        return taken


def awake_seconds() -> float:
    """Seconds of a monotonic clock that stops while the computer sleeps."""
    if sys.platform == "win32":
        import ctypes

        ticks = ctypes.c_ulonglong()  # unit: 100 nanoseconds
        if ctypes.windll.kernel32.QueryUnbiasedInterruptTime(ctypes.byref(ticks)):
            return ticks.value / 1e7
    return time.monotonic()

"""Throughput of a run, averaged over its last steps."""

import statistics
from collections import deque

_REMEMBERED = 25
"""Number of steps that are averaged."""
_LONGEST = 3.0
"""A step counts as at most this multiple of the median: a short suspension doesn't predict the next steps, but if steps
remain slow, so does the median."""


class Throughput:
    """Averages over the last steps, robust to single outliers; evaluations and saves don't count."""

    def __init__(self) -> None:
        self._tokens: deque[int] = deque(maxlen=_REMEMBERED)
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, tokens: int, seconds: float) -> None:
        """Add one step."""
        self._tokens.append(tokens)
        self._seconds.append(seconds)

    @property
    def tokens_per_second(self) -> float:
        """Tokens trained on per second."""
        seconds = self.seconds_per_step
        return statistics.fmean(self._tokens) / seconds if seconds else 0.0

    @property
    def seconds_per_step(self) -> float:
        """Seconds per optimizer update."""
        if not self._seconds:
            return 0.0
        longest = _LONGEST * statistics.median(self._seconds)
        return statistics.fmean(min(seconds, longest) for seconds in self._seconds)

"""Monitors losses and step times, and warns early when a run learns nothing or is slow."""

import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from llm_studio import other_programs
from llm_studio.i18n import _, number
from llm_studio.training.health.doctor import LEARNED_NOTHING, PATIENCE

_WINDOW = 50
_TIMES = 200
"""Number of steps for the median step time."""
_SLOW_STEPS = 20
_SLOW = 4.0
"""A run has slowed down if each of this many consecutive steps takes this multiple of the median."""
_MOMENT = 1.0
"""Seconds over which the load by other programs is measured, twice: a short burst doesn't count."""


@dataclass
class LossMonitor:
    """Follows the training loss of one run, in nats per token."""

    vocab_size: int
    warmup_steps: int
    _recent: deque[float] = field(default_factory=lambda: deque[float](maxlen=_WINDOW))
    _said: bool = False

    def warning(self, step: int, loss: float) -> str | None:
        """A warning, once, if the loss at this step shows that nothing is learned."""
        self._recent.append(loss)
        if self._said or step < self.warmup_steps + PATIENCE or len(self._recent) < _WINDOW:
            return None
        mean, chance = sum(self._recent) / _WINDOW, math.log(self.vocab_size)
        if mean < LEARNED_NOTHING * chance:
            return None
        self._said = True
        return _(
            "Nothing is learned: after {step} steps the loss is {loss}, where guessing at random gives {chance}. "
            "“llm-studio curve”, or the line below the curves, says what would help."
        ).format(step=number(step), loss=number(mean, 2), chance=number(chance, 2))


@dataclass
class SpeedMonitor:
    """Follows the seconds per step."""

    device: str
    _usual: deque[float] = field(default_factory=lambda: deque[float](maxlen=_TIMES))
    _slow: int = 0

    def warning(self, seconds: float) -> str | None:
        """A warning if steps have become several times slower, repeated only after they recovered."""
        usual = statistics.median(self._usual) if len(self._usual) >= _SLOW_STEPS else math.inf
        if seconds < _SLOW * usual or not usual:
            self._usual.append(seconds)
            self._slow = 0
            return None
        self._slow += 1
        if self._slow != _SLOW_STEPS:
            return None
        if self.device == "cuda":
            text = _("Steps take {times} times as long as before: another program may be using the graphics card, or "
                     "its memory is full and the computer's is used instead.")  # fmt: skip
        else:
            text = _("Steps take {times} times as long as before: another program may be using the processor or all of "
                     "the memory, or the computer is saving power.")  # fmt: skip
        return text.format(times=number(seconds / usual))

    def reset(self) -> None:
        """Forget the median: the steps are about to change."""
        self._usual.clear()
        self._slow = 0


@dataclass
class LoadMonitor:
    """Checks at the start or resume of a run whether other programs use the processor."""

    measure: Callable[[bool], other_programs.Usage] = other_programs.usage
    _before: other_programs.Usage | None = None
    _done: bool = False

    def warning(self) -> str | None:
        """A warning, once, if other programs are busy during the first steps. Call it after each step."""
        before = self._before
        if self._done or (before is not None and time.perf_counter() - before.at < _MOMENT):
            return None
        if before is None:
            self._before = self.measure(False)
            return None
        now = self.measure(before.programs is not None)
        if not other_programs.are_busy(before, now):
            self._done = True
        elif before.programs is None:  # listing the programs is expensive, so only now
            self._before = self.measure(True)
        else:
            self._done = True
            return _busy(other_programs.busiest(before, now))
        return None


def _busy(name: str) -> str:
    if not name:
        return _("Other programs are using this computer: training will be slower until they end.")
    text = _("Other programs are using this computer, “{name}” the most: training will be slower until they end.")
    return text.format(name=name)

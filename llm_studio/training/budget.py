"""Training for a given time: the clock determines the last step, and the schedule is fitted to it.

A run limited to some minutes starts with an estimate of its last step n, which is corrected from time to time. After s
steps, with R seconds left and p seconds per step, the last step becomes s + R / p. The schedule is a function of the
fraction u of the run that is done. It grows linearly from its value after s steps to 1 at the last step:

    u(t) = u(s) + (1 - u(s)) · (t - s) / (n - s)

so the learning rate never jumps and always reaches its final value at the last step, whenever that comes.

The weights depend on each correction, and the clock is not reproducible. So each correction states when the next one is
due and is written to disk before it is used: a run that was killed and resumed repeats the same corrections and ends
with the same weights.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

KIND = "horizon"
"""Kind of these decisions in the run's journal, completed by the run's time in seconds: another time, other
decisions."""
_EARLY = 0.05
"""The next correction is due after this fraction of the remaining steps."""
_FINISH = 0.02
"""If the time is up before the learning rate has decayed, the run ends within this fraction of the steps done so
far."""
_FIRST = 10
"""The first correction comes after at most this many steps, since the estimate may be far off; each later interval is
at most as long as the run so far."""
_SMOOTH = 0.5
"""Weight of the step time since the last correction in the moving average."""


@dataclass(frozen=True)
class Horizon:
    """A decision taken after `step` steps, when the fraction `done` of the run was complete: `last` is the last step.

    The next decision is due after step `next`.
    """

    step: int
    done: float
    last: int
    next: int

    def fraction(self, step: int) -> float:
        """The fraction of the run that is done after `step` steps, 0 to 1."""
        if step >= self.last:
            return 1.0
        return self.done + (1 - self.done) * (step - self.step) / (self.last - self.step)

    def to_dict(self) -> dict[str, Any]:
        """The fields as a JSON object for the journal."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Horizon | None":
        """The inverse of `to_dict`; None if the values are invalid."""
        try:
            made = Horizon(int(values["step"]), float(values["done"]), int(values["last"]), int(values["next"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        sane = 0 <= made.step < made.last and made.step < made.next and 0 <= made.done <= 1
        return made if sane else None


class TimeBudget:
    """Determines the last step of a run of `seconds`.

    `recorded`: earlier decisions of this run, by step. `spent` returns the seconds trained so far. `record` writes a
    decision to disk before it is used. `share` broadcasts the first process's decision to all processes.
    """

    def __init__(
        self, seconds: float, recorded: Mapping[int, Horizon], spent: Callable[[], float],
        record: Callable[[Horizon], object], share: Callable[[Horizon], Horizon] = lambda made: made,
    ) -> None:  # fmt: skip
        self._seconds, self._recorded = seconds, dict(recorded)
        self._spent, self._record, self._share = spent, record, share
        self._pace = 0.0  # seconds of a step, without evaluations
        self._evaluations, self._steps, self._last_evaluation = 0.0, 0, 0.0
        self._block_began, self._block_evaluations = spent(), 0.0
        self.horizon = Horizon(0, 0.0, 1, 1)

    @property
    def seconds_left(self) -> float:
        """Seconds until the time is up."""
        return max(0.0, self._seconds - self._spent())

    def begin(self, step: int, last: int) -> Horizon:
        """Start at `step`. `last` is the estimated last step, used if no decision was recorded for a run of this time.

        If the user has changed the time, the schedule moves to where a run of the new time would be: after three of
        six minutes it is half done, even if three minutes were the whole run before.
        """
        self._block_began, self._block_evaluations = self._spent(), 0.0
        before = [at for at in self._recorded if at <= step]
        if before:
            self.horizon = self._recorded[max(before)]
            return self.horizon
        last, done = max(last, step + 1), min(1.0, self._spent() / self._seconds)
        return self._adopt(self._schedule_next(step, done, last, _FIRST))

    def evaluated(self, seconds: float) -> None:
        """Count the seconds of an evaluation with its samples."""
        self._evaluations += seconds
        self._block_evaluations += seconds
        self._last_evaluation = seconds

    def paused(self, seconds: float) -> None:
        """Count the seconds of anything else. They get rarer, so they are not extrapolated to the steps to come."""
        self._block_evaluations += seconds

    def is_due(self, step: int) -> bool:
        """Whether the last step must be decided again after `step` steps."""
        return self.horizon.next <= step < self.horizon.last

    def decide(self, step: int) -> Horizon:
        """Decide the last step after `step` steps; a recorded decision is repeated."""
        self._measure(step)
        return self._adopt(self._recorded.get(step) or self._horizon(step))

    def _measure(self, step: int) -> None:
        """Update the seconds per step from the steps since the last decision."""
        steps, now = step - self.horizon.step, self._spent()
        if steps > 0:
            pace = (now - self._block_began - self._block_evaluations) / steps
            self._pace = _SMOOTH * pace + (1 - _SMOOTH) * self._pace if self._pace else pace
            self._steps += steps
        self._block_began, self._block_evaluations = now, 0.0

    def _horizon(self, step: int) -> Horizon:
        done, pace = self.horizon.fraction(step), self._pace + self._evaluations / max(1, self._steps)
        left = self._seconds - self._spent() - self._last_evaluation
        possible = int(left / pace) if pace > 0 else self.horizon.last - step
        last = step + max(1, possible, math.ceil(_FINISH * step * (1 - done)))
        return self._schedule_next(step, done, last, max(_FIRST, step))

    def _schedule_next(self, step: int, done: float, last: int, latest: int) -> Horizon:
        """The decision, with the next one due in at most `latest` steps."""
        due = min(latest, max(1, int(_EARLY * (last - step))))
        return Horizon(step, done, last, step + due)

    def _adopt(self, decided: Horizon) -> Horizon:
        decided = self._share(decided)
        if self._recorded.get(decided.step) != decided:
            self._record(decided)
            self._recorded[decided.step] = decided
        self.horizon = decided
        return decided

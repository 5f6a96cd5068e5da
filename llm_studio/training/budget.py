"""Training for a given time: the clock decides which step is the last, and the schedule is fitted to it.

A run of so many minutes begins with an estimate of its last step n. From time to time the estimate is corrected: after
s steps, with R seconds left and p seconds for a step, the last step becomes s + R / p. The schedule is a function of
the fraction u of the run that is done, which grows evenly from what it is after s steps to 1 at the last step:

    u(t) = u(s) + (1 - u(s)) · (t - s) / (n - s)

so that the learning rate never jumps, and has fallen to its end at the last step, whenever that comes.

Each correction is a decision of the clock on which the weights depend. It says when the next one is due, and is on the
disk before it is used: a run that was killed and resumed takes the same ones, and ends with the same weights.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

KIND = "horizon"
"""Of decisions in the journal of a run, with the seconds of its time: with another time they are other ones."""
_EARLY = 0.05
"""Fraction of the steps left after which the next correction is due."""
_FINISH = 0.02
"""Fraction of the steps done in which a run ends whose time is up before the rate has fallen."""
_FIRST = 10
"""Steps until the first correction at most: the estimate may be far off. The next ones are at most twice as late."""
_SMOOTH = 0.5
"""Weight of what a step took since the last correction; the rest is what it took before."""


@dataclass(frozen=True)
class Horizon:
    """Decided after `step` steps, at the fraction `done` of the run: `last` is the last step.

    The next decision is due after `next` steps.
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
        """For the journal."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Horizon | None":
        """The inverse; None where it makes no sense."""
        try:
            made = Horizon(int(values["step"]), float(values["done"]), int(values["last"]), int(values["next"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        sane = 0 <= made.step < made.last and made.step < made.next and 0 <= made.done <= 1
        return made if sane else None


class TimeBudget:
    """Decides the last step of a run of `seconds`.

    `recorded`: the horizons that were decided before, by step. `spent` gives the seconds that the run has trained;
    `record` writes a decision down, for good, before it is used. `share` makes the first process's decision everyone's.
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
        """Until the end."""
        return max(0.0, self._seconds - self._spent())

    def begin(self, step: int, last: int) -> Horizon:
        """Stand at `step`, with `last` an estimate of the last step where none was decided for a run of this time.

        Where the user has given the run another time, the schedule goes to where a run of that time stands: after
        three of now six minutes it is half done, though it was at its end before.
        """
        self._block_began, self._block_evaluations = self._spent(), 0.0
        before = [at for at in self._recorded if at <= step]
        if before:
            self.horizon = self._recorded[max(before)]
            return self.horizon
        last, done = max(last, step + 1), min(1.0, self._spent() / self._seconds)
        return self._adopt(self._made(step, done, last, _FIRST))

    def evaluated(self, seconds: float) -> None:
        """An evaluation, with its samples, took so long."""
        self._evaluations += seconds
        self._block_evaluations += seconds
        self._last_evaluation = seconds

    def paused(self, seconds: float) -> None:
        """Something else than a step or an evaluation took so long: rarer and rarer, so that it says nothing about the
        steps to come."""
        self._block_evaluations += seconds

    def is_due(self, step: int) -> bool:
        """Whether the last step is decided on again after `step` steps."""
        return self.horizon.next <= step < self.horizon.last

    def decide(self, step: int) -> Horizon:
        """Decide on the last step after `step` steps: as before, where that was decided before."""
        self._measure(step)
        return self._adopt(self._recorded.get(step) or self._horizon(step))

    def _measure(self, step: int) -> None:
        """Take the pace of the steps since the last decision."""
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
        return self._made(step, done, last, max(_FIRST, step))

    def _made(self, step: int, done: float, last: int, latest: int) -> Horizon:
        """The next decision is due in `latest` steps at most."""
        due = min(latest, max(1, int(_EARLY * (last - step))))
        return Horizon(step, done, last, step + due)

    def _adopt(self, made: Horizon) -> Horizon:
        made = self._share(made)
        if self._recorded.get(made.step) != made:
            self._record(made)
            self._recorded[made.step] = made
        self.horizon = made
        return made

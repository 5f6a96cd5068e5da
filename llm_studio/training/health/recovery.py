"""What to do about a loss that explodes or is not a number. Pure functions: equal losses give equal decisions.

A step whose loss or gradient is not finite changes nothing and is skipped. If it happens again soon, or if the loss
stays far above its usual level, training rolls back to a checkpoint from before the trouble and resumes at half the
learning rate. The state is part of each checkpoint, so that a run that was killed and resumed decides the same.

Rollback targets are only checkpoints saved because of their step, never those saved because of the clock: only the
former exist in every repetition of the run.
"""

import math
import statistics
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Any

from llm_studio import records
from llm_studio.errors import CheckpointError, TrainingError
from llm_studio.events import Notice
from llm_studio.i18n import _, number
from llm_studio.records import Amount, Count

PATIENCE = 10
"""Number of consecutive bad losses that count as an explosion."""
AGAIN = 10
"""A second non-finite step within this many steps causes a rollback."""
LOOKBACK = 20
"""A rollback target must be at least this many steps older than the discovery of the trouble, so as not to include
it."""
MOST = 3
"""Most rollbacks in a run; at the next trouble it is given up."""
FORGIVEN = 1000
"""Steps after the last trouble until it no longer counts."""
_WINDOW = 100
_ENOUGH = 20
"""Losses needed before an explosion can be detected."""
_WIDE = 6 * 1.4826
"""Six standard deviations, expressed in median absolute deviations of a normal distribution."""
_MARGIN = 0.5
_MARGIN_AT_FIRST = 1.0
"""In nats per token. During warm-up, when the loss may jump, it must exceed that of uniform guessing or of the start
of the run by this much."""


_RATES = {f"training.{name}" for name in ("learning_rate", "muon_learning_rate", "optimizer", "schedule",
                                           "warmup_steps", "final_learning_rate_ratio", "decay_share")}  # fmt: skip
"""Settings with which the user chooses the learning rate again."""
_LOSSES = {"model.dropout", "data.weights", "training.loss_on", "training.seed"}
"""Settings that change the texts of a step or the meaning of its loss."""


class Verdict(Enum):
    """What to do about a step."""

    FINE = "fine"
    SKIP = "skip"
    GO_BACK = "go back"
    GIVE_UP = "give up"


def _ints() -> list[int]:
    return []


def _floats() -> list[float]:
    return []


@dataclass
class Recovery:
    """The state of one run. `good`, `candidate`: checkpoints to roll back to, by step; `candidate` may be too
    recent."""

    rate_factor: Amount = 1.0
    times: Count = 0
    last_trouble: Count = 0
    poisoned: list[Count] = field(default_factory=_ints)
    first: Amount | None = None
    recent: list[Amount] = field(default_factory=_floats)
    bad_in_a_row: Count = 0
    good: Count = 0
    candidate: Count = 0

    def judge(self, step: int, loss: float | None, warmup: int, chance: float) -> Verdict:
        """Decide what to do about step number `step`, given its loss.

        `loss` is NaN if the gradient was not finite, and None if no target of the step counted. `chance` is the loss of
        uniform guessing.
        """
        if loss is None:
            return Verdict.FINE
        if not math.isfinite(loss):
            again = bool(self.poisoned) and 0 < step - self.poisoned[-1] <= AGAIN
            self.poisoned = [*self.poisoned, step][-_WINDOW:]
            return self._trouble(step) if again else Verdict.SKIP
        if self.first is None:  # the loss of the initial weights
            self.first = loss
        if loss > self._bar(step, warmup, chance):
            self.bad_in_a_row += 1
            return self._trouble(step) if self.bad_in_a_row >= PATIENCE else Verdict.FINE
        self.bad_in_a_row = 0
        self.recent = [*self.recent, loss][-_WINDOW:]
        if self.times and step > self.last_trouble + FORGIVEN:
            self.times = 0
        return Verdict.FINE

    def _bar(self, step: int, warmup: int, chance: float) -> float:
        """The threshold above which a loss is bad."""
        highest = max(chance, self.first or 0.0) + _MARGIN_AT_FIRST
        if step <= warmup or len(self.recent) < _ENOUGH:
            return highest
        middle = statistics.median(self.recent)
        spread = statistics.median(abs(loss - middle) for loss in self.recent)
        return min(highest, middle + max(_MARGIN, _WIDE * spread))

    def _trouble(self, step: int) -> Verdict:
        self.last_trouble = max(self.last_trouble, step)
        return Verdict.GIVE_UP if self.times >= MOST else Verdict.GO_BACK

    def is_poison(self, step: int) -> bool:
        """Whether this step was not finite before a rollback: its sequences are now skipped."""
        return step in self.poisoned

    def saved(self, step: int) -> None:
        """Note a checkpoint that is due by its step. Call this before it is written, as it contains this state."""
        if step - self.candidate >= LOOKBACK:
            self.good, self.candidate = self.candidate, step

    @property
    def needed(self) -> frozenset[int]:
        """Steps whose checkpoints must be kept."""
        return frozenset((self.good, self.candidate))

    def target(self, step: int) -> int:
        """The step to roll back to from `step`; 0 may mean a restart, if nothing was saved."""
        return self.candidate if step - self.candidate >= LOOKBACK else self.good

    def gone_back(self, there: "Recovery", step: int) -> "Recovery":
        """The state after a rollback to `step`, where it was `there`: half the learning rate, keeping what was
        learned."""
        return Recovery(
            rate_factor=self.rate_factor / 2, times=self.times + 1, last_trouble=self.last_trouble,
            poisoned=self.poisoned, first=there.first, recent=there.recent, good=step, candidate=step,
        )  # fmt: skip

    def after_changes(self, names: Collection[str]) -> "Recovery":
        """The state after the user changed these settings: it drops what they make obsolete."""
        fresh, kept = Recovery(), self
        if _RATES & set(names):
            kept = replace(kept, rate_factor=fresh.rate_factor, times=fresh.times, last_trouble=fresh.last_trouble)
        if _LOSSES & set(names):
            kept = replace(kept, poisoned=[], first=None, recent=[], bad_in_a_row=0)
        return kept

    def to_dict(self) -> dict[str, Any]:
        """The state as a JSON object for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Recovery":
        """The inverse of `to_dict`; missing fields have the defaults of a new run. Raises CheckpointError."""
        try:
            return records.decode(content, cls)
        except records.Misfit as error:
            raise CheckpointError(_("The checkpoint is damaged: {reason}.").format(reason=error.inside("recovery")),
                                  _("Use another checkpoint.")) from error  # fmt: skip


def rollback_notice(diverged: int, step: int, factor: float) -> Notice:
    """The notice that training rolls back to `step`."""
    text = _("The training diverged at step {diverged}: it goes back to step {step}, and on with {factor} times the "
             "learning rate.")  # fmt: skip
    return Notice(text.format(diverged=number(diverged), step=number(step), factor=number(factor, 3)), "warning")


def given_up(step: int, rate: float) -> TrainingError:
    """The error that ends a run that diverged too often; `rate` is the highest learning rate that was left."""
    return TrainingError(
        _("The training has diverged {times} times, now at step {step} with a learning rate of at most {rate}.").format(
            times=number(MOST + 1), step=number(step), rate=f"{rate:.2g}"
        ),
        _("Start a new run with a lower training.learning_rate, and perhaps a longer training.warmup_steps. Where the "
          "rate is low already, inspect the texts."),
    )  # fmt: skip

"""What is done about a loss that is not a number or explodes. Pure: the same losses make the same decisions.

A step whose loss or gradient is not a number changes nothing and is skipped. When it comes again soon, or the loss
stays far above what it was, the training goes back to a checkpoint from before the trouble, and on from there at half
the rate. The state is kept in checkpoints, so that a run which was killed and resumed decides as one never killed.

What can be gone back to are checkpoints saved because of their step, never because of the clock: those are there in
every repetition of the run.
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
"""Bad losses in a row that make an explosion."""
AGAIN = 10
"""Steps within which a second one without a number is more than bad luck."""
LOOKBACK = 20
"""Steps that a checkpoint must be older than the discovery of the trouble, so as not to hold some of it."""
MOST = 3
"""Times that a training run goes back; at the next trouble it is given up."""
FORGIVEN = 1000
"""Steps after the last trouble for which it no longer counts."""
_WINDOW = 100
_ENOUGH = 20
"""Losses known before an explosion can be told."""
_WIDE = 6 * 1.4826
"""Six standard deviations, in median absolute deviations (of a normal distribution)."""
_MARGIN = 0.5
_MARGIN_AT_FIRST = 1.0
"""In nats per token. At first, where the loss may jump, it must pass what guessing gives, or the run began with."""


_RATES = {f"training.{name}" for name in ("learning_rate", "muon_learning_rate", "optimizer", "schedule",
                                           "warmup_steps", "final_learning_rate_ratio", "decay_share")}  # fmt: skip
"""Settings with which the user chooses the rate again."""
_LOSSES = {"model.dropout", "data.weights", "training.loss_on", "training.seed"}
"""Settings with which a step learns from other texts, or its loss means something else."""


class Verdict(Enum):
    """What is to be done about a step."""

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
    """Follows one run. `good` and `candidate`: steps of the checkpoints to go back to, the second if old enough."""

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
        """What to do about step number `step`, given its loss.

        NaN stands for a gradient that is not a number too, None for a loss that says nothing.

        `chance` is the loss of guessing at random.
        """
        if loss is None:
            return Verdict.FINE
        if not math.isfinite(loss):
            again = bool(self.poisoned) and 0 < step - self.poisoned[-1] <= AGAIN
            self.poisoned = [*self.poisoned, step][-_WINDOW:]
            return self._trouble(step) if again else Verdict.SKIP
        if self.first is None:  # of the weights that it begins with
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
        """Above it a loss is bad."""
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
        """Whether this step gave no number before the training went back: its sequences are left out now."""
        return step in self.poisoned

    def saved(self, step: int) -> None:
        """A checkpoint is saved because of its step: call before it is written, with this state in it."""
        if step - self.candidate >= LOOKBACK:
            self.good, self.candidate = self.candidate, step

    @property
    def needed(self) -> frozenset[int]:
        """Steps whose checkpoints must stay."""
        return frozenset((self.good, self.candidate))

    def target(self, step: int) -> int:
        """Where to go back to from `step`; 0 may mean the beginning, where nothing was saved."""
        return self.candidate if step - self.candidate >= LOOKBACK else self.good

    def gone_back(self, there: "Recovery", step: int) -> "Recovery":
        """The state after going back to `step`, where it was `there`: half the rate, and what is known stays known."""
        return Recovery(
            rate_factor=self.rate_factor / 2, times=self.times + 1, last_trouble=self.last_trouble,
            poisoned=self.poisoned, first=there.first, recent=there.recent, good=step, candidate=step,
        )  # fmt: skip

    def after_changes(self, names: Collection[str]) -> "Recovery":
        """The state where the user has changed these settings: what they make of the rate, and of the loss, holds."""
        fresh, kept = Recovery(), self
        if _RATES & set(names):
            kept = replace(kept, rate_factor=fresh.rate_factor, times=fresh.times, last_trouble=fresh.last_trouble)
        if _LOSSES & set(names):
            kept = replace(kept, poisoned=[], first=None, recent=[], bad_in_a_row=0)
        return kept

    def to_dict(self) -> dict[str, Any]:
        """For a checkpoint's record."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Recovery":
        """The inverse of `to_dict`; what an older program didn't write is as in a new run. Raises CheckpointError."""
        try:
            return records.decode(content, cls)
        except records.Misfit as error:
            raise CheckpointError(_("The checkpoint is damaged: {reason}.").format(reason=error.inside("recovery")),
                                  _("Use another checkpoint.")) from error  # fmt: skip


def rollback_notice(diverged: int, step: int, factor: float) -> Notice:
    """Says that the training goes back to `step`."""
    text = _("The training diverged at step {diverged}: it goes back to step {step}, and on with {factor} times the "
             "learning rate.")  # fmt: skip
    return Notice(text.format(diverged=number(diverged), step=number(step), factor=number(factor, 3)), "warning")


def given_up(step: int, rate: float) -> TrainingError:
    """The end of a run that diverged once too often; `rate` is the highest learning rate that it had left."""
    return TrainingError(
        _("The training has diverged {times} times, now at step {step} with a learning rate of at most {rate}.").format(
            times=number(MOST + 1), step=number(step), rate=f"{rate:.2g}"
        ),
        _("Start a new run with a lower training.learning_rate, and perhaps a longer training.warmup_steps. Where the "
          "rate is low already, inspect the texts."),
    )  # fmt: skip

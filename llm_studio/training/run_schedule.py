"""The learning-rate schedule of a run, up to its last step or to the end of its time."""

from collections.abc import Callable

from llm_studio.events import EndMoved
from llm_studio.training.budget import KIND, Horizon, TimeBudget
from llm_studio.training.optim.schedule import learning_rate
from llm_studio.training.saving import RunContext
from llm_studio.training.step import Updater


class RunSchedule:
    """The schedule of one run. If `training.minutes` is set, its last step follows the clock.

    The last step is always `training.max_steps` of the updater's settings, which are replaced when it moves. `spent`
    returns the seconds that the run has trained.
    """

    def __init__(self, context: RunContext, update: Updater, spent: Callable[[], float]) -> None:
        self._context, self._update, self._spent = context, update, spent
        minutes = update.settings.training.minutes
        self._budget = self._budget_of(60 * minutes) if minutes else None

    def _budget_of(self, seconds: float) -> TimeBudget:
        """The time budget, with the decisions recorded earlier."""
        context, kind = self._context, f"{KIND} {seconds:g}"
        decided = {step: Horizon.from_dict({"step": step, **made.values})
                   for step, made in context.decisions.of_kind(kind).items()}  # fmt: skip

        def record(made: Horizon) -> None:
            context.writer.write_now(lambda: context.decisions.record(kind=kind, **made.to_dict()))

        def share(made: Horizon) -> Horizon:
            return Horizon.from_dict(context.group.broadcast(made.to_dict())) or made

        known = {step: made for step, made in decided.items() if made is not None}
        return TimeBudget(seconds, known, self._spent, record, share)

    def begin(self, step: int) -> None:
        """Start at `step`: 0, or the step of a resume or a rollback."""
        if self._budget:
            last = self._update.settings.training.max_steps
            self._end_at(self._budget.begin(step, last).last)

    def adjust(self, step: int) -> None:
        """Move the last step to fit the time, if that is due after `step` steps."""
        if self._budget and self._budget.is_due(step) and self._end_at(self._budget.decide(step).last):
            self._context.writer.report(EndMoved(step, self._update.settings.training.max_steps))

    def is_due(self, step: int) -> bool:
        """Whether the last step may move after `step` steps."""
        return self._budget is not None and self._budget.is_due(step)

    def evaluated(self, seconds: float) -> None:
        """Count the seconds of an evaluation."""
        if self._budget:
            self._budget.evaluated(seconds)

    def paused(self, seconds: float) -> None:
        """Count the seconds of anything else between two steps."""
        if self._budget:
            self._budget.paused(seconds)

    def rate(self, step: int) -> float:
        """The learning rate of update number `step`, counted from 1."""
        training = self._update.settings.training
        place = self._budget.horizon.fraction(step) * training.max_steps if self._budget else step
        return learning_rate(place, training)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the time is up; None if the run is limited by steps."""
        return self._budget.seconds_left if self._budget else None

    def _end_at(self, last: int) -> bool:
        """Set the last step; returns whether it has changed."""
        settings = self._update.settings
        if last == settings.training.max_steps:
            return False
        self._update.settings = settings.replaced({"training.max_steps": last})
        return True

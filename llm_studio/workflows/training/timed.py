"""Training for a given time: the initial settings of a run that is limited to some minutes.

Its number of steps is estimated from a few measured steps and corrected by the clock during training
(`training/budget.py`). Intervals counted in steps (warm-up, evaluations, checkpoints) are derived from the estimate.
"""

from collections.abc import Mapping

from llm_studio.config import Settings
from llm_studio.errors import TrainingError
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.training.forecast import USED, seconds_per_step, steps_in
from llm_studio.workflows.training.request import TrainRequest

_EVALUATION_SECONDS = 20
_EVALUATIONS = (4, 20)
"""A run has one evaluation every `_EVALUATION_SECONDS`, but at least and at most this many."""
_WARM_UP = 20
"""The warm-up is at most 1/n of the steps."""
_SHORTEST = 1 / 60
"""In minutes."""


def limited(project: Project, settings: Settings, how: TrainRequest, job: Job) -> Settings:
    """The settings of a new run with its time limit, if one was requested or the project's settings have one."""
    if how.minutes is not None:
        return timed_settings(project, settings, how.minutes, how.changes, job)
    if not settings.training.minutes:
        return settings
    if "training.max_steps" in how.changes and "training.minutes" not in how.changes:
        return settings.replaced({"training.minutes": 0.0})
    return timed_settings(project, settings, settings.training.minutes, how.changes, job)


def timed_settings(
    project: Project, settings: Settings, minutes: float, changes: Mapping[str, object], job: Job
) -> Settings:
    """The settings for a run of `minutes`. `changes` are settings requested by the user, which take precedence.

    Measures a few steps. Raises TrainingError, ConfigError, Cancelled.
    """
    check_minutes(minutes)
    seconds = seconds_per_step(project, settings, job)
    return settings.replaced({**counted_in_steps(settings, minutes, seconds), **changes})


def check_minutes(minutes: float) -> None:
    """Raise TrainingError if the time is too short to learn anything."""
    if not minutes >= _SHORTEST:
        raise TrainingError(_("A run needs at least one second."), _("Choose a longer time."))


def counted_in_steps(settings: Settings, minutes: float, seconds_per_step: float) -> dict[str, object]:
    """The settings of a run of this time that are counted in steps."""
    steps = steps_in(minutes, seconds_per_step)
    fewest, most = _EVALUATIONS
    evaluations = min(most, max(fewest, int(60 * minutes / _EVALUATION_SECONDS)))
    every = max(1, steps // evaluations)
    return {
        "training.minutes": minutes,
        "training.max_steps": steps,
        "training.warmup_steps": min(settings.training.warmup_steps, max(1, steps // _WARM_UP)),
        "training.eval_interval": every,
        "training.checkpoint_interval": every * max(1, evaluations // 4),
        "training.final_learning_rate_ratio": 0.0,
    }


def longer(settings: Settings, step: int, seconds: float, minutes: float) -> dict[str, object]:
    """The changes with which a run that has trained for `seconds`, in `step` steps, trains for `minutes` more."""
    check_minutes(minutes)
    more = max(1, int(USED * 60 * minutes * step / seconds)) if seconds > 0 and step else settings.training.max_steps
    return {
        "training.minutes": round(seconds / 60 + minutes, 4),
        "training.max_steps": step + more,
        "training.final_learning_rate_ratio": 0.0,
    }

"""From texts to a trained model in one go: plan for the time at hand, tokenizer, tokens, training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llm_studio.events import Notice
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.workflows import projects
from llm_studio.workflows.tokenizer.borrowed import borrow_tokenizer, is_borrowed
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training.continue_from import check_shape, find_origin
from llm_studio.workflows.training.planner import RunPlan, plan_run
from llm_studio.workflows.training.request import TrainResult
from llm_studio.workflows.training.train import train
from llm_studio.workflows.training.unfinished import unfinished_run, unfinished_text


@dataclass(frozen=True)
class MadeModel:
    """What came out. `plan` is None where an unfinished run was resumed."""

    plan: RunPlan | None
    result: TrainResult


def make(
    project: Project, minutes: float, job: Job, announce: Callable[[str, RunPlan | None], object],
    changes: Mapping[str, object] = {}, plan: RunPlan | None = None, *, resume: bool = True,
    continue_from: str | None = None,
) -> MadeModel:  # fmt: skip
    """Make a model of the project's texts that trains for `minutes`.

    A run that was interrupted is resumed instead, unless `resume` is False. `continue_from`: the model that it begins
    with, as in `train`; its tokenizer becomes the project's, and only a run that began with it is resumed then.

    `announce` is called with each step as it begins: "plan", "tokenizer", "tokens", "train"; from "tokenizer" on with
    the plan. `changes` are settings that the user wants otherwise, `plan` one that was made before. Raises StudioError
    of many kinds, Cancelled; what was done before is kept.
    """
    interrupted = unfinished_run(project) if resume else None
    if interrupted and (not continue_from or interrupted.continued_from == find_origin(project, continue_from).name):
        job.report(Notice(unfinished_text(interrupted)))
        announce("train", None)
        return MadeModel(None, train(project, job, run=interrupted.name, resume=True))
    if plan is None:
        announce("plan", None)
        plan = plan_run(project, minutes, job, continue_from=continue_from)
    left = adopt_plan(project, plan, changes)
    prepare(project, job, lambda step: announce(step, plan), left)
    announce("train", plan)
    origin = plan.origin.name if plan.origin else None
    return MadeModel(plan, train(project, job, minutes=minutes, changes=changes, continue_from=origin))


def adopt_plan(project: Project, plan: RunPlan, changes: Mapping[str, object] = {}) -> tuple[str, ...]:
    """Write the settings of a plan, and `changes`; take over the tokenizer of the model that it begins with.

    The steps of `make` that are left to do then. Raises ConfigError, BusyError, and TrainingError where `changes`
    would give a model another shape than that of the one it begins with.
    """
    if plan.origin:
        check_shape(plan.origin, plan.settings.replaced(changes))
    projects.change_settings(project, {**plan.changes, **changes})
    if plan.origin:
        borrow_tokenizer(project, plan.origin.checkpoint.tokenizer_json(), plan.origin.name)
    elif is_borrowed(project):
        return "tokenizer", "tokens", "train"
    return _steps_left(project)


def prepare(project: Project, job: Job, announce: Callable[[str], object], left: tuple[str, ...] = ()) -> None:
    """Train the tokenizer and prepare the tokens, as far as that is `left`: missing or out of date."""
    for step in left or _steps_left(project):
        if step == "tokenizer":
            announce(step)
            train_tokenizer(project, job)
        elif step == "tokens":
            announce(step)
            prepare_tokens(project, job)


def _steps_left(project: Project) -> tuple[str, ...]:
    here = projects.steps(project)
    if here.tokenizer is not State.READY:
        return "tokenizer", "tokens", "train"
    return ("train",) if here.tokens is State.READY else ("tokens", "train")

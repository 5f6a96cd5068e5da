"""From texts to a trained model in one go: plan for the available time, tokenizer, tokens, training."""

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
    """The result. `plan` is None if an unfinished run was resumed."""

    plan: RunPlan | None
    result: TrainResult


def make(
    project: Project, minutes: float, job: Job, announce: Callable[[str, RunPlan | None], object],
    changes: Mapping[str, object] = {}, plan: RunPlan | None = None, *, resume: bool = True,
    continue_from: str | None = None,
) -> MadeModel:  # fmt: skip
    """Train a model on the project's texts for `minutes`.

    An interrupted run is resumed instead, unless `resume` is False. `continue_from`: the model to start from, as in
    `train`; its tokenizer becomes the project's, and only a run that also started from it is resumed.

    `announce` is called at the start of each step with "plan", "tokenizer", "tokens" or "train", and with the plan from
    "tokenizer" on. `changes` are settings that override the plan's; `plan` is one that was made before. Raises many
    kinds of StudioError, Cancelled; results of earlier steps are kept.
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
    """Write the settings of a plan, and `changes`; take over the tokenizer of the model that it starts from.

    Returns the steps of `make` that remain to be done. Raises ConfigError, BusyError, and TrainingError if `changes`
    would give the model another shape than that of the one it starts from.
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
    """Train the tokenizer and prepare the tokens, if they are in `left`, missing or out of date."""
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

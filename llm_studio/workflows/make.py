"""From texts to a trained model in one go: plan for the time at hand, tokenizer, tokens, training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llm_studio.events import Notice
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.workflows import projects
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
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
) -> MadeModel:  # fmt: skip
    """Make a model of the project's texts that trains for `minutes`.

    A run that was interrupted is resumed instead, unless `resume` is False.

    `announce` is called with each step as it begins: "plan", "tokenizer", "tokens", "train"; from "tokenizer" on with
    the plan. `changes` are settings that the user wants otherwise, `plan` one that was made before. Raises StudioError
    of many kinds, Cancelled; what was done before is kept.
    """
    interrupted = unfinished_run(project) if resume else None
    if interrupted:
        job.report(Notice(unfinished_text(interrupted)))
        announce("train", None)
        return MadeModel(None, train(project, job, run=interrupted.name, resume=True))
    if plan is None:
        announce("plan", None)
        plan = plan_run(project, minutes, job)
    projects.change_settings(project, {**plan.changes, **changes})
    prepare(project, job, lambda step: announce(step, plan))
    announce("train", plan)
    return MadeModel(plan, train(project, job, minutes=minutes, changes=changes))


def adopt_plan(project: Project, plan: RunPlan) -> tuple[str, ...]:
    """Write the settings of a plan; the steps of `make` that are left to do then. Raises ConfigError, BusyError."""
    projects.change_settings(project, plan.changes)
    here = projects.steps(project)
    if here.tokenizer is not State.READY:
        return "tokenizer", "tokens", "train"
    return ("train",) if here.tokens is State.READY else ("tokens", "train")


def prepare(project: Project, job: Job, announce: Callable[[str], object]) -> None:
    """Train the tokenizer and prepare the tokens, as far as they are missing or out of date."""
    if projects.steps(project).tokenizer is not State.READY:
        announce("tokenizer")
        train_tokenizer(project, job)
    if projects.steps(project).tokens is not State.READY:
        announce("tokens")
        prepare_tokens(project, job)

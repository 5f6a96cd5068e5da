"""Repeating a run: a new one with the same settings, computed the same way; differences are reported."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_studio import __version__, files
from llm_studio.config import Settings
from llm_studio.device import Compute, choose
from llm_studio.errors import TrainingError
from llm_studio.events import Notice
from llm_studio.i18n import _, number
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import decisions, registry
from llm_studio.runs.record import Run
from llm_studio.workflows.training.continue_from import Origin, check_tokenizer, find_origin
from llm_studio.workflows.training.resume import same_compute

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class RepeatedRun:
    """How to repeat a run; `origin`: the checkpoint it started with, None if it started with new weights."""

    settings: Settings
    compute: Compute
    origin: Origin | None


def repetition(
    project: Project, like: str, tokenizer: "Tokenizer", data: str, changes: Mapping[str, object], job: Job
) -> RepeatedRun:
    """How to repeat the run `like` on the tokens with the fingerprint `data`, except for `changes`.

    Everything that prevents a bit-identical result is reported. Raises ProjectError if there is no such run,
    CheckpointError if the checkpoint it started with is gone, TrainingError if that has another tokenizer.
    """
    run = registry.read(project, like)
    settings = Settings.from_dict(run.settings).replaced(changes)
    origin = find_origin(project, run.continued_from) if run.continued_from else None
    if origin:
        check_tokenizer(origin, tokenizer)
    if origin and origin.checkpoint.settings().model.model_dump(exclude={"dropout", "vocab_size"}) != (
        settings.model.model_dump(exclude={"dropout", "vocab_size"})
    ):
        raise TrainingError(_("The model's shape can't change within a run."), _("Start a new run with it."))
    if run.data != data:
        job.report(Notice(_("“{run}” was trained on other tokens than those of the project now.").format(run=like),
                          "warning"))  # fmt: skip
    changes_made = [change for change in run.history if "threads" not in change]
    if changes_made:
        job.report(Notice(
            _("The settings of “{run}” were changed during the run, first after step {step}: it is repeated with "
              "those it ended with.").format(run=like, step=number(changes_made[0]["step"])), "warning",
        ))  # fmt: skip
    program = run.machine.get("program", __version__)
    if program != __version__:
        job.report(Notice(_("“{run}” was made by LLM Studio {version}, this is {here}.").format(
            run=like, version=program, here=__version__)))  # fmt: skip
    return RepeatedRun(settings, _compute(run, settings, job), origin)


def repeat_decisions(project: Project, like: str, name: str) -> None:
    """Let the new run `name` repeat the clock-dependent decisions of the run `like`, such as its end."""
    decided = registry.folder(project, like) / decisions.FILE
    if decided.is_file():
        target = registry.folder(project, name) / decisions.FILE
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_write(target) as partial:
            shutil.copyfile(decided, partial)


def _compute(run: Run, settings: Settings, job: Job) -> Compute:
    """The device, precision and threads of the run, if this machine has them."""
    import torch

    known, here = run.machine, choose(settings.training)
    recorded = Compute(
        known.get("device", here.device), known.get("precision", here.precision),
        int(known.get("threads", here.threads)),
    )  # fmt: skip
    return same_compute(recorded, known.get("torch", torch.__version__), settings, job)

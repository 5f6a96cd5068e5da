"""The command `train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.commands import curve, forecast
from llm_studio.cli.options import Changes, Folder, Json, generate_command, losses, parse_changes
from llm_studio.cli.runner import INTERRUPTED, running
from llm_studio.events import Done
from llm_studio.i18n import _, duration, number
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.workflows.training.train import TrainResult


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(help=_("Train the model; Ctrl+C stops and saves."))(train)


def train(
    folder: Folder,
    run: Annotated[
        str | None,
        typer.Option("--run", "--name", metavar="NAME",  # torchrun interprets --run as its own option
                     help=_("name of the run; run-1, run-2, ... without it")),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help=_("resume a run: the one named, or the last one"))] = False,
    continue_from: Annotated[
        str | None,
        typer.Option(metavar="CHECKPOINT", help=_("start from the weights of a run, as run-1 or run-1/step-000500, or "
                                                  "of a checkpoint's folder in any project")),
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help=_("use the micro-batch size that fits this machine, found by trying; the "
                                           "global batch stays the same"))
    ] = False,
    like: Annotated[
        str | None,
        typer.Option(metavar="RUN", help=_("repeat a run: a new one with the same settings and starting point")),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="N", help=_("train for N minutes, or for N more with --resume: the steps and "
                                         "the learning rate are fitted to the time")),
    ] = None,
    changes: Changes = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    from llm_studio.workflows.training.distributed import is_first
    from llm_studio.workflows.training.train import train as train_model

    _check(resume, continue_from, like, fit, minutes)
    edits = parse_changes(changes)
    project = Project.open(folder)
    with running(as_json, silent=not is_first()) as job:
        if fit:
            edits = forecast.fitted(project, edits, job)
        result = train_model(
            project, job, run=run, resume=resume, changes=edits, continue_from=continue_from, like=like,
            minutes=minutes,
        )  # fmt: skip
        if not is_first():
            return
        curve.report_finding(project, result.run.name, job)
        job.report(_result(project, folder, result))
    if not result.finished:
        raise typer.Exit(INTERRUPTED)


def _check(resume: bool, continue_from: str | None, like: str | None, fit: bool, minutes: float | None) -> None:
    """Raise BadParameter for options that contradict each other."""
    from llm_studio.workflows.training.distributed import is_distributed

    if sum((resume, continue_from is not None, like is not None)) > 1:
        raise typer.BadParameter(_("give only one of --resume, --continue-from and --like"))
    if fit and (resume or like is not None or continue_from is not None):
        raise typer.BadParameter(_("--fit is for new runs only: a resumed or repeated run keeps its micro-batch"))
    if minutes is not None and like is not None:
        raise typer.BadParameter(_("a repeated run ends where the first one did: leave out --minutes or --like"))
    if fit and is_distributed():
        raise typer.BadParameter(_("--fit works with one process only: use “llm-studio forecast --fit” beforehand"))


def _result(project: Project, folder: Path, result: "TrainResult") -> Done:
    """How the training run ended, and the next command."""
    run = result.run
    figures = {"run": run.name, "state": run.state, "step": run.step, "loss": run.train_loss,
               "best_loss": run.best_loss, "best_bits_per_byte": run.best_bits_per_byte,
               "seconds": run.seconds}  # fmt: skip
    if result.finished:
        text = _("Run “{run}” is finished: {steps} steps in {time}, best validation loss {loss}.")
        follow = generate_command(project, run)
    else:
        text = _("Run “{run}” is stopped and saved at step {steps}.")
        follow = f"llm-studio train {quoted(folder)} --run {quoted(run.name)} --resume"
    loss = losses(run.best_loss, run.best_bits_per_byte)
    text = text.format(run=run.name, steps=number(run.step), time=duration(run.seconds), loss=loss)
    return Done(text, follow, figures)

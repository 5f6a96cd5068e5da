"""The command `forecast`: what a training will take, before it starts; and the `--fit` of `train`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.app import running
from llm_studio.cli.options import Changes, Folder, Json, parse_changes, table
from llm_studio.config.yaml_file import scalar
from llm_studio.events import Done, Notice
from llm_studio.i18n import _, duration, number, short_number, size
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.workflows.training.forecast import Fit, Forecast


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(help=_("Tell what a training will take of memory, time and disk, from a few real steps."))(forecast)


def forecast(
    folder: Folder,
    quick: Annotated[bool, typer.Option("--quick", help=_("by arithmetic alone, without a step"))] = False,
    fit: Annotated[
        bool, typer.Option("--fit", help=_("find the micro-batch that suits this machine, by trying"))
    ] = False,
    changes: Changes = None,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.training import forecast as workflow

    if quick and fit:
        raise typer.BadParameter(_("say either --quick or --fit, which tries real steps"))
    wanted = parse_changes(changes)
    project = Project.open(folder)
    settings = project.settings().replaced(wanted)
    with running(as_json) as job:
        found = None
        if fit:
            found, told = workflow.fit_and_tell(project, settings, job)
        else:
            told = workflow.forecast(project, settings) if quick else workflow.measured(project, settings, job)
        text = _text(told) if found is None else f"{_text(told)}\n\n{_fit_text(found)}"
        figures = {**asdict(told), "seconds": told.seconds, "fit": asdict(found) if found else None}
        sets = {**wanted, **(found.changes if found else {})}
        follow = f"llm-studio train {quoted(folder)}" + "".join(f" --set {n}={scalar(v)}" for n, v in sets.items())
        job.report(Done("" if as_json else text, follow, figures))


def fitted(project: Project, wanted: Mapping[str, object], job: Job) -> dict[str, object]:
    """The changes of a run with those that fit it to this machine, which are told."""
    from llm_studio.workflows.training.forecast import fit

    if not project.tokens_meta.exists():  # the training says so
        return dict(wanted)
    found = fit(project, project.settings().replaced(wanted), job)
    job.report(Notice(_fit_text(found)))
    return {**wanted, **found.changes}


def _fit_text(found: "Fit") -> str:
    text = _("Fits this machine: {micro} × {batch} sequences in a step, {speed} tokens per second, {memory} of memory.")
    text = text.format(micro=number(found.micro_batches), batch=number(found.batch_size),
                       speed=short_number(round(found.tokens_per_second)), memory=size(found.memory))  # fmt: skip
    if found.checkpointing:
        text += " " + _("Activations are computed twice, to need less memory.")
    return text


def _text(told: "Forecast") -> str:
    free = _("{needed} of {free} free").format(needed=size(told.memory), free=size(told.free))
    rows = [(_("Memory"), free)]
    step = f"{number(told.seconds_per_step, 3 if told.seconds_per_step < 1 else 1)} s"
    rows += [(_("Time per step") if told.measured else _("Time per step, by estimate"), step),
             (_("Time for {steps} steps").format(steps=number(told.steps)), duration(told.seconds))]  # fmt: skip
    rows.append((_("Tokens"), short_number(told.tokens)))
    if told.passes is not None:
        rows.append((_("Passes over the texts"), number(told.passes, 1)))
    rows += [(_("Disk for checkpoints"), size(told.checkpoints)), (_("Disk for snapshots"), size(told.snapshots))]
    return table(rows)

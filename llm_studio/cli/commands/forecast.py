"""The command `forecast`: memory, time and disk of a run before it starts; and the option `--fit` of `train`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.options import Changes, Folder, Json, parse_changes, table
from llm_studio.cli.runner import running
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
    app.command(help=_("Forecast memory, time and disk of a run from a few real steps."))(forecast)


def forecast(
    folder: Folder,
    quick: Annotated[bool, typer.Option("--quick", help=_("by calculation only, without running steps"))] = False,
    fit: Annotated[
        bool, typer.Option("--fit", help=_("find the micro-batch size that fits this machine, by trying"))
    ] = False,
    changes: Changes = None,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.training import forecast as workflow
    from llm_studio.workflows.training.plan_text import snapshots_figures

    if quick and fit:
        raise typer.BadParameter(_("give either --quick or --fit, which runs real steps"))
    edits = parse_changes(changes)
    project = Project.open(folder)
    settings = project.settings().replaced(edits)
    with running(as_json) as job:
        found = None
        if fit:
            found, predicted = workflow.fit_and_forecast(project, settings, job)
        else:
            predicted = workflow.forecast(project, settings) if quick else workflow.measured(project, settings, job)
        text = _text(predicted) if found is None else f"{_text(predicted)}\n\n{_fit_text(found)}"
        figures = {**asdict(predicted), "seconds": predicted.seconds, **snapshots_figures(predicted.snapshots),
                   "fit": asdict(found) if found else None}  # fmt: skip
        sets = {**edits, **(found.changes if found else {})}
        follow = f"llm-studio train {quoted(folder)}" + "".join(f" --set {n}={scalar(v)}" for n, v in sets.items())
        job.report(Done("" if as_json else text, follow, figures))


def fitted(project: Project, changes: Mapping[str, object], job: Job) -> dict[str, object]:
    """`changes` with the settings added that fit the run to this machine; reports them."""
    from llm_studio.workflows.training.forecast import fit

    if not project.tokens_meta.exists():  # `train` reports this
        return dict(changes)
    found = fit(project, project.settings().replaced(changes), job)
    job.report(Notice(_fit_text(found)))
    return {**changes, **found.changes}


def _fit_text(found: "Fit") -> str:
    text = _(
        "Optimised for this machine: {micro} × {batch} sequences per step, {speed} tokens per second, "
        "{memory} of memory."
    )
    text = text.format(micro=number(found.micro_batches), batch=number(found.batch_size),
                       speed=short_number(round(found.tokens_per_second)), memory=size(found.memory))  # fmt: skip
    if found.checkpointing:
        text += " " + _("Activations are recomputed to save memory.")
    return text


def _text(predicted: "Forecast") -> str:
    from llm_studio.workflows.training.plan_text import snapshots_text

    free = _("{needed} of {free} free").format(needed=size(predicted.memory), free=size(predicted.free))
    rows = [(_("Memory"), free)]
    step = f"{number(predicted.seconds_per_step, 3 if predicted.seconds_per_step < 1 else 1)}\u00a0s"
    rows += [
        (_("Time per step") if predicted.measured else _("Time per step (estimate)"), step),
        (_("Time for {steps} steps").format(steps=number(predicted.steps)), duration(predicted.seconds)),
    ]
    rows.append((_("Tokens"), short_number(predicted.tokens)))
    if predicted.passes is not None:
        rows.append((_("Passes over the texts"), number(predicted.passes, 1)))
    rows += [
        (_("Disk for checkpoints"), size(predicted.checkpoints)),
        (_("Disk for snapshots"), snapshots_text(predicted.snapshots)),
    ]
    return table(rows)

"""The command `curve`: the progress of a run, its losses compared with the baselines, and the curve doctor's
verdict."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.options import Folder, Json, loss, losses, table
from llm_studio.cli.runner import running
from llm_studio.errors import StudioError
from llm_studio.events import Done, Notice
from llm_studio.i18n import _, number, short_number
from llm_studio.jobs import Job
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.workflows.training.baselines import Baselines
    from llm_studio.workflows.training.run_health import RunHealth


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(help=_("Show how a run is doing, and what would help if something is wrong."))(curve)


def curve(
    folder: Folder,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help=_("the run; by default, the last one"))] = None,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.training.run_health import run_health

    project = Project.open(folder)
    with running(as_json) as job:
        found = run_health(project, job, run)
        finding = found.finding
        figures = {
            "run": found.run.name, "step": found.step, "loss": found.train_loss,
            "validation_loss": found.validation_loss, "bits_per_byte": found.bits_per_byte,
            "best_loss": found.run.best_loss, "best_bits_per_byte": found.run.best_bits_per_byte,
            "tokens": found.tokens_seen, "passes": found.passes, "baselines": _baselines(found.baselines),
            "finding": asdict(finding) if finding else None,
        }  # fmt: skip
        text = "" if as_json else _text(found)
        job.report(Done(text, finding.command(project, found.run.name) if finding else "", figures))


def report_finding(project: Project, run: str, job: Job) -> None:
    """At the end of training, report the curve doctor's diagnosis, if any."""
    from llm_studio.workflows.training.run_health import run_health

    if job.stop_requested:  # a user who stops wants the prompt back
        return
    try:
        finding = run_health(project, job, run).finding
    except StudioError:  # for example, the log is gone: training itself has succeeded
        return
    if finding is not None:
        job.report(Notice(finding.text, "warning", finding.command(project, run)))


def _baselines(known: "Baselines | None") -> dict[str, object] | None:
    """The baselines for JSON output: in nats per token and in bits per byte."""
    if known is None:
        return None
    values = {"chance": known.chance, "unigram": known.unigram, "bigram": known.bigram}
    return {**asdict(known), "bits_per_byte": {name: known.bits_per_byte(value) for name, value in values.items()}}


def _text(found: "RunHealth") -> str:
    steps = f"{number(found.step)} / {number(found.run.max_steps)}"
    rows = [(_("Run"), f"{found.run.name} ({_(found.run.state)})"), (_("Steps"), steps),
            (_("Loss (training)"), loss(found.train_loss)),
            (_("Loss (validation)"), losses(found.validation_loss, found.bits_per_byte)),
            (_("  best so far"), losses(found.run.best_loss, found.run.best_bits_per_byte))]  # fmt: skip
    if found.baselines is not None:
        known = found.baselines
        named = ((_("  previous token alone (bigram)"), known.bigram),
                 (_("  token frequencies (unigram)"), known.unigram),
                 (_("  random guessing (ln V)"), known.chance))  # fmt: skip
        rows += [(name, losses(value, known.bits_per_byte(value))) for name, value in named]
    rows.append((_("Tokens seen"), short_number(found.tokens_seen)))
    if found.passes is not None:
        rows.append((_("Passes over the texts"), number(found.passes, 1)))
    figures = table(rows)
    verdict = found.finding.text if found.finding else _("The curves show no problem.")
    return f"{figures}\n\n{verdict}"

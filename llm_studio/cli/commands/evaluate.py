"""The command `evaluate`: the loss of a trained model on held-out text, in bits per byte."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.options import Folder, Json, loss, table
from llm_studio.cli.runner import running
from llm_studio.events import Done
from llm_studio.i18n import _, duration, number
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.workflows.training.evaluate import Evaluation


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(help=_("Measure a trained model on held-out text, in bits per byte."))(evaluate)


def evaluate(
    folder: Folder,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="CHECKPOINT",
            help=_("best, last, a run, or as in run-1/best or run-1/500; or a checkpoint's folder"),
        ),
    ] = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help=_("a file of UTF-8 text instead of the validation texts; can be repeated"),
            exists=True, dir_okay=False,
        ),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help=_("tokens to score at most, evenly spread over longer texts"))
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    from llm_studio.workflows.training import evaluate as workflow

    project = Project.open(folder)
    with running(as_json) as job:
        found = workflow.evaluate(
            project, job, checkpoint or workflow.BEST, texts or (), max_tokens or workflow.MAX_TOKENS
        )
        job.report(Done(_text(found), "", asdict(found)))


def _text(found: "Evaluation") -> str:
    if found.files:
        text = ", ".join(found.files)
    elif found.answers_only:
        text = _("validation texts; of conversations, the answers")
    else:
        text = _("validation texts")
    scored = number(found.tokens)
    if found.tokens < found.available_tokens:
        scored = _("{n} of {total}, evenly spread").format(n=scored, total=number(found.available_tokens))
    overlap = _("{n} tokens, windows overlapping by half").format(n=number(found.context))
    return table([
        (_("Model"), found.checkpoint), (_("Text"), text), (_("Bits per byte"), loss(found.bits_per_byte)),
        (_("Loss per token"), loss(found.loss)), (_("Tokens"), scored), (_("Bytes"), number(found.bytes)),
        (_("Context"), overlap), (_("Time"), duration(found.seconds)),
    ])  # fmt: skip

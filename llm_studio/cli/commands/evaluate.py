"""The command `evaluate`: the loss of a trained model on held-out text, in bits per byte, and how well it writes."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.options import CHECKPOINT_HELP, Folder, Json, loss, table
from llm_studio.cli.runner import running
from llm_studio.events import Done
from llm_studio.i18n import _, duration, number, percent
from llm_studio.jobs import Job
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.workflows.generation.writing_quality import WritingQuality
    from llm_studio.workflows.training.evaluate import Evaluation

_SAMPLES = 2
"""Number of the model's samples that are shown."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(help=_("Measure a trained model on held-out text, in bits per byte."))(evaluate)


def evaluate(
    folder: Folder,
    checkpoint: Annotated[
        str | None,
        typer.Option(metavar="CHECKPOINT", help=CHECKPOINT_HELP),
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
    writing: Annotated[
        bool,
        typer.Option(
            "--writing", help=_("instead, let the model write 2,000 words and compare them with the training texts")
        ),
    ] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    from llm_studio.workflows.training import evaluate as workflow

    project = Project.open(folder)
    if writing and texts:
        raise typer.BadParameter(_("--writing needs no texts: it continues held-out documents of the project."))
    with running(as_json) as job:
        if writing:
            _report_writing(project, job, checkpoint or workflow.BEST)
            return
        found = workflow.evaluate(
            project, job, checkpoint or workflow.BEST, texts or (), max_tokens or workflow.MAX_TOKENS
        )
        job.report(Done(_text(found), "", asdict(found)))


def _report_writing(project: Project, job: Job, checkpoint: str) -> None:
    from llm_studio.workflows.generation.writing_quality import writing_quality

    found = writing_quality(project, job, checkpoint)
    job.report(Done(_writing_text(found), "", {"verdict": found.verdict, **asdict(found)}))


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


def _writing_text(found: "WritingQuality") -> str:
    from llm_studio.workflows.generation import verdict

    own, held_out = found.own, found.held_out
    rows = [
        (_("Real words"), own.real_words, held_out.real_words),
        (_("Known pairs of words"), own.pairs, held_out.pairs),
        (_("Known sequences of three words"), own.triples, held_out.triples),
        (_("Copied word for word"), own.copied, held_out.copied),
        (_("Repeated"), own.repeated, held_out.repeated),
    ]
    shown = [(name, _("{own} (held-out texts: {held_out})").format(own=percent(one, 1), held_out=percent(other, 1)))
             for name, one, other in rows]  # fmt: skip
    texts = "\n\n".join((sample.prompt + sample.text).strip() for sample in found.samples[:_SAMPLES])
    counted = [(_("Model"), found.checkpoint), (_("Words written"), number(own.words))]
    return "\n\n".join((verdict.sentences(found.verdict, found.copies), table([*counted, *shown]), texts))

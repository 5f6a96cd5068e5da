"""The command `moments`: what a model wrote during its training, from random weights to the last step."""

import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.options import Folder, Json, loss
from llm_studio.cli.runner import running
from llm_studio.events import Done, Notice
from llm_studio.i18n import _, duration, number
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.workflows.training.moments import RunMoment, RunMoments

_NARROWEST = 20
"""Minimum number of characters of a text that are shown, on the narrowest terminal."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(help=_("Show what the model wrote at each moment of a run, from step 0 to the last."))(moments)


def moments(
    folder: Folder,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help=_("the run; by default, the last one"))] = None,
    prompt: Annotated[int, typer.Option(min=1, metavar="N", help=_("which of the run’s prompts, from 1"))] = 1,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.training.moments import read_moments

    project = Project.open(folder)
    found = read_moments(project, run)
    prompts = found.prompts()
    if prompts and prompt > len(prompts):
        raise typer.BadParameter(_("--prompt: this run has {n} prompts").format(n=number(len(prompts))))
    with running(as_json) as job:
        if found.from_samples and found.moments:
            job.report(Notice(_("An earlier version made this run: these are the samples of its evaluations, drawn at "
                                "random.")))  # fmt: skip
        if found.problem:
            job.report(Notice(found.problem, "warning"))
        figures = {"run": found.run, "from_samples": found.from_samples, "weights": found.weights, "prompts": prompts,
                   "moments": [asdict(moment) for moment in found.moments]}  # fmt: skip
        text = "" if as_json else _text(found, prompts[prompt - 1] if prompts else None)
        job.report(Done(text, _next(folder, found), figures))


def _next(folder: Path, found: "RunMoments") -> str:
    """The command that generates text with a model from the middle of the run."""
    if not found.weights:
        return ""
    step = found.weights[len(found.weights) // 2]
    return f'llm-studio generate {quoted(folder)} --run {quoted(found.run)} --checkpoint {step} --prompt "..."'


def _text(found: "RunMoments", prompt: str | None) -> str:
    if not found.moments:
        return _("The run “{name}” has no moments: it was stopped too early, or its files are gone.").format(
            name=found.run
        )
    stored = sum(moment.has_weights for moment in found.moments)
    head = _("Run “{run}”: {count} moments, the weights of {stored} of them").format(
        run=found.run, count=number(len(found.moments)), stored=number(stored)
    )
    shown = [moment for moment in found.moments if any(text.prompt == prompt for text in moment.texts)]
    header = (_("step"), _("time"), _("loss"), _("bits/byte"))
    rows = [header, *(_figures(moment) for moment in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    width = shutil.get_terminal_size().columns - sum(widths) - 2 * len(widths) - 2 if sys.stdout.isatty() else 10_000
    texts = ["", *(_one_line(_text_of(moment, prompt), max(_NARROWEST, width)) for moment in shown)]
    marks = [" ", *("•" if moment.has_weights else " " for moment in shown)]
    lines = [
        "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) + f"  {mark} {text}"
        for row, mark, text in zip(rows, marks, texts, strict=True)
    ]
    legend = _("• its weights are stored")
    return "\n".join([head, "", f"“{prompt}”", *(line.rstrip() for line in lines), "", legend])


def _figures(moment: "RunMoment") -> tuple[str, ...]:
    time = "–" if moment.seconds is None else duration(moment.seconds)
    return number(moment.step), time, loss(moment.loss), loss(moment.bits_per_byte)


def _text_of(moment: "RunMoment", prompt: str | None) -> str:
    return next(text.text for text in moment.texts if text.prompt == prompt)


def _one_line(text: str, width: int) -> str:
    """A text on one line: a line break as “↵”, unprintable characters as “·”."""
    flat = "".join("↵" if character == "\n" else character if character.isprintable() else "·" for character in text)
    return flat if len(flat) <= width else flat[: width - 1] + "…"

"""The command `open`: turns a model that someone shared into a project."""

from pathlib import Path
from typing import Annotated

import typer

from llm_studio.cli.options import Json
from llm_studio.cli.runner import running
from llm_studio.events import Done
from llm_studio.i18n import _, short_number
from llm_studio.paths import quoted
from llm_studio.workflows import opening


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("open", help=_("Open a model that someone gave you: make a project that holds it."))(open_model)


def open_model(
    path: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help=_("a zip that LLM Studio exported, the folder of a checkpoint, or a "
                                               "Hugging Face folder"), show_default=False),
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help=_("the new project's folder; by default, named like the model, in the "
                                             "current folder"), show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    with running(as_json) as job:
        opened = opening.open_model(path, folder or opening.free_name(Path(opening.proposed_name(path))), job)
        root = opened.project.root
        flag = "chat" if opened.conversations else "prompt"
        text = _("The model, with {n} parameters, is in the project {path}.").format(
            n=short_number(opened.parameters), path=root
        )
        figures = {"project": str(root), "run": opened.run, "parameters": opened.parameters}
        job.report(Done(text, f'llm-studio generate {quoted(folder or root)} --{flag} "..."', figures))

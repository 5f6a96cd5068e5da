"""The command `export`. The formats and their options follow from the table in `export/formats.py`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from llm_studio.cli.options import CHECKPOINT_HELP, Folder, Json, with_options
from llm_studio.cli.runner import running
from llm_studio.events import Done
from llm_studio.i18n import _, size
from llm_studio.project import Project
from llm_studio.workflows import export as workflow


def register(app: typer.Typer) -> None:
    """Add the command to `app`, with an option for each option of a format."""
    types = {option.name: _type_of(option) for form in workflow.FORMATS.values() for option in form.options}
    types |= {found.name: _switch(found.name, found.title) for found in workflow.destinations().values()}
    app.command(help=_("Export a trained model, for this program or for others."))(
        with_options("options", types)(export)
    )


def _type_of(option: workflow.Option) -> Any:
    """The Typer type of a format's option: None if it isn't given."""
    flag, title = workflow.option_flag(option.name), _(option.title)
    title = title[0].lower() + title[1:]
    if option.choices:
        return Annotated[str | None, typer.Option(flag, metavar="|".join(option.choices), help=title)]
    return _switch(option.name, option.title)


def _switch(name: str, title: str) -> Any:
    text = _(title)
    return Annotated[
        bool | None, typer.Option(workflow.option_flag(name), help=text[0].lower() + text[1:], show_default=False)
    ]


def export(
    folder: Folder,
    to: Annotated[str, typer.Option(metavar="|".join(workflow.FORMATS), help=_("the format"), show_default=False)],
    checkpoint: Annotated[str, typer.Option(metavar="CHECKPOINT", help=CHECKPOINT_HELP)] = workflow.BEST,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help=_("the file or folder to make, or an existing folder for it; by default, in the current folder"),
        ),
    ] = None,
    as_json: Json = False,
    options: dict[str, Any] = {},  # noqa: B006  filled in by `with_options`
) -> None:
    project = Project.open(folder)
    with running(as_json) as job:
        into = next((name for name in workflow.destinations() if options.pop(name, False)), "")
        model, exported = workflow.export(project, job, to, checkpoint, out, options, into)
        text = _("The model {name} is exported to {path} ({size}).").format(
            name=model.name, path=exported.path, size=size(exported.bytes)
        )
        figures = {"format": to, "checkpoint": model.name, "path": str(exported.path), "bytes": exported.bytes}
        job.report(Done(text, "", figures))

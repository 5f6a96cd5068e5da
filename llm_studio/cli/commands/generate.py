"""The command `generate`. Its sampling options follow from the declaration of the settings."""

from typing import Annotated

import typer

from llm_studio.cli.options import CHECKPOINT_HELP, Folder, Json, setting_options, standard_input
from llm_studio.cli.runner import Interrupted, running
from llm_studio.config import GenerationSettings
from llm_studio.events import Done, Notice, TextWritten
from llm_studio.i18n import _
from llm_studio.project import Project


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(help=_("Generate text with a trained model."))(generate)


@setting_options(GenerationSettings)
def generate(
    folder: Folder,
    prompt: Annotated[str, typer.Option(help=_("the text to continue; “-” reads it from standard input"))] = "",
    chat: Annotated[
        str | None, typer.Option(metavar="QUESTION", help=_("a question, for a model trained on conversations"))
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="NAME", help=_("the run; without it, the best one"))] = None,
    checkpoint: Annotated[str, typer.Option(metavar="CHECKPOINT", help=CHECKPOINT_HELP)] = "best",
    greedy: Annotated[
        bool, typer.Option("--greedy", help=_("always take the most likely token: temperature 0"))
    ] = False,
    as_json: Json = False,
    sampling: dict[str, object] = {},  # noqa: B006  filled in by `setting_options`
) -> None:
    from llm_studio.workflows.generation.generate import load_generator

    changes = {**sampling, "temperature": 0.0} if greedy else sampling
    if prompt and chat is not None:
        raise typer.BadParameter(_("give either --prompt or --chat"))
    project = Project.open(folder)
    text = prompt if chat is None else chat
    prompt = standard_input(_("The prompt is not UTF-8 text.")) if text == "-" else text
    with running(as_json) as job:
        generator = load_generator(project, job, run, checkpoint)
        settings = generator.settings_with(changes)
        if chat is None:
            job.report(TextWritten(prompt))
        elif not generator.conversations:
            job.report(Notice(_("This model was not trained on conversations: don't expect an answer."), "warning"))
        written = generator.generate(prompt, job, settings, chat=chat is not None)
        job.report(Done("", "", {"checkpoint": generator.name, "prompt": prompt, "chat": chat is not None,
                                 "text": written}))  # fmt: skip
        if job.stop_requested:
            raise Interrupted(_("Stopped."))

"""The command `generate`. Its sampling options follow from the declaration of the settings."""

from typing import Annotated, cast

import typer

from llm_studio.cli.explained import legend
from llm_studio.cli.options import CHECKPOINT_HELP, Folder, Json, setting_options, standard_input
from llm_studio.cli.runner import Interrupted, running
from llm_studio.config import GenerationSettings
from llm_studio.events import Done, Notice, TextWritten
from llm_studio.i18n import _
from llm_studio.project import Project
from llm_studio.workflows.generation.stop_strings import unescaped


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
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help=_("show the candidates and what each filter does to them: of one token, or of --max-tokens tokens"),
        ),
    ] = False,
    as_json: Json = False,
    sampling: dict[str, object] = {},  # noqa: B006  filled in by `setting_options`
) -> None:
    from llm_studio.workflows.generation.generate import load_generator

    changes = _changes(sampling, greedy, explain)
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
        write = generator.explain if explain else generator.generate
        written = write(prompt, job, settings, chat=chat is not None)
        job.report(Done(legend() if explain else "", "", {"checkpoint": generator.name, "prompt": prompt,
                                                          "chat": chat is not None, "text": written}))  # fmt: skip
        if job.stop_requested:
            raise Interrupted(_("Stopped."))


def _changes(sampling: dict[str, object], greedy: bool, explain: bool) -> dict[str, object]:
    """The settings that the options set."""
    found: dict[str, object] = {"max_tokens": 1, **sampling} if explain else dict(sampling)
    if greedy:
        found["temperature"] = 0.0
    stop = found.get("stop")
    if isinstance(stop, list):
        found["stop"] = [unescaped(str(text)) for text in cast("list[str]", stop)]
    return found

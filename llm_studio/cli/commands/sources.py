"""The command `download`: add texts to a project, or remove a source."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.commands import hub
from llm_studio.cli.commands.hub import DatasetName, MaxMegabytes, Split, TextLanguage, story_language
from llm_studio.cli.options import Folder, FollowLinks, Json, Separator, TextField, counted
from llm_studio.cli.runner import running
from llm_studio.events import Done
from llm_studio.i18n import _, short_number, size
from llm_studio.paths import quoted
from llm_studio.project import Project
from llm_studio.workflows.data import download as hub_workflow
from llm_studio.workflows.data import sources

if TYPE_CHECKING:
    from llm_studio.data.sources.manifest import Source


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(help=_("Add texts: the built-in stories, datasets of the Hugging Face hub, your own files. Or remove a "
                       "source."))(download)  # fmt: skip


def download(
    folder: Folder,
    dataset: DatasetName = None,
    remove: Annotated[
        str | None, typer.Option(metavar="NAME", help=_("remove this source from the project instead"))
    ] = None,
    lang: TextLanguage = None,
    max_samples: Annotated[int | None, typer.Option(min=1, help=_("maximum number of documents"))] = None,
    max_megabytes: MaxMegabytes = None,
    split: Split = None,
    separator: Separator = None,
    text_field: TextField = None,
    follow_links: FollowLinks = False,
    seed: Annotated[int, typer.Option(min=0, help=_("seed of the stories"))] = 0,
    as_json: Json = False,
) -> None:
    if (dataset is None) == (remove is None):
        raise typer.BadParameter(_("give either --dataset or --remove"))
    project = Project.open(folder)
    with running(as_json) as job:
        if dataset is None:
            sources.remove_source(project, remove or "")
            job.report(Done(_("The source “{name}” has been removed.").format(name=remove)))
            return
        if dataset == sources.STORIES:
            language = story_language(lang) or project.settings().project.language
            source = sources.add_stories(project, language, max_samples or sources.DEFAULT_STORIES, job, seed)
        elif request := hub_workflow.wanted(
            dataset, lang=lang, split=split, text_field=text_field, max_documents=max_samples,
            max_megabytes=max_megabytes,
        ):  # fmt: skip
            options = {"dataset": dataset, "lang": lang, "split": split, "text-field": text_field,
                     "max-samples": max_samples, "max-megabytes": max_megabytes}  # fmt: skip
            source = hub.fetch(project, request, options, job)
        else:
            source = sources.add_files(project, Path(dataset), job, separator=separator, text_field=text_field,
                                     max_documents=max_samples, follow_links=follow_links)  # fmt: skip
        job.report(_source_done(folder, source))


def _source_done(folder: Path, source: "Source") -> Done:
    return Done(
        _("Source “{name}”: {documents}, {characters} characters, {size}.").format(
            name=source.name, documents=counted(source.documents), characters=short_number(source.characters),
            size=size(source.bytes)),
        f"llm-studio train-tokenizer {quoted(folder)}",
        {"name": source.name, "documents": source.documents, "characters": source.characters, "bytes": source.bytes},
    )  # fmt: skip

"""The command `download`: add texts to a project, or remove a source."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.commands import hub
from llm_studio.cli.commands.hub import DatasetName, MaxMegabytes, Split, TextLanguage, story_language
from llm_studio.cli.options import Encoding, Folder, FollowLinks, Json, ReadAs, Separator, TextField, counted, table
from llm_studio.cli.runner import running
from llm_studio.events import Done
from llm_studio.i18n import _, number, short_number, size
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project
from llm_studio.workflows.data import accounts, sources
from llm_studio.workflows.data import download as hub_workflow
from llm_studio.workflows.data.corpus import report_unusable
from llm_studio.workflows.data.replacing import replace_source

if TYPE_CHECKING:
    from llm_studio.data.sources.manifest import Source


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(help=_("Add texts: the built-in stories, datasets of the Hugging Face hub, your own files. Or remove a "
                       "source."))(download)  # fmt: skip


Remove = Annotated[str | None, typer.Option(metavar="NAME", help=_("remove this source from the project instead"))]
Replace = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=_("replace this source, for instance a damaged one: by the texts of "
                                        "--dataset, or without it by reading its origin again")),
]  # fmt: skip
ListSources = Annotated[bool, typer.Option("--list", help=_("list the sources of the project instead"))]
Texts = Annotated[str | None, typer.Argument(metavar="NAME", help=_("the same as --dataset NAME"))]
MaxSamples = Annotated[int | None, typer.Option(min=1, help=_("maximum number of documents"))]


def download(
    folder: Folder,
    texts: Texts = None,
    dataset: DatasetName = None,
    remove: Remove = None,
    replace: Replace = None,
    list_sources: ListSources = False,
    lang: TextLanguage = None,
    max_samples: MaxSamples = None,
    max_megabytes: MaxMegabytes = None,
    split: Split = None,
    separator: Separator = None,
    text_field: TextField = None,
    follow_links: FollowLinks = False,
    encoding: Encoding = None,
    read_as: ReadAs = None,
    seed: Annotated[int, typer.Option(min=0, help=_("seed of the stories"))] = 0,
    as_json: Json = False,
) -> None:
    name = _named(texts, dataset)
    if [bool(name or replace), remove is not None, list_sources].count(True) != 1:
        raise typer.BadParameter(_("give one of --dataset, --replace, --remove and --list"))
    project = Project.open(folder)
    with running(as_json) as job:
        if list_sources:
            _list(project, job, as_json)
            return
        if remove is not None:
            sources.remove_source(project, remove)
            job.report(Done(_("The source “{name}” has been removed.").format(name=remove)))
            return
        if replace is not None:
            source = replace_source(project, replace, job, Path(name) if name else None, separator=separator,
                                    text_field=text_field, max_documents=max_samples,
                                    follow_links=follow_links, encoding=encoding)  # fmt: skip
        elif name == sources.STORIES:
            language = story_language(lang) or project.settings().project.language
            source = sources.add_stories(project, language, max_samples or sources.DEFAULT_STORIES, job, seed)
        elif request := hub_workflow.wanted(
            name, lang=lang, split=split, text_field=text_field, max_documents=max_samples,
            max_megabytes=max_megabytes,
        ):  # fmt: skip
            options = {"dataset": name, "lang": lang, "split": split, "text-field": text_field,
                     "max-samples": max_samples, "max-megabytes": max_megabytes}  # fmt: skip
            source = hub.fetch(project, request, options, job)
        else:
            source = sources.add_files(project, Path(name), job, separator=separator, text_field=text_field,
                                       max_documents=max_samples, follow_links=follow_links,
                                       encoding=encoding, reading=read_as or "")  # fmt: skip
        job.report(_source_done(folder, source))


def _named(texts: str | None, dataset: str | None) -> str:
    """The texts to add, given as an argument or an option."""
    if texts and dataset:
        raise typer.BadParameter(_("give the texts once: as an argument or with --dataset"))
    return texts or dataset or ""


def _list(project: Project, job: Job, as_json: bool) -> None:
    """List the sources, including those that can't be read."""
    found = sources.all_sources(project)
    head = (_("source"), _("state"), _("documents"), _("size"))
    rows = [
        (source.name, _(sources.state_of(source)), number(source.documents), size(source.bytes)) for source in found
    ]
    report_unusable(sources.unusable_sources(project), job)
    figures = [
        {"name": source.name, "origin": source.origin, "documents": source.documents, "bytes": source.bytes,
         "state": sources.state_of(source)}
        for source in found
    ]  # fmt: skip
    text = table([head, *rows], numbers=2) if found else _("This project has no texts yet.")
    job.report(Done("" if as_json else text, "", {"sources": figures}))


def _source_done(folder: Path, source: "Source") -> Done:
    return Done(
        _("Source “{name}”: {documents}, {characters} characters, {size}.").format(
            name=source.name, documents=counted(source.documents), characters=short_number(source.characters),
            size=size(source.bytes)) + (f" {left}." if (left := accounts.summary(source.account)) else ""),
        f"llm-studio train-tokenizer {quoted(folder)}",
        {"name": source.name, "documents": source.documents, "characters": source.characters, "bytes": source.bytes,
         "account": asdict(source.account) if source.account else None},
    )  # fmt: skip

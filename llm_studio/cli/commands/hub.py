"""The commands `datasets` and `search` of the Hugging Face hub, and the part of `download` that uses it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from llm_studio.cli.options import Json, counted
from llm_studio.cli.runner import INTERRUPTED, running
from llm_studio.events import Done
from llm_studio.i18n import _, short_number, size
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.data.sources.hub.catalogue import Entry
    from llm_studio.data.sources.hub.plan import DownloadRequest
    from llm_studio.data.sources.hub.search import SearchResult
    from llm_studio.data.sources.manifest import Source


DatasetName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|hf:OWNER/NAME|PATH",
        help=_(
            "“stories” (built in, French or English), a name listed by “llm-studio datasets”, a dataset of the hub "
            "(hf:owner/name or hf:owner/name:configuration), or a file or folder of yours, of any common kind"
        ),
    ),
]
TextLanguage = Annotated[
    str | None, typer.Option("--lang", metavar="CODE", help=_("language of the texts: fr, en; any for wikipedia"))
]
MaxMegabytes = Annotated[int | None, typer.Option(min=1, help=_("maximum megabytes of text to take from the hub"))]
Split = Annotated[str | None, typer.Option(help=_("split of a dataset of the hub; train by default"))]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command(help=_("List the recommended datasets."))(datasets)
    app.command(help=_("Search for datasets on the Hugging Face hub."))(search)


def datasets(as_json: Json = False) -> None:
    from llm_studio.workflows.data.download import catalogue

    entries = catalogue()
    with running(as_json) as job:
        rows = [{**asdict(entry), "about": entry.description} for entry in entries]
        text = "" if as_json else "\n".join(map(_entry_text, entries))
        job.report(Done(text, "llm-studio download DIR --dataset tinystories --max-samples 10000", {"datasets": rows}))


def _entry_text(entry: "Entry") -> str:
    languages = ", ".join(_("all languages") if code == "*" else code for code in entry.languages)
    facts = [
        languages,
        _("{n} documents").format(n=short_number(entry.documents)) if entry.documents else "",
        size(entry.size * 1e6) if entry.size else "",
        entry.licence or _("licence not stated"),
        _("conversations") if entry.conversations else "",
    ]
    return f"{entry.key:<20}{entry.description}\n{'':<20}{' · '.join(fact for fact in facts if fact)}"


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help=_("words in the name"), show_default=False)],
    limit: Annotated[int, typer.Option(min=1, max=100, help=_("maximum number of results"))] = 20,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.data.download import search as search_hub

    with running(as_json) as job:
        found = search_hub(" ".join(words), job, limit)
        text = "\n".join(map(_found_text, found)) if found else _("Nothing found. Try fewer or other words.")
        follow = f"llm-studio download DIR --dataset hf:{found[0].dataset} --max-samples 1000" if found else ""
        job.report(Done("" if as_json else text, follow, {"found": json.loads(json.dumps([asdict(f) for f in found]))}))


def _found_text(found: "SearchResult") -> str:
    facts = [
        _("{n} downloads").format(n=short_number(found.downloads)),
        size(found.size) if found.size else "",
        _("{n} documents").format(n=found.documents) if found.documents else "",
        found.licence,
        ", ".join(found.languages[:8]) + (", …" if len(found.languages) > 8 else ""),
        _("conditions to accept") if found.gated else "",
    ]
    return f"hf:{found.dataset}\n    {' · '.join(fact for fact in facts if fact)}"


def fetch(
    project: Project, request: "DownloadRequest", options: Mapping[str, str | float | None], job: Job
) -> "Source":
    """Download or resume a dataset; if the user stops it, report the command that resumes it.

    `options` of the command by name: the given ones are repeated in that command.
    """
    from llm_studio.workflows.data.download import download, is_incomplete

    source = download(project, request, job)
    if job.stop_requested and is_incomplete(source):
        given = [f"--{option} {quoted(str(value))}" for option, value in options.items() if value is not None]
        text = _("Stopped. Source “{name}” has {documents} so far; they can be used, and the same command resumes.")
        job.report(Done(
            text.format(name=source.name, documents=counted(source.documents)),
            " ".join(["llm-studio download", quoted(project.root), *given]),
            {"name": source.name, "documents": source.documents, "state": "incomplete"},
        ))  # fmt: skip
        raise typer.Exit(INTERRUPTED)
    return source


def story_language(code: str | None) -> Literal["en", "fr"] | None:
    """The language of the built-in stories. Raises BadParameter if there are none in this language."""
    if code not in (None, "en", "fr"):
        raise typer.BadParameter(_("the stories are in French (fr) and English (en)"))
    return code

"""Replacing a source, mostly one that is damaged: with the texts that it was made from, or with others."""

from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.errors import SourceError
from llm_studio.events import Notice
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data import download
from llm_studio.workflows.data.sources import STORIES, add_files, add_stories

if TYPE_CHECKING:
    from llm_studio.data.sources.manifest import Source


def replace_source(
    project: Project, name: str, job: Job, path: Path | None = None, *,
    separator: str | None = None, text_field: str | None = None, max_documents: int | None = None,
    follow_links: bool = False, encoding: str | None = None,
) -> "Source":  # fmt: skip
    """Replace the source `name` with the texts at `path`; without it, with the texts that it was made from.

    The old one stays until the new one is complete; of a download, the parts that are whole stay. Links are followed
    only if `follow_links` says so now: what the source's record says may be a stranger's. Raises SourceError
    where there is no such source, or it isn't known where its texts came from; DownloadError, Cancelled.
    """
    source = _source(project, name)
    if path is not None:
        return add_files(project, path, job, separator=separator, text_field=text_field, max_documents=max_documents,
                         follow_links=follow_links, encoding=encoding, replaces=name)  # fmt: skip
    if is_download(project, name):
        return download.download_again(project, name, job)
    language, count, seed = (source.options.get(key) for key in ("language", "count", "seed"))
    if _is_stories(source) and isinstance(language, str) and isinstance(count, int) and isinstance(seed, int):
        return add_stories(project, language, count, job, seed)
    if not _is_there(source.origin):
        raise SourceError(_("The texts that “{name}” was made from are no longer there.").format(name=name),
                          _("Name the file or folder to replace it with."), "sources")  # fmt: skip
    job.report(Notice(_("The texts are read again from {path}.").format(path=source.origin)))
    options = source.options
    separator, text_field, encoding = (_text(options.get(key)) for key in ("separator", "text_field", "encoding"))
    reading = _text(options.get("reading")) or ""
    limit = options.get("max_documents")
    return add_files(project, Path(source.origin), job, separator=separator, text_field=text_field,
                     max_documents=limit if isinstance(limit, int) else None,
                     follow_links=follow_links, encoding=encoding, reading=reading, replaces=name)  # fmt: skip


def origin_of(project: Project, source: "Source") -> str | None:
    """Where the texts of a source can be had again: a path, or "" for a download or the built-in stories.

    None where they can't. The path comes from the project, perhaps a stranger's: show it before it is read.
    """
    if is_download(project, source.name) or _is_stories(source):
        return ""
    return source.origin if _is_there(source.origin) else None


def is_download(project: Project, name: str) -> bool:
    """Whether a source came from the hub, and how to download it is known."""
    from llm_studio.data.sources.hub import plan

    return name in plan.load_plans(project.raw)


def _source(project: Project, name: str) -> "Source":
    from llm_studio.data.sources import store

    known = store.scan_sources(project.raw).all()
    for source in known:
        if source.name == name:
            return source
    names = ", ".join(source.name for source in known) or _("none")
    raise SourceError(_("There is no source “{name}” in {folder}.").format(name=name, folder=project.raw),
                      _("The sources are: {names}.").format(names=names))  # fmt: skip


def _is_stories(source: "Source") -> bool:
    return source.origin == source.name and source.options.get("language") == source.name.removeprefix(f"{STORIES}-")


def _is_there(origin: str) -> bool:
    """Whether the origin is a file or folder that can be read again; a relative path would be a chance find.

    A network path isn't looked at: Windows would log on to whatever computer a stranger's project names.
    """
    if origin.replace("\\", "/").startswith("//"):
        return False
    try:
        return Path(origin).is_absolute() and Path(origin).exists()
    except (OSError, ValueError):  # too long a name, a NUL
        return False


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

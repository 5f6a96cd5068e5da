"""Replacement of a source, usually a damaged one: from its original texts, or from others."""

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
    """Replace the source `name` with the texts at `path`, by default with its original texts.

    The old source is kept until the new one is complete; of a download, undamaged files are kept. Links are followed
    only with `follow_links`, whatever the source's record contains: it may come from someone else. Raises SourceError
    if there is no such source or its original texts are no longer there, DownloadError, Cancelled.
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
    if not _exists(source.origin):
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
    """The original texts of a source: a path, or "" for a download or the built-in stories.

    None if they are no longer available. The path is from the project, which may come from someone else: show it to
    the user before reading it.
    """
    if is_download(project, source.name) or _is_stories(source):
        return ""
    return source.origin if _exists(source.origin) else None


def is_download(project: Project, name: str) -> bool:
    """Whether a source is from the hub and has a download plan."""
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


def _exists(origin: str) -> bool:
    """Whether the origin is an existing file or folder. Only absolute paths: a relative one may be another file now.

    Network paths are never tested: Windows would log on to any computer that a project names.
    """
    if origin.replace("\\", "/").startswith("//"):
        return False
    try:
        return Path(origin).is_absolute() and Path(origin).exists()
    except (OSError, ValueError):  # a name that is too long or contains NUL
        return False


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

"""The sources of a project: adding built-in stories, files and folders; removing and restoring sources."""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.data.sources.manifest import UnusableSource
from llm_studio.errors import SourceError
from llm_studio.events import Notice, Progress
from llm_studio.i18n import N_, _, ngettext, number
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data import accounts

if TYPE_CHECKING:
    from llm_studio.data.chunks import Chunk
    from llm_studio.data.sources.manifest import Source
    from llm_studio.data.sources.readers.inspect import Inspection
    from llm_studio.data.sources.readers.read import SourceReader

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(?::[\w.-]+)?")
STORIES = "stories"
DEFAULT_STORIES = 20_000
_STORIES_TITLES = {"en": N_("Built-in stories (English)"), "fr": N_("Built-in stories (French)")}
BYTES = N_("bytes")
"""The unit of a Progress that counts bytes."""


@dataclass(frozen=True)
class FileChoice:
    """A user's choices for a file or folder, made in its preview; "" for automatic detection."""

    text_field: str = ""
    follow_links: bool = False
    encoding: str = ""
    reading: str = ""


def title_of(source: "Source") -> str:
    """The name of a source to show to users; `source.name` is the name of its file."""
    built_in = source.origin == source.name  # the origin of a file is its path, that of a dataset starts with “hf:”
    language = source.name.removeprefix(f"{STORIES}-") if built_in else ""
    return _(_STORIES_TITLES[language]) if language in _STORIES_TITLES else source.name


def titles(sources: "Iterable[Source]") -> dict[str, str]:
    """The names to show to users, by the names of the sources."""
    return {source.name: title_of(source) for source in sources}


def all_sources(project: Project) -> "list[Source]":
    """All sources of the project, sorted by name, including those that can't be read."""
    from llm_studio.data.sources import store

    return store.scan_sources(project.raw).all()


def unusable_sources(project: Project) -> list[UnusableSource]:
    """The sources whose texts can't be read."""
    from llm_studio.data.sources import store

    return store.scan_sources(project.raw).unusable


def state_of(source: "Source") -> str:
    """The state of a source in a word or two: an English message to be translated."""
    if not isinstance(source, UnusableSource):
        return N_("ready")
    return N_("damaged") if source.damaged else N_("can't be read")


def add_stories(project: Project, language: str, count: int, job: Job, seed: int = 0) -> "Source":
    """Add `count` of the built-in stories as a source; it replaces earlier ones in the same language."""
    from llm_studio.data.chunks import Chunk
    from llm_studio.data.sources.stories.grammar import generate_stories

    chunks = (Chunk(story, ends=True) for story in generate_stories(language, count, seed))
    options = {"language": language, "count": count, "seed": seed}
    name = f"{STORIES}-{language}"

    def progress(documents: int, _bytes: int) -> Progress:
        return Progress(_("Writing the texts"), documents, count, _("documents"))

    return _add(project, name, name, chunks, options, [], job, progress)


def add_files(
    project: Project, path: Path, job: Job, *,
    separator: str | None = None, text_field: str | None = None, max_documents: int | None = None,
    follow_links: bool = False, encoding: str | None = None, reading: str = "", replaces: str = "",
) -> "Source":  # fmt: skip
    """Add a file, a folder or an archive as a source; it replaces an earlier source with the same path.

    `replaces`: the name of another source to replace instead. `text_field`: the field or column that contains the text
    of a record; `encoding`: the codec of texts that aren't Unicode; None for automatic detection. `reading`: how to
    read texts that are chats, "text" or "conversations"; "" to decide by their content.

    Files that can't be read, and links out of the folder unless they are to be followed, are reported and listed in the
    source's notes. Raises SourceError if nothing can be read, Cancelled.
    """
    from llm_studio.data.sources.readers.options import ReadOptions
    from llm_studio.data.sources.readers.packed import content_name
    from llm_studio.data.sources.readers.read import SourceReader

    notes: list[str] = []

    def notice(text: str) -> None:
        notes.append(text)
        job.report(Notice(text, "warning"))

    path = _existing(path)
    language = project.settings().project.language
    read_options = ReadOptions(separator, text_field or None, follow_links, encoding or None, language, reading)
    reader = SourceReader(path, read_options, notice, job)
    total = _size(path, follow_links, job) if max_documents is None else 0
    name = path.name

    def progress(documents: int, _bytes: int) -> Progress:
        if not total:
            return Progress(_("Writing the texts"), documents, None, _("documents"))
        return Progress(_("Reading {name}").format(name=name), min(reader.bytes_read, total), total, _(BYTES))

    options = {"separator": separator, "text_field": text_field, "max_documents": max_documents}
    options |= ({"follow_links": True} if follow_links else {}) | ({"encoding": encoding} if encoding else {})
    options |= {"reading": reading} if reading else {}
    origin = path.resolve()
    wanted = Path(content_name(origin.name)).stem or origin.name
    with contextlib.closing(reader.chunks()) as chunks:
        source = _add(project, wanted, str(origin), _first(chunks, max_documents), options, notes, job, progress,
                      reader, replaces)  # fmt: skip
    accounts.report(source.account, job)
    return source


def look(
    path: Path, job: Job, *, separator: str | None = None, text_field: str | None = None, follow_links: bool = False,
    encoding: str | None = None, language: str = "", reading: str = "",
) -> "Inspection":  # fmt: skip
    """Inspect a file, an archive or a folder, quickly whatever its size. Raises SourceError, Cancelled."""
    from llm_studio.data.sources.readers.inspect import inspect_path
    from llm_studio.data.sources.readers.options import ReadOptions

    options = ReadOptions(separator, text_field or None, follow_links, encoding or None, language, reading)
    return inspect_path(_existing(path), options, job)


def _existing(path: Path) -> Path:
    """`path` with `~` expanded. Raises SourceError if it doesn't exist."""
    try:
        path = path.expanduser()
        exists = path.exists()
    except (OSError, RuntimeError):  # a name that is too long, or an unknown home folder
        exists = False
    if not exists:
        what = _("{path} is neither a file nor a folder here, nor a known dataset.").format(path=path)
        if _HUB_NAME.fullmatch(path.as_posix()):
            raise SourceError(what, _("For a dataset of the hub, write {name}.").format(name=f"hf:{path.as_posix()}"))
        raise SourceError(what, _("The built-in dataset is “stories”."))
    return path


def add_several(
    project: Project, paths: "Sequence[Path]", job: Job, *, separator: str | None = None,
    text_field: str | None = None, encoding: str | None = None, choices: Mapping[Path, FileChoice] = {},
) -> "list[Source]":  # fmt: skip
    """Add files and folders, each as a source, one after the other. `choices`: the user's choices for some of them.

    If one of them can't be read, SourceError is raised after the others have been added.
    """
    added: list[Source] = []
    refused: list[SourceError] = []
    for path in paths:
        try:
            chosen = choices.get(path, FileChoice())
            added.append(add_files(project, path, job, separator=separator, text_field=chosen.text_field or text_field,
                                   follow_links=chosen.follow_links, encoding=chosen.encoding or encoding,
                                   reading=chosen.reading))  # fmt: skip
        except SourceError as error:
            refused.append(error)
    if refused and len(paths) == 1:
        raise refused[0]
    if refused:
        what = ngettext("{n} of {all} could not be added. {reason}",
                        "{n} of {all} could not be added. The first: {reason}", len(refused))  # fmt: skip
        raise SourceError(what.format(n=number(len(refused)), all=number(len(paths)), reason=refused[0].what),
                          refused[0].to_do)  # fmt: skip
    return added


def readable_suffixes() -> tuple[str, ...]:
    """The suffixes of the files that can be added, including the dot."""
    from llm_studio.data.sources.readers.kinds import SUFFIXES

    return SUFFIXES


def is_chat(path: Path) -> bool:
    """Whether a text file looks like a chat, judging by its beginning; False if it can't be read."""
    from llm_studio.data.sources.readers.inspect import can_be_chat
    from llm_studio.data.sources.readers.items import DiskFile

    try:
        return can_be_chat(DiskFile(path))
    except (OSError, SourceError):
        return False


def encoding_names() -> list[tuple[str, str]]:
    """The supported encodings of texts, as pairs of codec and name."""
    from llm_studio.data.sources.readers.charsets import NAMES

    return list(NAMES.items())


def _size(path: Path, follow_links: bool, job: Job) -> int:
    """Bytes to be read at `path`, the total of the progress; 0 if unknown."""
    from llm_studio.data.sources.readers.folder import list_files

    try:
        found = list_files(path, job, follow_links).files if path.is_dir() else [path]
        return sum(file.stat().st_size for file in found)
    except (OSError, SourceError):
        return 0


def _first(chunks: "Iterator[Chunk]", documents: int | None) -> "Iterator[Chunk]":
    """The chunks of the first `documents` documents; None for all."""
    if documents is None:
        yield from chunks
        return
    done = 0
    for chunk in chunks:
        if done >= documents:
            return
        yield chunk
        done += chunk.ends


def _add(
    project: Project, wanted: str, origin: str, chunks: "Iterator[Chunk]", options: Mapping[str, object],
    notes: list[str], job: Job, progress: "Callable[[int, int], Progress]",
    reader: "SourceReader | None" = None, replaces: str = "",
) -> "Source":  # fmt: skip
    """Write a source in place of `replaces` or the one with the same origin; otherwise under a new name."""
    from llm_studio.data.sources import store

    with project.writing("data"):
        same = (s.name for s in store.scan_sources(project.raw).all() if s.origin == origin)
        old = replaces or next(same, "")
        in_place = old and not store.is_sharded(project.raw, old)
        name = old if in_place else store.unused_name(project.raw, wanted)
        source = store.write_source(project.raw, name, origin, chunks, job, notes=notes, options=options,
                                    progress=progress, conversations=lambda: bool(reader and reader.conversations),
                                    account=lambda: reader.account if reader else None)  # fmt: skip
        if old and not in_place:
            store.remove_source(project.raw, old)
        return source


def remove_source(project: Project, name: str, *, undoable: bool = False) -> None:
    """Remove a source from the project. Raises SourceError if there is none with this name, BusyError.

    `undoable`: it can be restored with `restore_source` until the next removal.
    """
    from llm_studio.data.sources import store

    trash = _trash(project)
    with project.writing("data"):
        in_trash = {path.stem for path in trash.glob("*.parquet")}
        if undoable:
            store.move_source(project.raw, name, trash)
        else:
            store.remove_source(project.raw, name)
        for old in in_trash - ({name} if undoable else set[str]()):
            store.remove_source(trash, old)


def restore_source(project: Project, name: str) -> None:
    """Undo the last removal, of the source `name`. Raises SourceError if it can't be restored, BusyError."""
    from llm_studio.data.sources import store

    trash = _trash(project)
    with project.writing("data"):
        if any(source.name == name for source in store.list_sources(project.raw)):
            raise SourceError(_("There is a new source “{name}”: the removed one was not restored.").format(name=name))
        store.move_source(trash, name, project.raw)


def _trash(project: Project) -> Path:
    return project.raw.parent / ".trash"

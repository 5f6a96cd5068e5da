"""The files of a folder or an archive. If one can't be read, the others still are."""

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.expansion import Budget, ExpansionError
from llm_studio.data.sources.readers.archives import ArchiveMember, check_depth, member
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import translate_read_errors
from llm_studio.data.sources.readers.items import DiskFile, InputFile, ReadProgress
from llm_studio.data.sources.readers.kinds import SUFFIXES
from llm_studio.errors import SourceError
from llm_studio.i18n import _, ngettext, number
from llm_studio.jobs import Job
from llm_studio.links import leads_out

MAX_REPORTED = 100
"""Number of skipped files that are reported one by one."""


@dataclass(frozen=True)
class Listing:
    """What is in a folder of texts: `files` to be read, and `links` that lead out of it and aren't followed."""

    files: list[Path]
    links: list[Path]


def list_files(folder: Path, job: Job, follow_links: bool = False) -> Listing:
    """The readable files of a folder and its subfolders, sorted; hidden ones are skipped.

    A link is followed where it leads to another place in the folder, and elsewhere only with `follow_links`: a folder
    that came from someone else could hold one to a private file. Raises SourceError where there is neither file nor
    link.
    """
    found, left_out = list[Path](), list[Path]()
    with translate_read_errors(str(folder)):
        os.listdir(folder)  # noqa: PTH208  raises an error where os.walk is silent
        visited = {folder.resolve()}
        for root, folders, names in os.walk(folder, followlinks=True):
            job.check()
            here, entered = Path(root).resolve(), list[str]()
            for name in (name for name in folders if name[0] != "."):
                target = Path(root, name).resolve()
                is_link = target != here / name  # a junction of Windows as well
                outside = is_link and leads_out(target, folder)
                if outside and not follow_links:
                    left_out.append(Path(root, name))
                elif (outside or not is_link) and target not in visited:  # a link inside leads to what is read anyway
                    visited.add(target)
                    entered.append(name)
            folders[:] = entered
            for path in (Path(root, name) for name in names if name[0] != "."):
                if path.suffix.lower() in SUFFIXES:
                    leave = not follow_links and path.is_symlink() and leads_out(path, folder)
                    (left_out if leave else found).append(path)
    if not found and not left_out:
        raise no_readable_files(str(folder))
    return Listing(sorted(found), sorted(left_out))


def link_out(path: Path) -> SourceError:
    """The link at `path` leads out of the folder that is read."""
    return SourceError(
        _("{path} is a link to {target}, outside of the folder.").format(path=path, target=path.resolve()),
        _("With --follow-links it is read as well."),
    )


def members(item: InputFile, archive: zipfile.ZipFile, budget: Budget) -> list[ArchiveMember]:
    """The readable files in an archive, sorted by name; hidden ones are skipped."""
    check_depth(item)
    found: dict[str, ArchiveMember] = {}
    for info in archive.infolist():
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if info.is_dir() or not parts or any(map(_is_hidden, parts)):
            continue
        if Path(parts[-1]).suffix.lower() in SUFFIXES:
            found.setdefault(info.filename, member(item, archive, info, budget))
    return [found[name] for name in sorted(found)]


def _is_hidden(part: str) -> bool:
    return part == "__MACOSX" or (part[0] == "." and part not in ("..", "."))


def disk_files(
    paths: Sequence[Path], progress: ReadProgress, skip: Callable[[str, SourceError], None]
) -> Iterator[InputFile]:
    """The files at `paths`; those that have disappeared meanwhile are passed to `skip`."""
    for path in paths:
        try:
            with translate_read_errors(str(path)):
                item = DiskFile(path, progress)
        except SourceError as error:
            skip(str(path), error)
            continue
        yield item
        progress.finish(item.size)


def no_readable_files(name: str) -> SourceError:
    """The folder or archive contains no file of a readable kind."""
    return SourceError(
        _("There are no texts in {folder}. Files that can be read: {kinds}.").format(
            folder=name, kinds=", ".join(SUFFIXES)
        ),
        _("Choose another folder, or save the texts in one of these formats."),
    )


def read_many(
    name: str, count: int, items: Iterator[InputFile], context: Context,
    chunks_of: Callable[[InputFile, Context], Iterator[Chunk]],
) -> Iterator[Chunk]:  # fmt: skip
    """The documents of all `items`, the `count` files of the folder or archive `name`.

    A file that can't be read is skipped and reported. Raises SourceError where none can be read.
    """
    skipped_before, read = len(context.skipped), 0
    for item in items:
        ended, started = True, False
        try:
            for chunk in chunks_of(item, context):
                yield chunk
                ended, started = chunk.ends, True
        except SourceError as error:
            if isinstance(error, ExpansionError) and error.name == name:
                raise
            skip_file(item.name, error, started, context)
            if not ended:  # the disk failed in the middle of a document
                yield Chunk("", True)
        else:
            read += 1
    if not read and len(context.skipped) > skipped_before:
        first = context.skipped[skipped_before][1]
        raise SourceError(
            ngettext(
                "The only file in {folder} can't be read. {reason}",
                "None of the {count} files in {folder} can be read. The first: {reason}", count,
            ).format(count=number(count), folder=name, reason=first.what),
            first.to_do,
        )  # fmt: skip


def skip_file(name: str, error: SourceError, started: bool, context: Context) -> None:
    """Record that a file, or the rest of it, is skipped; the first ones are reported."""
    context.skipped.append((name, error))
    if len(context.skipped) <= MAX_REPORTED:
        text = _("Only the beginning was read: {reason}") if started else _("Skipped: {reason}")
        context.notice(text.format(reason=error))


def report_remaining(context: Context) -> None:
    """Report the number of skipped files that were not reported one by one."""
    more = len(context.skipped) - MAX_REPORTED
    if more > 0:
        context.notice(ngettext("{n} more file was skipped.", "{n} more files were skipped.", more).format(
            n=number(more)))  # fmt: skip

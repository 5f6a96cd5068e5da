"""Many files at once: those of a folder, or of an archive. One that fails doesn't hold up the rest."""

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.readers.archives import ArchiveMember, Budget, check_depth, member
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import ArchiveBomb, translate_read_errors
from llm_studio.data.sources.readers.items import DiskFile, InputFile, ReadProgress
from llm_studio.data.sources.readers.kinds import SUFFIXES
from llm_studio.errors import SourceError
from llm_studio.i18n import _, ngettext, number
from llm_studio.jobs import Job

MAX_REPORTED = 100
"""So many files that were left out are told one by one."""


def list_files(folder: Path, job: Job) -> list[Path]:
    """The files of a folder and its subfolders that can be read, sorted; hidden ones are passed over. Raises
    SourceError where there are none."""
    found: list[Path] = []
    with translate_read_errors(str(folder)):
        os.listdir(folder)  # noqa: PTH208  says why, where walking is silent
        for root, folders, names in os.walk(folder):
            job.check()
            folders[:] = [name for name in folders if name[0] != "."]
            found += [Path(root, name) for name in names if name[0] != "." and Path(name).suffix.lower() in SUFFIXES]
    found = [path for path in found if path.is_file()]
    if not found:
        raise no_readable_files(str(folder))
    return sorted(found)


def members(item: InputFile, archive: zipfile.ZipFile, budget: Budget) -> list[ArchiveMember]:
    """The files in an archive that can be read, sorted by name; hidden ones are passed over."""
    check_depth(item)
    found: dict[str, ArchiveMember] = {}
    for about in archive.infolist():
        parts = PurePosixPath(about.filename.replace("\\", "/")).parts
        if about.is_dir() or not parts or any(map(_is_hidden, parts)):
            continue
        if Path(parts[-1]).suffix.lower() in SUFFIXES:
            found.setdefault(about.filename, member(item, archive, about, budget))
    return [found[name] for name in sorted(found)]


def _is_hidden(part: str) -> bool:
    return part == "__MACOSX" or (part[0] == "." and part not in ("..", "."))


def disk_files(
    paths: Sequence[Path], at: ReadProgress, refuse: Callable[[str, SourceError], None]
) -> Iterator[InputFile]:
    """The files at `paths`; one that has gone meanwhile is refused."""
    for path in paths:
        try:
            with translate_read_errors(str(path)):
                item = DiskFile(path, at)
        except SourceError as error:
            refuse(str(path), error)
            continue
        yield item
        at.finish(item.size)


def no_readable_files(name: str) -> SourceError:
    """A folder or an archive without a file of a kind that can be read."""
    return SourceError(
        _("{folder} holds no texts: {kinds} files are read.").format(folder=name, kinds=", ".join(SUFFIXES)),
        _("Choose another folder, or save the texts as one of these."),
    )


def read_many(
    name: str, count: int, items: Iterator[InputFile], context: Context,
    pieces: Callable[[InputFile, Context], Iterator[Chunk]],
) -> Iterator[Chunk]:  # fmt: skip
    """The documents of all `items`, the `count` files of the folder or archive `name`.

    A file that can't be read is left out and told. Raises SourceError where none can.
    """
    before, good = len(context.skipped), 0
    for item in items:
        ended, some = True, False
        try:
            for piece in pieces(item, context):
                yield piece
                ended, some = piece.ends, True
        except SourceError as error:
            if isinstance(error, ArchiveBomb) and error.name == name:
                raise
            skip_file(item.name, error, some, context)
            if not ended:  # the disk failed in the middle of a document
                yield Chunk("", True)
        else:
            good += 1
    if not good and len(context.skipped) > before:
        first = context.skipped[before][1]
        raise SourceError(
            ngettext(
                "The only file in {folder} can't be read. {reason}",
                "None of the {count} files in {folder} can be read. The first: {reason}", count,
            ).format(count=number(count), folder=name, reason=first.what),
            first.to_do,
        )  # fmt: skip


def skip_file(name: str, error: SourceError, begun: bool, context: Context) -> None:
    """Note that a file is left out, or what comes after its beginning; tell the first ones."""
    context.skipped.append((name, error))
    if len(context.skipped) <= MAX_REPORTED:
        text = _("Only the beginning was read: {reason}") if begun else _("Left out: {reason}")
        context.notice(text.format(reason=error))


def report_remaining(context: Context) -> None:
    """Say how many more files were left out than were told."""
    more = len(context.skipped) - MAX_REPORTED
    if more > 0:
        context.notice(ngettext("{n} more file was left out.", "{n} more files were left out.", more).format(
            n=number(more)))  # fmt: skip

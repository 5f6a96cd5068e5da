"""The files of a folder or an archive. If one can't be read, the others still are."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import (
    CUT_OFF,
    FILES,
    HIDDEN,
    INSIDE,
    KIND,
    PARTS,
    READ_ELSEWHERE,
    UNREADABLE,
    AccountBuilder,
)
from llm_studio.data.sources.expansion import Budget, ExpansionError
from llm_studio.data.sources.readers import unread_kinds
from llm_studio.data.sources.readers.archives import (
    ArchiveMember,
    Entry,
    check_depth,
    open_zip,
    printable,
    zip_entries,
)
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import translate_read_errors
from llm_studio.data.sources.readers.items import DiskFile, InputFile, ReadProgress
from llm_studio.data.sources.readers.kinds import LISTED, is_readable
from llm_studio.data.sources.readers.packed import PackedContent
from llm_studio.data.sources.readers.tar_files import open_tar
from llm_studio.data.sources.readers.unread_kinds import UnreadKindError
from llm_studio.errors import SourceError
from llm_studio.i18n import _, ngettext, number
from llm_studio.jobs import Job
from llm_studio.links import leads_out

MAX_REPORTED = 100
"""Number of skipped files that are reported one by one."""


@dataclass
class Listing:
    """The entries of a folder of texts: `files` to be read, `links` that lead out of it and aren't followed, and
    `others` that are left out, with the reasons. Folders that aren't entered are among the others."""

    files: list[Path] = field(default_factory=list[Path])
    links: list[Path] = field(default_factory=list[Path])
    others: list[tuple[Path, str]] = field(default_factory=list[tuple[Path, str]])

    def count(self, account: AccountBuilder) -> None:
        """Count all entries as seen, and the others as left out."""
        account.see(len(self.files) + len(self.links) + len(self.others))
        for path, reason in self.others:
            account.leave_out(FILES, reason, str(path), unread_kinds.detail(path.name, reason))


def list_files(folder: Path, job: Job, follow_links: bool = False) -> Listing:
    """The entries of a folder and its subfolders, sorted; hidden ones aren't read.

    Links to files inside the folder are followed; links to its subfolders aren't, since these are read anyway. Links
    that lead out of it are followed only with `follow_links`: a folder from someone else could contain a link to a
    private file. Raises SourceError if there are neither readable files nor links that lead out.
    """
    found = Listing()
    with translate_read_errors(str(folder)):
        os.listdir(folder)  # noqa: PTH208  raises errors that os.walk ignores
        visited = {folder.resolve()}
        for root, folders, names in os.walk(folder, followlinks=True):
            job.check()
            here, entered = Path(root).resolve(), list[str]()
            for name in folders:
                path = Path(root, name)
                target = path.resolve()
                is_link = target != here / name  # also true for a junction of Windows
                outside = is_link and leads_out(target, folder)
                if name[0] == ".":
                    found.others.append((path, HIDDEN))
                elif outside and not follow_links:
                    found.links.append(path)
                elif (outside or not is_link) and target not in visited:
                    visited.add(target)
                    entered.append(name)
                else:
                    found.others.append((path, READ_ELSEWHERE))
            folders[:] = entered
            for name in names:
                _list_file(Path(root, name), folder, follow_links, found)
    if not found.files and not found.links:
        raise no_readable_files(str(folder))
    return Listing(sorted(found.files), sorted(found.links), sorted(found.others))


def _list_file(path: Path, folder: Path, follow_links: bool, found: Listing) -> None:
    if path.name[0] == ".":
        found.others.append((path, HIDDEN))
    elif not is_readable(path.name):
        found.others.append((path, KIND))
    elif not follow_links and path.is_symlink() and leads_out(path, folder):
        found.links.append(path)
    else:
        found.files.append(path)


def link_out(path: Path) -> SourceError:
    """The error for a link at `path` that leads out of the folder being read."""
    return SourceError(
        _("{path} is a link to {target}, outside of the folder.").format(path=path, target=path.resolve()),
        _("With --follow-links it is read as well."),
    )


def members(
    item: InputFile, entries: Sequence[Entry], budget: Budget, account: AccountBuilder, depth: int
) -> list[ArchiveMember]:  # fmt: skip
    """The readable files in an archive, sorted by name; hidden ones and those of other kinds are left out.

    Files with the same name are all read; the second is called “name (2)”. `depth`: nesting depth of the archive.
    """
    found: list[ArchiveMember] = []
    others: list[tuple[str, str]] = []
    used: Counter[str] = Counter()
    for entry in entries:
        parts = PurePosixPath(entry.name.replace("\\", "/")).parts
        used[entry.name] += 1
        again = used[entry.name]
        name = entry.name if again == 1 else f"{entry.name} ({again})"
        if not parts or any(map(_is_hidden, parts)):
            others.append((name, HIDDEN))
        elif entry.reason or not is_readable(parts[-1]):
            others.append((name, entry.reason or KIND))
        else:
            found.append(ArchiveMember(item, entry.name, entry.size, budget, entry.open, name, depth + 1))
    if found or others:  # an empty archive is a file without text
        account.open_archive(len(found) + len(others))
    for name, reason in sorted(others):
        account.leave_out(FILES, reason, item.name + INSIDE + printable(name), unread_kinds.detail(name, reason))
    return sorted(found, key=lambda file: file.name)


@contextlib.contextmanager
def open_archive(item: InputFile, context: Context) -> Generator[list[ArchiveMember]]:
    """The readable files in an archive, which may be compressed; the others are counted as left out.

    Raises SourceError if it can't be read or contains no readable file.
    """
    depth = item.depth - isinstance(item, PackedContent)  # a .tar.gz counts as one archive
    check_depth(item, depth)
    with contextlib.ExitStack() as stack:
        if item.suffix == ".tar":
            entries, budget = stack.enter_context(open_tar(item, context))
        else:
            archive, budget = stack.enter_context(open_zip(item, context))
            entries = zip_entries(item, archive)
        found = members(item, entries, budget, context.account, depth)
        if not found:
            raise no_readable_files(item.name)
        yield found


def _is_hidden(part: str) -> bool:
    return part == "__MACOSX" or (part[0] == "." and part not in ("..", "."))


def disk_files(
    paths: Sequence[Path], progress: ReadProgress, skip: Callable[[str, SourceError], None]
) -> Iterator[InputFile]:
    """The files at `paths`; those that no longer exist or can't be accessed are passed to `skip` with the error."""
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
    """The error for a folder or an archive without files of a readable kind."""
    return SourceError(
        _("There are no texts in {folder}. Files that can be read: {kinds}.").format(
            folder=name, kinds=", ".join(LISTED)
        ),
        _("Choose another folder, or save the texts in one of these formats."),
    )


def read_many(
    name: str, count: int, items: Iterator[InputFile], context: Context,
    chunks_of: Callable[[InputFile, Context], Iterator[Chunk]],
) -> Iterator[Chunk]:  # fmt: skip
    """The documents of all `items`, the `count` files of the folder or archive `name`.

    A file that can't be read is skipped and reported. Raises SourceError if none can be read.
    """
    skipped_before, read = len(context.skipped), 0
    account = context.account
    for item in items:
        ended, started = True, False
        archives = account.archives
        try:
            for chunk in chunks_of(item, context):
                yield chunk
                ended, started = chunk.ends, True
        except SourceError as error:
            opened = account.archives > archives
            if isinstance(error, ExpansionError) and error.name == name:
                _leave_out_rest(item, items, error, started, context)
                raise
            skip_file(item.name, error, started, context, opened)
            if not ended:  # reading failed in the middle of a document
                yield Chunk("", True)
        else:
            read += 1
            account.files_read += account.archives == archives  # the files of an archive were counted one by one
    if not read and len(context.skipped) > skipped_before:
        first = context.skipped[skipped_before][1]
        raise SourceError(
            ngettext(
                "The only file in {folder} can't be read. {reason}",
                "None of the {count} files in {folder} can be read. The first: {reason}", count,
            ).format(count=number(count), folder=name, reason=first.what),
            first.to_do,
        )  # fmt: skip


def _leave_out_rest(
    item: InputFile, items: Iterator[InputFile], error: SourceError, started: bool, context: Context
) -> None:
    """Count the file at which reading an archive stopped, and those after it."""
    _leave_out(item.name, error, started, context.account)
    for unread in items:
        context.account.leave_out(FILES, UNREADABLE, unread.name, error.what)


def _leave_out(name: str, error: SourceError, started: bool, account: AccountBuilder) -> None:
    if isinstance(error, UnreadKindError):
        account.leave_out(FILES, KIND, name, error.detail)
    elif started:
        account.files_read += 1
        account.leave_out(PARTS, CUT_OFF, name, error.what)
    else:
        account.leave_out(FILES, UNREADABLE, name, error.what)


def skip_file(name: str, error: SourceError, started: bool, context: Context, opened: bool = False) -> None:
    """Record that a file, or the rest of it, is skipped; the first MAX_REPORTED files are reported.

    `started`: its beginning was read. `opened`: it is an archive whose files were counted one by one.
    """
    context.skipped.append((name, error))
    if not opened:
        _leave_out(name, error, started, context.account)
    if isinstance(error, UnreadKindError):
        return  # not reported, like files left out because of their suffix
    if len(context.skipped) <= MAX_REPORTED:
        text = _("Only the beginning was read: {reason}") if started else _("Skipped: {reason}")
        context.notice(text.format(reason=error))


def report_remaining(context: Context) -> None:
    """Report the number of skipped files that were not reported one by one."""
    more = len(context.skipped) - MAX_REPORTED
    if more > 0:
        context.notice(ngettext("{n} more file was skipped.", "{n} more files were skipped.", more).format(
            n=number(more)))  # fmt: skip

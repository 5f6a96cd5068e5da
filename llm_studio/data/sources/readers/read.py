"""Reading files of any kind as documents."""

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from pathlib import Path

from llm_studio.data.chunks import Chunk, rechunk
from llm_studio.data.mojibake import count_damaged_lines
from llm_studio.data.sources.account import Account, AccountBuilder
from llm_studio.data.sources.readers import packed, unread_kinds
from llm_studio.data.sources.readers.chat_texts import is_chat
from llm_studio.data.sources.readers.context import Context, ignore_notice
from llm_studio.data.sources.readers.encodings import detect_encoding, report_encoding
from llm_studio.data.sources.readers.errors import no_text, translate_read_errors
from llm_studio.data.sources.readers.folder import (
    disk_files,
    link_out,
    list_files,
    open_archive,
    read_many,
    report_remaining,
    skip_file,
)
from llm_studio.data.sources.readers.items import DiskFile, InputFile, ReadProgress, suffix_of
from llm_studio.data.sources.readers.kinds import ARCHIVES, LISTED, RecordKind, kind_of_file, may_be_chat
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.packed import decompressed
from llm_studio.data.sources.readers.records import FieldChoice
from llm_studio.errors import SourceError
from llm_studio.i18n import _, number
from llm_studio.jobs import Job

_CHECKED_CHARACTERS, _CHECKED_EVERY = 200_000, 256
"""The first `_CHECKED_CHARACTERS` of a file are checked for mojibake, then one in `_CHECKED_EVERY` chunks."""
_SAMPLED_FILES = 50
"""Number of record files that are inspected to determine whether a folder contains conversations."""


def read_path(path: Path, options: ReadOptions, notice: Callable[[str], None], job: Job) -> Iterator[Chunk]:
    """The documents of a file, an archive, or all files in a folder and its subfolders: see SourceReader."""
    return SourceReader(path, options, notice, job).chunks()


class SourceReader:
    """Reads a file, an archive, or all files in a folder and its subfolders, sorted; hidden ones are skipped.

    `notice` receives a message for each file whose encoding was guessed, for each file that was skipped, and for each
    text field that was detected.
    """

    def __init__(self, path: Path, options: ReadOptions, notice: Callable[[str], None], job: Job) -> None:
        self._path = path
        self._progress = ReadProgress()
        self._context = Context(options, notice, job, account=AccountBuilder(str(path)))

    @property
    def bytes_read(self) -> int:
        """Number of bytes read from files on disk."""
        return self._progress.bytes_read()

    @property
    def conversations(self) -> bool:
        """Whether the documents read so far are conversations."""
        return bool(self._context.conversations)

    @property
    def skipped(self) -> list[tuple[str, SourceError]]:
        """The files skipped so far, with the reasons."""
        return self._context.skipped

    @property
    def account(self) -> Account:
        """What has been read and left out so far."""
        return self._context.account.account()

    def chunks(self) -> Generator[Chunk]:
        """Read the documents. Can be called only once.

        Raises SourceError if the file, or every file of the folder, can't be read; Cancelled.
        """
        name = str(self._path)
        try:
            with translate_read_errors(name):
                if not self._path.exists():
                    raise SourceError(_("{path} does not exist.").format(path=name),
                                      _("Check the name, or choose it again."))  # fmt: skip
                item = None if self._path.is_dir() else DiskFile(self._path, self._progress)
            if item is not None:
                self._context.account.see(1)
                yield from chunks_of(item, self._context)
                self._context.account.files_read += not self._context.account.archives
                self._progress.finish(item.size)
            else:
                yield from self._folder()
            report_remaining(self._context)
        finally:
            self._context.workers.end()

    def _folder(self) -> Iterator[Chunk]:
        listing = list_files(self._path, self._context.job, self._context.options.follow_links)
        paths = listing.files
        listing.count(self._context.account)

        def items() -> Iterator[InputFile]:
            return disk_files(paths, self._progress, lambda name, error: skip_file(name, error, False, self._context))

        for link in listing.links:
            skip_file(str(link), link_out(link), False, self._context)
        if not paths:
            raise link_out(listing.links[0])
        detect_conversations(list(disk_files(paths[:10_000], ReadProgress(), ignore_notice)), self._context)
        yield from read_many(str(self._path), len(paths), items(), self._context, chunks_of)


def chunks_of(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The documents of one file, except those with only white space. Raises SourceError, Cancelled."""
    replaced, found, in_document = 0, False, False
    mojibake = _MojibakeCount()
    context.encoding = None
    with translate_read_errors(item.name):
        inner = decompressed(item)
        check = context.job.check
        is_checked = inner.suffix not in ARCHIVES and not context.quick  # files in an archive are checked one by one
        for place, chunk in enumerate(rechunk(_documents(inner, context))):
            check()
            text, ends = chunk.text, chunk.ends
            if context.encoding is not None and not context.encoding.exact:
                replaced += text.count("\ufffd")
            if is_checked and place >= mojibake.next:
                mojibake.add(text, place)
            if in_document or not ends or (text and not text.isspace()):
                found = True
                yield chunk
            in_document = not ends
    if not found:
        raise no_text(item.name)
    if context.encoding is not None:
        report_encoding(inner, context.encoding, replaced, context)
    if mojibake.damaged:
        mojibake.report(inner, context)


class _MojibakeCount:
    """Counts the lines with mojibake at the beginning of a file and in some of the following chunks.

    `next`: index of the chunk to add next.
    """

    def __init__(self) -> None:
        self.next = self.damaged = self._lines = self._characters = 0

    def add(self, text: str, place: int) -> None:
        """Count the lines of the chunk with index `place`."""
        text = text[:_CHECKED_CHARACTERS]
        self._characters += len(text)
        self._lines += text.count("\n") + (text[-1:] != "\n")
        self.damaged += count_damaged_lines(text)
        self.next = place + (1 if self._characters < _CHECKED_CHARACTERS else _CHECKED_EVERY)

    def report(self, item: InputFile, context: Context) -> None:
        """Report the number of lines with mojibake."""
        context.notice(_("{file} looks wrongly decoded, as in “Ã©” for “é”: {n} of the {all} lines that were checked. "
                         "The cleaning rule “Repair wrongly decoded text” shows what it would change.").format(
            file=item.basename, n=number(self.damaged), all=number(self._lines)))  # fmt: skip


def _documents(item: InputFile, context: Context) -> Iterator[Chunk]:
    if item.suffix in ARCHIVES:
        yield from _archive(item, context)
        return
    kind = kind_of_file(item)
    if kind is None:
        raise unread_kinds.refusal(item.name, item.suffix) or _unknown_kind(item, context)
    if isinstance(kind, RecordKind):
        choice = kind.choose(item, context)
        _require_same_type(item, context, choice.conversations)
        yield from kind.read(item, context, choice)
        return
    chat = kind.chat_style is not None and is_chat(item, context, kind.chat_style)
    _require_same_type(item, context, chat)
    yield from (kind.read_chat if chat else kind.read)(item, context)


def _unknown_kind(item: InputFile, context: Context) -> SourceError:
    """The error for a file of an unknown kind. Raises a more specific one if the file is empty or isn't text."""
    detect_encoding(item, context)
    what = _("{path} is of a kind that can't be read. Files that can be read: {kinds}.")
    return SourceError(what.format(path=item.name, kinds=", ".join(LISTED)),
                       _("If it is plain text, give it a name that ends in .txt."))  # fmt: skip


def _require_same_type(item: InputFile, context: Context, conversations: bool) -> None:
    """Raise SourceError if a file contains conversations and the other files of its source don't, or vice versa."""
    if context.conversations is None:
        context.conversations = conversations
    elif context.conversations != conversations:
        what = _("{path} contains conversations, the other files don’t.") if conversations else _(
            "{path} contains no conversations, the other files do.")  # fmt: skip
        raise SourceError(what.format(path=item.name), _("Add it separately, as another source."))


def _archive(item: InputFile, context: Context) -> Iterator[Chunk]:
    with open_archive(item, context) as inner_files:
        detect_conversations(inner_files, context)
        yield from read_many(item.name, len(inner_files), iter(inner_files), context, chunks_of)
    context.encoding = None  # each file has reported its own


def field_choice_of(item: InputFile, context: Context) -> FieldChoice | None:
    """The text field of a file of records; None for other kinds. Raises SourceError, Cancelled."""
    with translate_read_errors(item.name):
        inner = decompressed(item)
        kind = kind_of_file(inner)
        return kind.choose(inner, context) if isinstance(kind, RecordKind) else None


def detect_conversations(items: Sequence[InputFile], context: Context) -> None:
    """Determine whether a source of several files consists of conversations: whether these have the most bytes."""
    if context.conversations is not None:
        return
    quick = context.silent()
    conversations = others = 0
    candidates = [item for item in items if may_be_chat(_content_suffix(item))]
    for item in islice(candidates, _SAMPLED_FILES):
        context.job.check()
        try:
            chat = _holds_conversations(item, quick)
        except SourceError:
            continue
        if chat:
            conversations += item.size
        else:
            others += item.size
    if conversations:
        chosen = set(map(id, candidates))
        others += sum(item.size for item in items if id(item) not in chosen)
    context.conversations = conversations > others if conversations else None if not items else False


def _content_suffix(item: InputFile) -> str:
    """The suffix of a file, or of its content if it is compressed."""
    return suffix_of(packed.content_name(item.basename)) if item.suffix in packed.SUFFIXES else item.suffix


def _holds_conversations(item: InputFile, context: Context) -> bool:
    """Whether the file holds conversations. Raises SourceError, Cancelled."""
    with translate_read_errors(item.name):
        inner = decompressed(item)
        kind = kind_of_file(inner)
        if isinstance(kind, RecordKind):
            return kind.choose(inner, context).conversations
        return kind is not None and kind.chat_style is not None and is_chat(inner, context, kind.chat_style)

"""All kinds of files behind one door: a path goes in, documents come out."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from llm_studio.data.chunks import Chunk, rechunk
from llm_studio.data.sources.readers.archives import gzip_member, open_zip
from llm_studio.data.sources.readers.context import Context, ignore_notice
from llm_studio.data.sources.readers.encodings import detect_encoding, report_encoding
from llm_studio.data.sources.readers.errors import no_text, translate_read_errors
from llm_studio.data.sources.readers.folder import (
    disk_files,
    list_files,
    members,
    no_readable_files,
    read_many,
    report_remaining,
)
from llm_studio.data.sources.readers.items import DiskFile, InputFile, ReadProgress
from llm_studio.data.sources.readers.kinds import SUFFIXES, RecordKind, kind_of, record_kind
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.records import FieldChoice
from llm_studio.errors import SourceError
from llm_studio.i18n import _
from llm_studio.jobs import Job

_PEEKED = 50
"""Files of records that are looked into to tell whether a folder is one of conversations."""


def read_path(path: Path, options: ReadOptions, notice: Callable[[str], None], job: Job) -> Iterator[Chunk]:
    """The documents of a file, an archive, or all files in a folder and its subfolders: see Reading."""
    return SourceReader(path, options, notice, job).chunks()


class SourceReader:
    """The reading of a file, an archive, or all files in a folder and its subfolders, sorted; hidden ones are skipped.

    `notice` gets a sentence for each file whose encoding was guessed, for each that was left out, and for each column
    that was chosen by itself.
    """

    def __init__(self, path: Path, options: ReadOptions, notice: Callable[[str], None], job: Job) -> None:
        self._path = path
        self._at = ReadProgress()
        self._context = Context(options, notice, job)

    @property
    def bytes_read(self) -> int:
        """How many bytes of the files on the disk have been gone through."""
        return self._at.bytes_read()

    @property
    def conversations(self) -> bool:
        """Whether the documents read so far are conversations."""
        return bool(self._context.conversations)

    @property
    def skipped(self) -> list[tuple[str, SourceError]]:
        """The files left out so far, with the reasons."""
        return self._context.skipped

    def chunks(self) -> Generator[Chunk]:
        """The documents, once. Raises SourceError where the file, or all files of the folder, can't be read;
        Cancelled when the job is to stop."""
        name = str(self._path)
        try:
            with translate_read_errors(name):
                if not self._path.exists():
                    raise SourceError(_("{path} does not exist.").format(path=name),
                                      _("Check the name, or choose it again."))  # fmt: skip
                folder = self._path.is_dir()
                item = None if folder else DiskFile(self._path, self._at)
            if item is not None:
                yield from chunks_of(item, self._context)
                self._at.finish(item.size)
            else:
                yield from self._folder()
            report_remaining(self._context)
        finally:
            self._context.workers.end()

    def _folder(self) -> Iterator[Chunk]:
        paths = list_files(self._path, self._context.job)

        def items() -> Iterator[InputFile]:
            return disk_files(paths, self._at, lambda name, error: self._context.skipped.append((name, error)))

        detect_conversations(list(disk_files(paths[:10_000], ReadProgress(), ignore_notice)), self._context)
        yield from read_many(str(self._path), len(paths), items(), self._context, verified_chunks)


def decompressed(item: InputFile) -> InputFile:
    """The file in a .gz, in several if need be; any other as it is."""
    while item.suffix == ".gz":
        item = gzip_member(item)
    return item


def verified_chunks(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The documents of a file among others: of one in which records are wrong nothing is taken."""
    with translate_read_errors(item.name):
        inner = decompressed(item)
    kind = record_kind(inner.suffix)
    if kind is not None and kind.read_twice:
        unheard = replace(context, notice=ignore_notice, reported_fields=set(), refused=[])
        for _piece in chunks_of(inner, unheard):
            pass
    yield from chunks_of(inner, context)


def chunks_of(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The documents of one file, without those that are only white space. Raises SourceError, Cancelled."""
    replaced, found, inside = 0, False, False
    context.encoding = None
    with translate_read_errors(item.name):
        inner = decompressed(item)
        check = context.job.check
        for piece in rechunk(_documents(inner, context)):
            check()
            text, ends = piece.text, piece.ends
            if context.encoding is not None and not context.encoding.exact:
                replaced += text.count("\ufffd")
            if inside or not ends or (text and not text.isspace()):
                found = True
                yield piece
            inside = not ends
    if not found:
        raise no_text(item.name)
    if context.encoding is not None:
        report_encoding(inner, context.encoding, replaced, context)


def _documents(item: InputFile, context: Context) -> Iterator[Chunk]:
    if item.suffix == ".zip":
        yield from _zip(item, context)
        return
    kind = kind_of(item.suffix)
    if kind is None:
        detect_encoding(item, context)
        what = _("{path} is of a kind that can't be read; {kinds} files are.")
        raise SourceError(what.format(path=item.name, kinds=", ".join(SUFFIXES)),
                          _("If it is plain text, give it a name that ends in .txt."))  # fmt: skip
    if isinstance(kind, RecordKind):
        choice = kind.choose(item, context)
        _agree(item, context, choice.conversations)
        yield from kind.read(item, context, choice)
    else:
        _agree(item, context, False)
        yield from kind.read(item, context)


def _agree(item: InputFile, context: Context, conversations: bool) -> None:
    """Raise SourceError where a file holds conversations and the others of its source don't, or the other way."""
    if context.conversations is None:
        context.conversations = conversations
    elif context.conversations != conversations:
        what = _("{path} holds conversations, the others don’t.") if conversations else _(
            "{path} holds no conversations, the others do.")  # fmt: skip
        raise SourceError(what.format(path=item.name), _("Add it on its own, as another source."))


def _zip(item: InputFile, context: Context) -> Iterator[Chunk]:
    with open_zip(item, context) as (archive, budget):
        inside = members(item, archive, budget)
        if not inside:
            raise no_readable_files(item.name)
        detect_conversations(inside, context)
        yield from read_many(item.name, len(inside), iter(inside), context, verified_chunks)
    context.encoding = None  # each file has reported its own


def field_choice_of(item: InputFile, context: Context) -> FieldChoice | None:
    """Where the documents in a file of records are; None for other kinds. Raises SourceError, Cancelled."""
    with translate_read_errors(item.name):
        inner = decompressed(item)
        kind = record_kind(inner.suffix)
        return kind.choose(inner, context) if kind is not None else None


def detect_conversations(items: Sequence[InputFile], context: Context) -> None:
    """Find out whether a source of several files is one of conversations: by the bytes of each kind."""
    if context.conversations is not None:
        return
    quick = replace(context, quick=True, notice=ignore_notice, reported_fields=set())
    talks = others = 0
    like_records = [item for item in items if _may_hold_records(item)]
    for item in islice(like_records, _PEEKED):
        context.job.check()
        try:
            choice = field_choice_of(item, quick)
        except SourceError:
            continue
        if choice is not None and choice.conversations:
            talks += item.size
        else:
            others += item.size
    if talks:
        others += sum(item.size for item in items if item not in like_records)
    context.conversations = talks > others if talks else None if not items else False


def _may_hold_records(item: InputFile) -> bool:
    """Whether a file, or the file in a .gz, is one of records, by its name."""
    suffix = Path(item.basename[:-3]).suffix.lower() if item.suffix == ".gz" else item.suffix
    return record_kind(suffix) is not None

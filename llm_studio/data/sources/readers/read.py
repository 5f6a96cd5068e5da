"""All kinds of files behind one door: a path goes in, documents come out."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from llm_studio.data.chunks import Chunk, in_chunks
from llm_studio.data.sources.readers.archives import in_gzip, opened_zip
from llm_studio.data.sources.readers.context import Context, silent
from llm_studio.data.sources.readers.encodings import examine, tell_encoding
from llm_studio.data.sources.readers.errors import empty, explained
from llm_studio.data.sources.readers.folder import (
    files_in,
    members,
    nothing_to_read,
    on_disk,
    read_several,
    tell_the_rest,
)
from llm_studio.data.sources.readers.items import DiskItem, Item, Position
from llm_studio.data.sources.readers.kinds import SUFFIXES, RecordKind, kind_of, record_kind
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.records import Choice
from llm_studio.errors import SourceError
from llm_studio.i18n import _
from llm_studio.jobs import Job

_PEEKED = 50
"""Files of records that are looked into to tell whether a folder is one of conversations."""


def read_path(path: Path, options: ReadOptions, notice: Callable[[str], None], job: Job) -> Iterator[Chunk]:
    """The documents of a file, an archive, or all files in a folder and its subfolders: see Reading."""
    return Reading(path, options, notice, job).pieces()


class Reading:
    """The reading of a file, an archive, or all files in a folder and its subfolders, sorted; hidden ones are skipped.

    `notice` gets a sentence for each file whose encoding was guessed, for each that was left out, and for each column
    that was chosen by itself.
    """

    def __init__(self, path: Path, options: ReadOptions, notice: Callable[[str], None], job: Job) -> None:
        self._path = path
        self._at = Position()
        self._context = Context(options, notice, job)

    @property
    def bytes_read(self) -> int:
        """How many bytes of the files on the disk have been gone through."""
        return self._at.now()

    @property
    def conversations(self) -> bool:
        """Whether the documents read so far are conversations."""
        return bool(self._context.conversations)

    @property
    def refused(self) -> list[tuple[str, SourceError]]:
        """The files left out so far, with the reasons."""
        return self._context.refused

    def pieces(self) -> Generator[Chunk]:
        """The documents, once. Raises SourceError where the file, or all files of the folder, can't be read;
        Cancelled when the job is to stop."""
        name = str(self._path)
        try:
            with explained(name):
                if not self._path.exists():
                    raise SourceError(_("{path} does not exist.").format(path=name),
                                      _("Check the name, or choose it again."))  # fmt: skip
                folder = self._path.is_dir()
                item = None if folder else DiskItem(self._path, self._at)
            if item is not None:
                yield from pieces_of(item, self._context)
                self._at.passed(item.size)
            else:
                yield from self._folder()
            tell_the_rest(self._context)
        finally:
            self._context.workers.end()

    def _folder(self) -> Iterator[Chunk]:
        paths = files_in(self._path, self._context.job)

        def items() -> Iterator[Item]:
            return on_disk(paths, self._at, lambda name, error: self._context.refused.append((name, error)))

        decide(list(on_disk(paths[:10_000], Position(), silent)), self._context)
        yield from read_several(str(self._path), len(paths), items(), self._context, checked_pieces)


def unwrapped(item: Item) -> Item:
    """The file in a .gz, in several if need be; any other as it is."""
    while item.suffix == ".gz":
        item = in_gzip(item)
    return item


def checked_pieces(item: Item, context: Context) -> Iterator[Chunk]:
    """The documents of a file among others: of one in which records are wrong nothing is taken."""
    with explained(item.name):
        inner = unwrapped(item)
    kind = record_kind(inner.suffix)
    if kind is not None and kind.read_twice:
        unheard = replace(context, notice=silent, reported_fields=set(), refused=[])
        for _piece in pieces_of(inner, unheard):
            pass
    yield from pieces_of(inner, context)


def pieces_of(item: Item, context: Context) -> Iterator[Chunk]:
    """The documents of one file, without those that are only white space. Raises SourceError, Cancelled."""
    replaced, found, inside = 0, False, False
    context.encoding = None
    with explained(item.name):
        inner = unwrapped(item)
        check = context.job.check
        for piece in in_chunks(_documents(inner, context)):
            check()
            text, ends = piece.text, piece.ends
            if context.encoding is not None and not context.encoding.exact:
                replaced += text.count("\ufffd")
            if inside or not ends or (text and not text.isspace()):
                found = True
                yield piece
            inside = not ends
    if not found:
        raise empty(item.name)
    if context.encoding is not None:
        tell_encoding(inner, context.encoding, replaced, context)


def _documents(item: Item, context: Context) -> Iterator[Chunk]:
    if item.suffix == ".zip":
        yield from _zip(item, context)
        return
    kind = kind_of(item.suffix)
    if kind is None:
        examine(item, context)
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


def _agree(item: Item, context: Context, conversations: bool) -> None:
    """Raise SourceError where a file holds conversations and the others of its source don't, or the other way."""
    if context.conversations is None:
        context.conversations = conversations
    elif context.conversations != conversations:
        what = _("{path} holds conversations, the others don’t.") if conversations else _(
            "{path} holds no conversations, the others do.")  # fmt: skip
        raise SourceError(what.format(path=item.name), _("Add it on its own, as another source."))


def _zip(item: Item, context: Context) -> Iterator[Chunk]:
    with opened_zip(item, context) as (archive, budget):
        inside = members(item, archive, budget)
        if not inside:
            raise nothing_to_read(item.name)
        decide(inside, context)
        yield from read_several(item.name, len(inside), iter(inside), context, checked_pieces)
    context.encoding = None  # each file has reported its own


def choice_of(item: Item, context: Context) -> Choice | None:
    """Where the documents in a file of records are; None for other kinds. Raises SourceError, Cancelled."""
    with explained(item.name):
        inner = unwrapped(item)
        kind = record_kind(inner.suffix)
        return kind.choose(inner, context) if kind is not None else None


def decide(items: Sequence[Item], context: Context) -> None:
    """Find out whether a source of several files is one of conversations: by the bytes of each kind."""
    if context.conversations is not None:
        return
    quick = replace(context, quick=True, notice=silent, reported_fields=set())
    talks = others = 0
    like_records = [item for item in items if _may_hold_records(item)]
    for item in islice(like_records, _PEEKED):
        context.job.check()
        try:
            choice = choice_of(item, quick)
        except SourceError:
            continue
        if choice is not None and choice.conversations:
            talks += item.size
        else:
            others += item.size
    if talks:
        others += sum(item.size for item in items if item not in like_records)
    context.conversations = talks > others if talks else None if not items else False


def _may_hold_records(item: Item) -> bool:
    """Whether a file, or the file in a .gz, is one of records, by its name."""
    suffix = Path(item.file[:-3]).suffix.lower() if item.suffix == ".gz" else item.suffix
    return record_kind(suffix) is not None

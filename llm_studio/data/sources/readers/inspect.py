"""A preview of a file, an archive or a folder before it is added: quick even if it is large."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, zip_longest
from pathlib import Path

from llm_studio.data.sources.account import FILES, KIND, LINK, NOT_REACHED, UNREADABLE, Account, AccountBuilder
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.encodings import choices_for
from llm_studio.data.sources.readers.errors import translate_read_errors
from llm_studio.data.sources.readers.folder import disk_files, link_out, list_files, open_archive
from llm_studio.data.sources.readers.items import DiskFile, InputFile, ReadProgress
from llm_studio.data.sources.readers.kinds import ARCHIVES, Kind, kind_of_file
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.packed import decompressed
from llm_studio.data.sources.readers.read import chunks_of, detect_conversations, field_choice_of
from llm_studio.data.sources.readers.records import Column, FieldChoice
from llm_studio.data.sources.readers.unread_kinds import UnreadKindError
from llm_studio.errors import DamagedFileError, SourceError
from llm_studio.i18n import _
from llm_studio.jobs import Job

FIRST_DOCUMENTS = 5
MAX_SHOWN = 1000
"""Characters shown of a document."""
_MAX_READ = 1_000_000
_TIME_LIMIT = 2.0
"""Seconds after which no further file of a folder is inspected."""


@dataclass(frozen=True)
class Inspection:
    """The preview of a path.

    `kind`: the suffix of a file without the dot, "folder", "zip" or "tar". `encoding`: the name of the encoding, "" for
    kinds without one; `encoding_guessed`: the file doesn't specify it, and it may be one of `encoding_choices`, codecs
    with their names, most likely first. `columns`: the columns of a file of records; `text_field`: the one with the
    text, None for `conversations`; `field_guessed`: the user didn't name it. `documents`: the first ones, at most
    MAX_SHOWN characters each; `problem`: why there are none. `chat`: it is a text that can be read as conversations or
    as plain text.

    For a folder or an archive: the number of readable `files` and their `bytes`; the number of files `tried`; those
    `refused`, with the reasons; technical `details` of damaged ones; `counts` by suffix. The columns are those of the
    first file that has any. The documents alternate between the kinds of files; `origins`: the file name of each.
    `encodings`: number of files tried by encoding; `encoding` is "" if there are several. `links`: links that lead out
    of the folder and aren't followed. `account`: what was left out so far; the other files count as read.
    """

    path: Path
    kind: str
    encoding: str = ""
    encoding_guessed: bool = False
    encoding_choices: tuple[tuple[str, str], ...] = ()
    columns: tuple[Column, ...] = ()
    text_field: str | None = None
    field_guessed: bool = True
    conversations: bool = False
    documents: tuple[str, ...] = ()
    problem: str = ""
    files: int = 1
    bytes: int = 0
    tried: int = 1
    refused: tuple[tuple[str, str], ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    details: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    encodings: tuple[tuple[str, int], ...] = ()
    links: tuple[str, ...] = ()
    account: Account = field(default_factory=Account)
    chat: bool = False


def inspect_path(path: Path, options: ReadOptions, job: Job) -> Inspection:
    """Inspect `path`. Raises SourceError if nothing can be read, Cancelled."""
    notes: list[str] = []
    name = str(path)
    context = Context(options, notes.append, job, quick=True, account=AccountBuilder(name))
    try:
        with translate_read_errors(name):
            if not path.exists():
                raise SourceError(_("{path} does not exist.").format(path=name),
                                  _("Check the name, or choose it again."))  # fmt: skip
            if path.is_dir():
                inspection = _inspect_folder(path, context)
            else:
                item = DiskFile(path)
                context.account.see(1)
                inner = decompressed(item)
                if inner.suffix in ARCHIVES:
                    with open_archive(inner, context) as inner_files:
                        inspection = _inspect_many(path, inner.suffix.lstrip("."), inner_files, context)
                else:
                    inspection = _inspect_file(item, context)
    finally:
        context.workers.end()
    return replace(inspection, path=path, notes=tuple(notes), account=_account(inspection, context.account))


def _account(inspection: Inspection, account: AccountBuilder) -> Account:
    """What was left out so far. Files that were not tried, or only read in part, count as read."""
    so_far = account.account()
    left = tuple(entry for entry in so_far.left_out if entry.reason != NOT_REACHED)
    return replace(so_far, files_read=so_far.files_seen - sum(e.count for e in left if e.unit == FILES), left_out=left)


def _inspect_folder(path: Path, context: Context) -> Inspection:
    listing = list_files(path, context.job, context.options.follow_links)
    links = tuple(map(str, listing.links))
    listing.count(context.account)
    for link in listing.links:
        context.account.leave_out(FILES, LINK, str(link))
    if not listing.files:
        return Inspection(path, "folder", problem=link_out(listing.links[0]).what, files=0, tried=0, links=links)
    refused: list[tuple[str, SourceError]] = []

    def refuse(name: str, error: SourceError) -> None:
        refused.append((name, error))
        context.account.leave_out(FILES, UNREADABLE, name, error.what)

    items = list(disk_files(listing.files, ReadProgress(), refuse))
    return replace(_inspect_many(path, "folder", items, context, refused), links=links)


def _inspect_file(item: InputFile, context: Context) -> Inspection:
    """Inspect a single file. Raises SourceError if it can't be read."""
    inner = decompressed(item)
    choice = field_choice_of(inner, context)
    documents: tuple[str, ...] = ()
    problem = ""
    try:
        documents = tuple(_first_documents(inner, context, FIRST_DOCUMENTS))
    except SourceError as error:
        if choice is None or not choice.columns:
            raise
        problem = str(error)
    encoding = context.encoding
    return _with_choice(Inspection(
        Path(item.name), inner.suffix.lstrip(".") or "txt", encoding.name if encoding else "",
        encoding.guessed if encoding else False, choices_for(encoding), documents=documents, problem=problem,
        bytes=item.size, counts=((inner.suffix, 1),), conversations=bool(context.conversations),
        chat=can_be_chat(inner),
    ), choice)  # fmt: skip


def can_be_chat(item: InputFile) -> bool:
    """Whether a file is a chat that can be read as conversations."""
    kind = kind_of_file(item)
    if not isinstance(kind, Kind) or kind.chat_style is None:
        return False
    style = kind.chat_style(item)
    return style is not None and len(style.names) <= 2


def _with_choice(inspection: Inspection, choice: FieldChoice | None) -> Inspection:
    if choice is None:
        return inspection
    return replace(inspection, columns=choice.columns, text_field=choice.field, field_guessed=choice.guessed,
                   conversations=choice.conversations)  # fmt: skip


def _inspect_many(
    path: Path, kind: str, items: Sequence[InputFile], context: Context,
    refused_before: Sequence[tuple[str, SourceError]] = (),
) -> Inspection:  # fmt: skip
    """Inspect as many files of a folder or an archive as the time limit allows.

    `refused_before`: other files that can't be read, with the errors.
    """
    start = time.monotonic()
    detect_conversations(items, context)
    previews: list[Inspection] = []
    refused = list(refused_before)
    unread: list[tuple[str, SourceError]] = []
    tried = 0
    for item in _each_kind_first(items):
        context.job.check()
        if tried and time.monotonic() - start > _TIME_LIMIT:
            break
        tried += 1
        archives = context.account.archives
        try:
            previews.append(_inspect_one_of_many(item, context))
        except UnreadKindError as error:
            unread.append((item.name, error))
            context.account.leave_out(FILES, KIND, item.name, error.detail)
        except SourceError as error:
            refused.append((item.name, error))
            if context.account.archives == archives:
                context.account.leave_out(FILES, UNREADABLE, item.name, error.what)
    if not previews and tried == len(items):
        raise SourceError(
            _("None of the files in {folder} can be read. The first: {reason}").format(
                folder=path, reason=[*refused, *unread][0][1]
            )
        )
    best = next((one for one in previews if one.columns), previews[0] if previews else Inspection(path, kind))
    shown = list(islice(_alternating(previews), FIRST_DOCUMENTS))
    encodings = Counter(one.encoding for one in previews if one.encoding).most_common()
    only = encodings[0][0] if len(encodings) == 1 else ""
    return replace(
        best, path=path, kind=kind, conversations=bool(context.conversations), encoding=only,
        encoding_guessed=bool(only) and any(one.encoding_guessed for one in previews), encodings=tuple(encodings),
        encoding_choices=next((one.encoding_choices for one in previews if one.encoding_choices), ()),
        documents=tuple(text for _name, text in shown), origins=tuple(name for name, _text in shown),
        problem="", files=len(items), bytes=sum(item.size for item in items), tried=tried,
        refused=tuple((name, _why_skipped(error)) for name, error in refused),
        details=tuple(f"{e.name}: {e.detail}" for _name, e in refused if isinstance(e, DamagedFileError)),
        counts=tuple(Counter(item.suffix for item in items).most_common()),
    )  # fmt: skip


def _why_skipped(error: SourceError) -> str:
    return error.skipped if isinstance(error, DamagedFileError) else str(error)


def _each_kind_first(items: Sequence[InputFile]) -> list[InputFile]:
    """The files, the first of each kind before all others, since the time may not suffice for all."""
    firsts = {item.suffix: item for item in reversed(items)}
    return sorted(items, key=lambda item: firsts[item.suffix] is not item)


def _alternating(previews: Sequence[Inspection]) -> Iterator[tuple[str, str]]:
    """Documents with the names of their files, alternating between the kinds of files."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for one in previews:
        kinds.setdefault(one.kind, []).extend((one.path.name, text) for text in one.documents)
    for of_each in zip_longest(*kinds.values()):
        yield from (document for document in of_each if document is not None)


def _inspect_one_of_many(item: InputFile, context: Context) -> Inspection:
    """Inspect one of several files."""
    context.encoding = None
    choice = field_choice_of(item, context)
    documents = tuple(_first_documents(item, context, FIRST_DOCUMENTS))
    encoding = context.encoding
    return _with_choice(Inspection(
        Path(item.name), item.suffix.lstrip("."), encoding.name if encoding else "",
        encoding.guessed if encoding else False, choices_for(encoding), documents=documents,
    ), choice)  # fmt: skip


def _first_documents(item: InputFile, context: Context, count: int) -> Iterator[str]:
    """The first `count` documents, shortened; fewer if they are long."""
    text, read = "", 0
    for chunk in islice(chunks_of(item, context), 10_000):
        read += len(chunk.text)
        if len(text) <= MAX_SHOWN:
            text += chunk.text[: MAX_SHOWN + 1]
        if chunk.ends or read > _MAX_READ:
            yield text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
            text = ""
            count -= 1
            if count <= 0 or read > _MAX_READ:
                return

"""A first look at a file, an archive or a folder before it is added: quick, whatever its size."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from llm_studio.data.sources.readers.archives import open_zip
from llm_studio.data.sources.readers.context import Context, ignore_notice
from llm_studio.data.sources.readers.errors import translate_read_errors
from llm_studio.data.sources.readers.folder import disk_files, list_files, members, no_readable_files
from llm_studio.data.sources.readers.items import DiskFile, InputFile, ReadProgress
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.read import chunks_of, decompressed, detect_conversations, field_choice_of
from llm_studio.data.sources.readers.records import Column, FieldChoice
from llm_studio.errors import SourceError
from llm_studio.i18n import _
from llm_studio.jobs import Job

FIRST_DOCUMENTS = 5
MAX_SHOWN = 1000
"""Characters shown of a document."""
_MOST_READ = 1_000_000
_PATIENCE = 2.0
"""Seconds after which no other file of a folder is looked into."""


@dataclass(frozen=True)
class Inspection:
    """What there is to be seen of a path before it is added.

    `kind` is a file's ending without the dot, "folder" or "zip". `encoding` is its name, "" where the kind has none
    of its own; `encoding_guessed`: nothing in the file tells it. `columns` are those of a file of records, `text_field`
    the one that would be taken, `field_guessed` when nobody named it; None in a source of `conversations`.
    `documents` are the first ones, at most SHORTENED characters each. `problem` says why there are none.

    Of a folder or an archive: `files` that can be read by their kind, `bytes` in all, how many were `tried`, those
    `refused` with their reasons, `counts` by kind. What is seen of columns is of the first file that has any.
    """

    path: Path
    kind: str
    encoding: str = ""
    encoding_guessed: bool = False
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
    notes: tuple[str, ...] = ()


def inspect_path(path: Path, options: ReadOptions, job: Job) -> Inspection:
    """What is at `path`. Raises SourceError where nothing can be read, Cancelled when the job is to stop."""
    notes: list[str] = []
    context = Context(options, notes.append, job, quick=True)
    name = str(path)
    try:
        with translate_read_errors(name):
            if not path.exists():
                raise SourceError(_("{path} does not exist.").format(path=name),
                                  _("Check the name, or choose it again."))  # fmt: skip
            if path.is_dir():
                found = list_files(path, job)
                items = list(disk_files(found, ReadProgress(), ignore_notice))
                seen = _look_at_several(path, "folder", items, context)
            else:
                item = DiskFile(path)
                inner = decompressed(item)
                seen = _look_into_zip(path, inner, context) if inner.suffix == ".zip" else _look_at_one(item, context)
    finally:
        context.workers.end()
    return replace(seen, path=path, notes=tuple(notes))


def _look_at_one(item: InputFile, context: Context) -> Inspection:
    """What is in one file. Raises SourceError where it can't be read."""
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
        encoding.guessed if encoding else False, documents=documents, problem=problem, bytes=item.size,
        counts=((inner.suffix, 1),),
    ), choice)  # fmt: skip


def _with_choice(seen: Inspection, choice: FieldChoice | None) -> Inspection:
    if choice is None:
        return seen
    return replace(seen, columns=choice.columns, text_field=choice.field, field_guessed=choice.guessed,
                   conversations=choice.conversations)  # fmt: skip


def _look_into_zip(path: Path, item: InputFile, context: Context) -> Inspection:
    with ExitStack() as stack:
        archive, budget = stack.enter_context(open_zip(item, context))
        inside = members(item, archive, budget)
        if not inside:
            raise no_readable_files(item.name)
        return _look_at_several(path, "zip", inside, context)


def _look_at_several(path: Path, kind: str, items: Sequence[InputFile], context: Context) -> Inspection:
    """What is in the files of a folder or an archive, as many as can be looked into in a moment."""
    began = time.monotonic()
    detect_conversations(items, context)
    documents: list[str] = []
    refused: list[tuple[str, str]] = []
    best: Inspection | None = None
    tried = 0
    for item in items:
        context.job.check()
        if tried and time.monotonic() - began > _PATIENCE:
            break
        tried += 1
        try:
            seen = _look_inside(item, context, FIRST_DOCUMENTS - len(documents))
        except SourceError as error:
            refused.append((item.name, str(error)))
            continue
        documents += seen.documents
        if best is None or (seen.columns and not best.columns):
            best = seen
    if best is None and tried == len(items):
        raise SourceError(
            _("None of the files in {folder} can be read. The first: {reason}").format(
                folder=path, reason=refused[0][1]
            )
        )
    return replace(
        best or Inspection(path, kind), path=path, kind=kind, conversations=bool(context.conversations),
        documents=tuple(documents), problem="", files=len(items), bytes=sum(item.size for item in items), tried=tried,
        refused=tuple(refused), counts=tuple(Counter(item.suffix for item in items).most_common()),
    )  # fmt: skip


def _look_inside(item: InputFile, context: Context, wanted: int) -> Inspection:
    """What is in one of several files; its first `wanted` documents, or whether there are any."""
    context.encoding = None
    choice = field_choice_of(item, context)
    documents = tuple(_first_documents(item, context, max(1, wanted)))
    encoding = context.encoding
    return _with_choice(Inspection(
        Path(item.name), item.suffix.lstrip("."), encoding.name if encoding else "",
        encoding.guessed if encoding else False, documents=documents[: max(0, wanted)],
    ), choice)  # fmt: skip


def _first_documents(item: InputFile, context: Context, count: int) -> Iterator[str]:
    """The first documents, shortened; fewer where they are long."""
    text, read = "", 0
    for piece in islice(chunks_of(item, context), 10_000):
        read += len(piece.text)
        if len(text) <= MAX_SHOWN:
            text += piece.text[: MAX_SHOWN + 1]
        if piece.ends or read > _MOST_READ:
            yield text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
            text = ""
            count -= 1
            if count <= 0 or read > _MOST_READ:
                return

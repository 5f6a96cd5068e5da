"""Sources on disk: `data/raw/<name>.parquet` holds the texts, `<name>.meta.json` the manifest.

Downloads from the hub are written in parts: their `<name>.parquet` is a folder of Parquet files, see `sharded.py`.

A document is stored as chunks cut at safe positions, so that a document of any length is processed in bounded memory.
No file stays open or memory-mapped after its chunks have been read.
"""

import contextlib
import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from llm_studio import records
from llm_studio.data.chunks import CONTROLS, Chunk, rechunk
from llm_studio.data.sources.account import Account
from llm_studio.data.sources.conversations import USER
from llm_studio.data.sources.expansion import ExpansionError
from llm_studio.data.sources.manifest import (
    MANIFEST_VERSION,
    Source,
    SourcePart,
    UnusableSource,
    manifest_path,
    parquet_path,
    part_files,
    read_manifest,
    unusable,
)
from llm_studio.data.sources.rows import MAX_ROWS, damaged, rows_of_file
from llm_studio.errors import (
    DamagedFileError,
    NewerRecordError,
    NewerSourceError,
    RecordError,
    SourceError,
    StorageError,
)
from llm_studio.events import Progress
from llm_studio.files import (
    atomic_write,
    open_regular,
    remove_folder,
    retry_while_locked,
    translate_os_errors,
    write_json,
)
from llm_studio.i18n import _
from llm_studio.jobs import Job

_GROUP_BYTES = 1 << 20
"""Bytes of text in a row group: Arrow needs about twelve times as much memory to write it."""
_MAX_NAME_BYTES = 80
_MARK = b"PAR1"


# --- Writing ----------------------------------------------------------------------------------------------------


class SourceTotals:
    """Counts and hashes texts while they are written or read."""

    def __init__(self) -> None:
        self.documents = self.characters = self.bytes = 0
        self.blank = True
        self._hash = hashlib.sha256()

    def add(self, text: str, encoded: bytes, ends: bool) -> None:
        self.documents += ends
        self.characters += len(text)
        self.bytes += len(encoded)
        self.blank = self.blank and (not text or text.isspace())
        self._hash.update(encoded)
        if ends:
            self._hash.update(b"\xff")  # never a byte of UTF-8: distinguishes "ab", "c" from "a", "bc"

    @property
    def sha256(self) -> str:
        """The SHA-256 of the documents."""
        return self._hash.hexdigest()

    def to_source(self, name: str, origin: str, notes: Iterable[str], options: Mapping[str, Any] | None) -> Source:
        """The manifest of these texts."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Source(name, origin, self.documents, self.characters, self.bytes, self.sha256, now,
                      tuple(notes), dict(options or {}))  # fmt: skip


def write_source(
    folder: Path,
    name: str,
    origin: str,
    chunks: Iterable[Chunk],
    job: Job,
    notes: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], Progress] | None = None,
    conversations: bool | Callable[[], bool] = False,
    account: Callable[[], Account | None] = lambda: None,
) -> Source:
    """Write the source `name` atomically and return its manifest. An existing source of that name is replaced.

    `notes` is read after all chunks: it may be a list that their reader appends to. For the same reason,
    `conversations` may be a function and `account` is one. `progress` turns the numbers of documents and bytes written
    so far into an event. Raises SourceError if there is no text, Cancelled if the job should stop.
    """
    totals = SourceTotals()
    with atomic_write(parquet_path(folder, name)) as partial:
        write_rows(partial, chunks, totals, job, progress or _progress)
        if totals.blank:
            raise SourceError(_("There is no text in {origin}.").format(origin=origin), _("Choose another one."))
        source = replace(totals.to_source(name, origin, notes, options),
                         conversations=conversations() if callable(conversations) else conversations,
                         account=account())  # fmt: skip
        _write_manifest(folder, source, partial.stat().st_size)
    return source


def write_rows(
    path: Path, chunks: Iterable[Chunk], totals: SourceTotals, job: Job, progress: Callable[[int, int], Progress]
) -> None:
    """Write the chunks to a Parquet file at `path` and add them to `totals`. Raises Cancelled."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("text", pa.string()), ("ends", pa.bool_())])
    # a Python file object, so that a full disk raises an OSError with its errno
    with path.open("wb") as sink, pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=False) as writer:
        for texts, ends in _groups(rechunk(chunks), totals, job):
            writer.write_table(pa.table([pa.array(texts, pa.string()), pa.array(ends)], schema=schema))
            job.report(progress(totals.documents, totals.bytes))


def _progress(documents: int, _bytes: int) -> Progress:
    return Progress(_("Writing the texts"), documents, None, _("documents"))


def _groups(chunks: Iterable[Chunk], totals: SourceTotals, job: Job) -> Iterator[tuple[list[bytes], list[bool]]]:
    """Yield the chunks as columns (texts, ends), about a megabyte at a time."""
    texts: list[bytes] = []
    ends: list[bool] = []
    size = 0
    for chunk in chunks:
        job.check()
        text = chunk.text
        try:
            encoded = text.encode()
        except UnicodeEncodeError:  # a lone surrogate, which JSON allows
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            encoded = text.encode()
        totals.add(text, encoded, chunk.ends)
        texts.append(encoded)
        ends.append(chunk.ends)
        size += len(encoded)
        if size >= _GROUP_BYTES or len(texts) >= MAX_ROWS:
            yield texts, ends
            texts, ends, size = [], [], 0
    if texts:
        yield texts, ends


def _write_manifest(folder: Path, source: Source, file_bytes: int) -> None:
    write_json(manifest_path(folder, source.name), {"version": MANIFEST_VERSION, **asdict(source), "file": file_bytes})


# --- Listing ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SourceList:
    """The sources in a folder, both lists sorted by name: `unusable` are those that can't be read."""

    usable: list[Source]
    unusable: list[UnusableSource]

    def all(self) -> list[Source]:
        """All sources, sorted by name."""
        return sorted([*self.usable, *self.unusable], key=lambda source: source.name)


def list_sources(folder: Path) -> list[Source]:
    """The sources in `folder` that can be read, sorted by name: see `scan_sources`."""
    return scan_sources(folder).usable


def scan_sources(folder: Path) -> SourceList:
    """All sources in `folder`; one that can't be read doesn't hide the others.

    A Parquet file without a manifest, or with the manifest of another file, was put there by the user: it is read once
    to create its manifest.
    """
    found = SourceList([], [])
    for path in sorted(folder.glob("*.parquet"), key=lambda path: path.stem) if folder.is_dir() else ():
        described = manifest_path(folder, path.stem)
        if path.name.startswith(".") or not (path.is_file() or described.exists()):
            continue
        try:
            found.usable.append(_read_manifest(path) or _make_manifest(path))
        except NewerSourceError as error:
            found.unusable.append(unusable(path.stem, _known(path), error, damaged=False))
        except SourceError as error:
            is_damaged = isinstance(error, (DamagedFileError, ExpansionError))
            found.unusable.append(unusable(path.stem, _known(path), error, damaged=is_damaged))
    return found


def _known(path: Path) -> Source | None:
    """The manifest of the Parquet file at `path`, of any version and even if it describes another file; None if
    unreadable."""
    with contextlib.suppress(RecordError):
        found = read_manifest(path.parent, path.stem, newest=None)
        return found[0] if found else None
    return None


def _read_manifest(path: Path) -> Source | None:
    """The source at `path` as described by its manifest; None if there is none or it describes another file.

    The damaged manifest of a single file is created again from its texts. Raises SourceError, also if that fails.
    """
    try:
        found = read_manifest(path.parent, path.stem)
    except NewerRecordError as error:
        raise NewerSourceError(
            _("The source “{name}” was made by a newer LLM Studio.").format(name=path.stem), error.to_do
        ) from error
    except RecordError as error:
        if path.is_dir():
            raise damaged(path.stem, error.what) from error
        return _make_manifest(path, error)
    return found[0] if found and found[1].file == _file_bytes(path, found[1].parts) else None


def _file_bytes(path: Path, parts: Sequence[SourcePart]) -> int:
    """Size in bytes of the Parquet file, or of all files in the manifest; -1 if one is missing or not Parquet."""
    with contextlib.suppress(OSError, ValueError):
        listed = [path] if path.is_file() else [part for part, _documents in part_files(path, parts)]
        return sum(map(_parquet_bytes, listed))
    return -1


def _parquet_bytes(path: Path) -> int:
    """Size of a Parquet file in bytes. Raises ValueError if it doesn't begin and end with Parquet's magic number: after
    a power failure it may contain zeros."""
    with open_regular(path) as stream:
        head, size = stream.read(len(_MARK)), stream.seek(0, os.SEEK_END)
        stream.seek(-min(size, len(_MARK)), os.SEEK_END)
        if not head == stream.read() == _MARK:
            raise ValueError("not Parquet")
        return size


def _make_manifest(path: Path, problem: RecordError | None = None) -> Source:
    """Write and return the manifest of a Parquet file if it is missing, damaged or that of another file.

    `problem`: why the manifest is damaged, if it is; the notes of the source then mention it.
    """
    if path.is_dir():
        raise damaged(path.stem, f"{path}: its files don't match the list in its manifest")
    totals, starts = SourceTotals(), True
    chats = True
    for chunk in rechunk(rows_of_file(path, path.stem)):
        chats = chats and (not starts or chunk.text.startswith(USER))
        totals.add(chunk.text, chunk.text.encode(), chunk.ends)
        starts = chunk.ends
    source, described = totals.to_source(path.stem, path.name, (), None), manifest_path(path.parent, path.stem)
    if problem:
        note = _("The description of this source, {file}, was damaged. It was written again from the texts, without "
                 "their origin.").format(file=described.name)  # fmt: skip
        source = replace(source, notes=(note,), conversations=chats and totals.documents > 0)
    with contextlib.suppress(StorageError, OSError):  # in a read-only project this is repeated each time
        if problem:
            records.keep_aside(described)
        _write_manifest(path.parent, source, path.stat().st_size)
    return source


# --- Reading ----------------------------------------------------------------------------------------------------


def read_chunks(folder: Path, source: Source) -> Iterator[Chunk]:
    """Yield the chunks of all documents of `source`, in order. Raises SourceError if the file can't be read."""
    return rechunk(_rows(folder, source))  # a file from elsewhere can hold rows of any length


def read_from(folder: Path, source: Source, document: int) -> Iterator[Chunk]:
    """Yield the chunks of `source` from document number `document` on, counted from 0, skipping earlier row groups."""
    return rechunk(_rows(folder, source, document))


def read_verified(folder: Path, source: Source) -> Iterator[Chunk]:
    """Like `read_chunks`, but raises SourceError at the end of a file whose texts aren't those that were added."""
    for file, sha256 in _verifiable_files(folder, source):
        totals = SourceTotals()
        for chunk in rechunk(rows_of_file(file, source.name, 0, _declared(source))):
            totals.add(chunk.text, chunk.text.encode(), chunk.ends)
            yield chunk
        if totals.sha256 != sha256:
            raise damaged(source.name, f"{file}: SHA-256 of the texts")


def _verifiable_files(folder: Path, source: Source) -> list[tuple[Path, str]]:
    path = parquet_path(folder, source.name)
    if not path.is_dir():
        return [(path, source.sha256)]
    found = read_manifest(folder, source.name)
    parts = found[1].parts if found else []
    return [(file, part.sha256) for (file, _n), part in zip(part_files(path, parts), parts, strict=True)]


def _rows(folder: Path, source: Source, document: int = 0) -> Iterator[Chunk]:
    path = parquet_path(folder, source.name)
    if not path.is_dir():
        yield from rows_of_file(path, source.name, document, _declared(source))
        return
    found = read_manifest(folder, source.name)
    for part, documents in part_files(path, found[1].parts) if found else ():
        if document < documents:
            yield from rows_of_file(part, source.name, document, _declared(source))
        document = max(0, document - documents)


def _declared(source: Source) -> int:
    return expanded_bytes(source.bytes, source.documents)


def expanded_bytes(size: int, documents: int) -> int:
    """Bytes that texts of `size` bytes may expand to: repetitive ones may compress far better than usual."""
    return 2 * size + 64 * documents


# --- Names ------------------------------------------------------------------------------------------------------

_FORBIDDEN = str.maketrans(dict.fromkeys('<>:"/\\|?*' + CONTROLS + "\x7f", " "))
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³")}


def unused_name(folder: Path, suggestion: str) -> str:
    """A source name based on `suggestion` that is a valid file name on every system and unused in `folder`."""
    valid = unicodedata.normalize("NFC", suggestion.encode("utf-8", "ignore").decode())
    valid = " ".join(valid.translate(_FORBIDDEN).split()).encode()[:_MAX_NAME_BYTES].decode("utf-8", "ignore")
    valid = valid.strip(" .") or _("texts")
    if valid.split(".")[0].strip().lower() in _RESERVED:
        valid = f"_{valid}"
    used = {path.stem.lower() for path in folder.glob("*.parquet")} if folder.is_dir() else set[str]()
    names = (valid if n == 1 else f"{valid}-{n}" for n in count(1))
    return next(name for name in names if name.lower() not in used)


def is_sharded(folder: Path, name: str) -> bool:
    """Whether the source `name` is a folder of Parquet files."""
    return parquet_path(folder, name).is_dir()


def _find(folder: Path, name: str) -> Path:
    """The path of the source `name`. Raises SourceError if there is none."""
    names = sorted(path.stem for path in folder.glob("*.parquet"))
    if name not in names:
        raise SourceError(_("There is no source “{name}” in {folder}.").format(name=name, folder=folder),
                          _("The sources are: {names}.").format(names=", ".join(names) or _("none")))  # fmt: skip
    return parquet_path(folder, name)


def remove_source(folder: Path, name: str) -> None:
    """Delete the source `name`. Raises SourceError if there is none."""
    path = _find(folder, name)
    with translate_os_errors(path):
        if path.is_dir():
            remove_folder(path)
        else:
            retry_while_locked(path.unlink)
        retry_while_locked(lambda: manifest_path(folder, name).unlink(missing_ok=True))


def move_source(folder: Path, name: str, target: Path) -> None:
    """Move the source `name` to the folder `target` on the same disk. Raises SourceError if there is none."""
    path = _find(folder, name)
    with translate_os_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        if manifest_path(folder, name).exists():
            retry_while_locked(lambda: manifest_path(folder, name).replace(manifest_path(target, name)))
        retry_while_locked(lambda: path.replace(parquet_path(target, name)))

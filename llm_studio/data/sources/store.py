"""Sources on the disk: `data/raw/<name>.parquet` holds the texts, `<name>.meta.json` the manifest.

Downloads from the hub are written in steps: there `<name>.parquet` is a folder of Parquet files, see `sharded.py`.

A document is stored as chunks cut at safe positions, so that a document of any length is processed in bounded memory.
No file stays open or mapped once its chunks are read.
"""

import contextlib
import hashlib
import unicodedata
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_studio import records
from llm_studio.data.chunks import CONTROLS, Chunk, rechunk
from llm_studio.data.sources.manifest import (
    MANIFEST_VERSION,
    Source,
    SourcePart,
    manifest_path,
    parquet_path,
    part_files,
    read_manifest,
)
from llm_studio.errors import NewerRecordError, RecordError, SourceError, StorageError, reason_of
from llm_studio.events import Progress
from llm_studio.files import atomic_write, remove_folder, retry_while_locked, translate_os_errors, write_json
from llm_studio.i18n import _
from llm_studio.jobs import Job

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_GROUP_BYTES = 1 << 20
_GROUP_ROWS = 1 << 16
"""Size of a row group: Arrow needs a dozen times as much memory to write it."""
_MAX_NAME_BYTES = 80


# --- Writing ----------------------------------------------------------------------------------------------------


class SourceTotals:
    """Counts and hashes the texts that are written or read."""

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
            self._hash.update(b"\xff")  # never a byte of UTF-8: "ab", "c" differs from "a", "bc"

    def to_source(self, name: str, origin: str, notes: Iterable[str], options: Mapping[str, Any] | None) -> Source:
        """The manifest of these texts."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Source(name, origin, self.documents, self.characters, self.bytes, self._hash.hexdigest(), now,
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
) -> Source:
    """Write the source `name` atomically and return its manifest. A source with that name is replaced.

    `notes` is read after all chunks: it may be a list that their reader appends to, and `conversations` may be a
    function for the same reason. `progress` turns the documents and bytes written so far into an event. Raises
    SourceError where there is no text, Cancelled when the job should stop.
    """
    totals = SourceTotals()
    with atomic_write(parquet_path(folder, name)) as partial:
        write_rows(partial, chunks, totals, job, progress or _progress)
        if totals.blank:
            raise SourceError(_("There is no text in {origin}.").format(origin=origin), _("Choose another one."))
        source = replace(totals.to_source(name, origin, notes, options),
                         conversations=conversations() if callable(conversations) else conversations)  # fmt: skip
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
    """Yield the chunks as columns, about a megabyte at a time."""
    texts: list[bytes] = []
    ends: list[bool] = []
    size = 0
    for chunk in chunks:
        job.check()
        text = chunk.text
        try:
            encoded = text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON allows
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            encoded = text.encode()
        totals.add(text, encoded, chunk.ends)
        texts.append(encoded)
        ends.append(chunk.ends)
        size += len(encoded)
        if size >= _GROUP_BYTES or len(texts) >= _GROUP_ROWS:
            yield texts, ends
            texts, ends, size = [], [], 0
    if texts:
        yield texts, ends


def _write_manifest(folder: Path, source: Source, file_bytes: int) -> None:
    write_json(manifest_path(folder, source.name), {"version": MANIFEST_VERSION, **asdict(source), "file": file_bytes})


# --- Reading ----------------------------------------------------------------------------------------------------


def list_sources(folder: Path) -> list[Source]:
    """The sources in `folder`, sorted by name.

    A Parquet file without a manifest, or with the manifest of another file, was put there by the user: it is read once
    to write its manifest. Raises SourceError where a file can't be read.
    """
    paths = sorted(folder.glob("*.parquet"), key=lambda path: path.stem) if folder.is_dir() else []
    paths = [path for path in paths if not path.name.startswith(".")]
    paths = [path for path in paths if path.is_file() or manifest_path(folder, path.stem).exists()]
    return [_read_manifest(path) or _make_manifest(path) for path in paths]


def _read_manifest(path: Path) -> Source | None:
    """The manifest of the Parquet file at `path`, None without one or if it describes another file.

    Raises SourceError.
    """
    try:
        found = read_manifest(path.parent, path.stem)
    except NewerRecordError as error:
        raise SourceError(
            _("The texts {path} were made by a newer LLM Studio.").format(path=path), error.to_do
        ) from error
    except RecordError as error:
        if path.is_dir():
            raise SourceError(error.what, _("Remove this source and download it again.")) from error
        return _make_manifest(path, error)
    return found[0] if found and found[1].file == _file_bytes(path, found[1].parts) else None


def _file_bytes(path: Path, parts: Sequence[SourcePart]) -> int:
    """Bytes of the Parquet file, or of all files that the manifest lists."""
    if path.is_file():
        return path.stat().st_size
    with contextlib.suppress(OSError):
        return sum(part.stat().st_size for part, _documents in part_files(path, parts))
    return -1


def _make_manifest(path: Path, problem: RecordError | None = None) -> Source:
    """Write and return the manifest of a Parquet file that came without one, or with a damaged one (`problem`)."""
    if path.is_dir():
        raise SourceError(_("The texts in {path} don't match their manifest.").format(path=path),
                          _("Remove this source and download it again."))  # fmt: skip
    totals = SourceTotals()
    for chunk in _chunks_in(path):
        totals.add(chunk.text, chunk.text.encode(), chunk.ends)
    notes: list[str] = []
    if problem:
        notes = [problem.what, _("Where it came from, and whether it holds conversations, is no longer known.")]
    source = totals.to_source(path.stem, path.name, notes, None)
    with contextlib.suppress(StorageError, OSError):  # in a read-only project this is repeated each time
        if problem:
            records.keep_aside(manifest_path(path.parent, path.stem))
        _write_manifest(path.parent, source, path.stat().st_size)
    return source


def read_chunks(folder: Path, source: Source) -> Iterator[Chunk]:
    """The chunks of all documents of `source`, in order. Raises SourceError where the file can't be read."""
    return _chunks_in(parquet_path(folder, source.name))


def read_from(folder: Path, source: Source, document: int) -> Iterator[Chunk]:
    """The chunks of `source` from document number `document` on, counted from 0; earlier texts aren't read."""
    return rechunk(_rows(parquet_path(folder, source.name), document))


def _chunks_in(path: Path) -> Iterator[Chunk]:
    return rechunk(_rows(path))  # a file from elsewhere can hold rows of any length


def _rows(path: Path, document: int = 0) -> Iterator[Chunk]:
    if path.is_dir():
        found = read_manifest(path.parent, path.stem)
        for part, documents in part_files(path, found[1].parts) if found else ():
            if document < documents:
                yield from _rows_of_file(part, document)
            document = max(0, document - documents)
        return
    yield from _rows_of_file(path, document)


def _rows_of_file(path: Path, document: int) -> Iterator[Chunk]:
    import pyarrow.parquet as pq

    with _translate_parquet_errors(path), path.open("rb") as stream:
        file = pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20)
        names: list[str] = file.schema_arrow.names
        if "text" not in names:
            raise SourceError(
                _("{path} has no column “text”; its columns are: {names}.").format(path=path, names=", ".join(names)),
                _("Rename the column that holds the texts."),
            )
        first = _row_of(file, document) if document and "ends" in names else document
        for texts, ends in _columns(file, ["text", "ends"] if "ends" in names else ["text"], first):
            yield from map(Chunk, texts, ends)


def _row_of(file: "pq.ParquetFile", document: int) -> int:
    """The row where a document begins, from the column “ends” only, mostly from its statistics."""
    row = 0
    for group in range(file.num_row_groups):
        metadata = file.metadata.row_group(group)
        ends = next(c for n in range(metadata.num_columns) if (c := metadata.column(n)).path_in_schema == "ends")
        if ends.is_stats_set and ends.statistics.has_min_max and ends.statistics.min is True:
            last_rows: Sequence[int] = range(metadata.num_rows)
        else:
            flags: list[bool | None] = file.read_row_group(group, ["ends"], use_threads=False)["ends"].to_pylist()
            last_rows = [place for place, flag in enumerate(flags) if flag is not False]
        if document <= len(last_rows):
            return row + last_rows[document - 1] + 1
        document -= len(last_rows)
        row += metadata.num_rows
    return row


def _columns(file: "pq.ParquetFile", names: list[str], first: int) -> Iterator[tuple[list[str], list[bool]]]:
    """Yield the texts from row `first` on and whether each ends its document, about a megabyte at a time."""
    import pyarrow as pa

    for group in range(file.num_row_groups):
        metadata = file.metadata.row_group(group)
        if first >= metadata.num_rows:
            first -= metadata.num_rows
            continue
        rows = max(1, metadata.num_rows * _GROUP_BYTES // max(metadata.total_byte_size, _GROUP_BYTES))
        for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=names, use_threads=False):
            if first >= batch.num_rows:
                first -= batch.num_rows
                continue
            kept = batch.slice(first)
            first = 0
            texts: list[str | None] = kept.column("text").cast(pa.string()).to_pylist()
            ends: list[bool | None] = kept.column("ends").to_pylist() if len(names) > 1 else [True] * len(texts)
            yield [text or "" for text in texts], [end is not False for end in ends]


@contextlib.contextmanager
def _translate_parquet_errors(path: Path) -> Generator[None]:
    """Translate the errors of a Parquet file that can't be read into SourceError."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SourceError(
            _("{path} can't be read as a Parquet file: {reason}").format(path=path, reason=reason_of(error)),
            _("Remove it and add the texts again."),
        ) from error


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

"""The records of one shard, from any row on.

Parquet is read by pyarrow, one row group at a time: only the requested columns are downloaded, and no row groups before
the first row. `datasets` isn't used for Parquet because it resumes at a row by reading the file from its start. The
other kinds (JSON lines, CSV, text, compressed or not) can't be read from the middle anyway: they are read by
`datasets`, over our own connection.
"""

import bz2
import gzip
import io
import itertools
import lzma
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from llm_studio.data.sources.expansion import Budget, ParquetBudget
from llm_studio.data.sources.hub import libraries
from llm_studio.data.sources.hub.remote_file import DatasetRevision, RemoteFile, Shard, damaged
from llm_studio.data.sources.parquet_batches import MAX_ROWS, bounded_batches
from llm_studio.data.sources.parquet_footer import read_metadata
from llm_studio.data.sources.readers.packed import unxz
from llm_studio.jobs import Job

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_WHOLE_GROUP = 1 << 24
"""Row groups with at most this many bytes of columns are downloaded as a whole, larger ones page by page."""
_BATCH_LIMIT = 1 << 30
"""Maximum bytes of a batch: to find a smaller batch size, the beginning of a row group would be downloaded twice."""
_BUFFER = 1 << 18
_FEW = 1 << 20
_PROTOCOL = "llmstudio"
_tickets: dict[str, Callable[[], io.BufferedIOBase]] = {}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Row:
    """One record. `number` counts from 1 in its shard; `fraction`: the fraction of the shard read so far."""

    number: int
    fraction: float
    record: Mapping[str, Any]


def rows(
    place: DatasetRevision, shard: Shard, kind: str, options: Mapping[str, Any], job: Job, *,
    after: int = 0, columns: Sequence[str] | None = None, on_bytes: Callable[[int], None] = lambda _bytes: None,
    preview: bool = False,
) -> Iterator[Row]:  # fmt: skip
    """Yield the records of `shard` after row number `after`. `preview`: only the first few will be needed.

    Raises HubError, DamagedError, Cancelled.
    """
    import pyarrow as pa

    try:
        if kind == "parquet":
            with RemoteFile(place, shard, job, on_bytes, _FEW if preview else None) as file:
                yield from _parquet_rows(file, shard.path, after, columns, preview)
        else:
            yield from _other_rows(place, shard, kind, options, job, after, on_bytes)
    except (pa.ArrowException, UnicodeDecodeError, EOFError, lzma.LZMAError) as error:
        raise damaged(shard.path, place.dataset) from error
    except (OSError, ValueError) as error:  # many of Arrow's errors are subclasses of these
        raise damaged(shard.path, place.dataset) from error


# --- Parquet -------------------------------------------------------------------------------------------------------


def _parquet_rows(
    remote: RemoteFile, name: str, after: int, columns: Sequence[str] | None, few: bool
) -> Iterator[Row]:  # fmt: skip
    file = _open_parquet(remote, 0, [], None)
    metadata = file.metadata
    buffer = _BUFFER if few or _largest_group(metadata, columns) > _WHOLE_GROUP else 0
    names = list(columns) if columns is not None else file.schema_arrow.names
    total, number = max(1, metadata.num_rows), after
    for batch in bounded_batches(
        lambda dictionaries, _metadata: _open_parquet(remote, buffer, dictionaries, metadata), names,
        ParquetBudget(name, remote.size()), after, 32 if few else MAX_ROWS, _BATCH_LIMIT,
    ):  # fmt: skip
        for record in batch.to_pylist():
            number += 1
            yield Row(number, number / total, record)


def _open_parquet(remote: RemoteFile, buffer: int, dictionaries: list[str], metadata: Any) -> "pq.ParquetFile":
    import pyarrow.parquet as pq

    metadata = metadata or read_metadata(cast("BinaryIO", remote))
    return pq.ParquetFile(cast("Any", remote), metadata=metadata, read_dictionary=dictionaries or None,
                          pre_buffer=False, buffer_size=buffer, page_checksum_verification=True)  # fmt: skip


def _largest_group(metadata: Any, columns: Sequence[str] | None) -> int:
    """Bytes of these columns in the largest row group of the file."""
    largest = 0
    for group in (metadata.row_group(n) for n in range(metadata.num_row_groups)):
        stored = (group.column(n) for n in range(group.num_columns))
        selected = [column for column in stored if columns is None or column.path_in_schema.split(".")[0] in columns]
        largest = max(largest, sum(column.total_compressed_size for column in selected))
    return largest


# --- Everything else -----------------------------------------------------------------------------------------------


def _other_rows(
    place: DatasetRevision, shard: Shard, kind: str, options: Mapping[str, Any], job: Job, after: int,
    on_bytes: Callable[[int], None],
) -> Iterator[Row]:  # fmt: skip
    libraries.set_up_datasets()
    from datasets import load_dataset

    _register()
    remote: list[RemoteFile] = []

    def open_stream() -> io.BufferedIOBase:
        remote.append(RemoteFile(place, shard, job, on_bytes))
        plain = _decompressed(remote[-1], shard.path)
        return io.BufferedReader(_Counted(plain, Budget(shard.path, shard.size)), 1 << 18)

    ticket = str(next(_numbers))
    _tickets[ticket] = open_stream
    options = {"sample_by": "paragraph", **options} if kind == "text" else dict(options)
    name = shard.path.rpartition("/")[2]
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    try:
        dataset = load_dataset(
            kind, data_files={"train": [f"{_PROTOCOL}://{ticket}/{name}"]}, split="train", streaming=True,
            cache_dir=str(libraries.cache_folder()), **options,
        )  # fmt: skip
        for number, record in enumerate(cast("Iterator[dict[str, Any]]", iter(cast("Any", dataset))), 1):
            job.check()
            if number > after:
                yield Row(number, min(1.0, remote[-1].tell() / shard.size) if remote else 0.0, record)
    finally:
        del _tickets[ticket]
        for file in remote:
            file.close()


_COMPRESSED = (".gz", ".zst", ".bz2", ".xz")


def _decompressed(remote: RemoteFile, path: str) -> io.BufferedIOBase:
    import pyarrow as pa

    plain = io.BufferedReader(remote, 1 << 18)
    if path.endswith(".gz"):
        return cast("io.BufferedIOBase", gzip.GzipFile(fileobj=plain))
    if path.endswith(".bz2"):
        return cast("io.BufferedIOBase", bz2.BZ2File(plain))
    if path.endswith(".xz"):
        return cast("io.BufferedIOBase", unxz(plain))
    if path.endswith(".zst"):
        return cast("io.BufferedIOBase", pa.CompressedInputStream(cast("Any", plain), "zstd"))
    return plain


class _Counted(io.RawIOBase):
    """A stream that spends its bytes from a budget: a small compressed file can expand to any size."""

    def __init__(self, stream: io.BufferedIOBase, budget: Budget) -> None:
        self._stream, self._budget = stream, budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        self._budget.spend(len(content))
        buffer[: len(content)] = content
        return len(content)


def _register() -> None:
    """Let `datasets` open our shards: URLs llmstudio://TICKET/NAME are looked up in `_tickets`."""
    import fsspec
    from fsspec.spec import AbstractFileSystem

    class Shards(AbstractFileSystem):
        """File system of the shards that are being read."""

        protocol = _PROTOCOL
        cachable = False

        def info(self, path: str, **_more: Any) -> dict[str, Any]:
            return {"name": self._strip_protocol(path), "size": None, "type": "file"}

        def exists(self, path: str, **_more: Any) -> bool:
            return True

        def ls(self, path: str, detail: bool = True, **_more: Any) -> list[Any]:
            return [self.info(path) if detail else path]

        def glob(self, path: str, maxdepth: int | None = None, **more: Any) -> Any:
            dataset = self.info(path)
            return {dataset["name"]: dataset} if more.get("detail") else [dataset["name"]]

        def _open(self, path: str, *_args: Any, **_more: Any) -> Any:
            return _tickets[str(self._strip_protocol(path)).split("/")[0]]()

    fsspec.register_implementation(_PROTOCOL, Shards, clobber=True)

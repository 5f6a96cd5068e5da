"""Reading of the Parquet files of sources: chunks of text, from any document on."""

import contextlib
import errno
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.expansion import ParquetBudget
from llm_studio.data.sources.parquet_batches import bounded_batches, opener_of
from llm_studio.errors import DamagedFileError, SourceError, reason_of
from llm_studio.files import open_regular
from llm_studio.i18n import _

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MAX_ROWS = 1 << 16
"""Maximum number of rows in a row group."""


def rows_of_file(path: Path, name: str, document: int = 0, declared: int = 0) -> Iterator[Chunk]:
    """Yield the rows of a Parquet file of the source `name` from document number `document` on, counted from 0.

    `declared`: the size in bytes that it is known to expand to. Raises SourceError if the file can't be read or expands
    to far more than its size allows.
    """
    with _translate_parquet_errors(path, name), open_regular(path) as stream:
        opener = opener_of(stream)
        file = opener([], None)
        names: list[str] = file.schema_arrow.names
        if "text" not in names:
            raise SourceError(
                _("{path} has no column “text”; its columns are: {names}.").format(path=path, names=", ".join(names)),
                _("Rename the column that holds the texts."),
            )
        first = _row_of(file, document) if document and "ends" in names else document
        columns = ["text", "ends"] if "ends" in names else ["text"]
        budget = ParquetBudget(str(path), path.stat().st_size, declared=declared)
        for batch in bounded_batches(opener, columns, budget, first, MAX_ROWS):
            yield from map(Chunk, *_columns(batch))


def _row_of(file: "pq.ParquetFile", document: int) -> int:
    """The row at which a document begins. Reads only the column “ends”, and mostly only its statistics."""
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


def _columns(batch: Any) -> tuple[list[str], list[bool]]:
    """The texts of a batch, and whether each one ends its document."""
    import pyarrow as pa

    texts: list[str | None] = batch.column("text").cast(pa.string()).to_pylist()
    ends: list[bool | None] = batch.column("ends").to_pylist() if batch.num_columns > 1 else [True] * len(texts)
    return [text or "" for text in texts], [end is not False for end in ends]


def damaged(name: str, detail: str) -> DamagedFileError:
    """The error for a source `name` whose texts can't be read, or have changed since they were added."""
    return DamagedFileError(
        _("The source “{name}” is damaged: its texts can't be read.").format(name=name),
        replace_or_remove(),
        name,
        detail,
    )


def replace_or_remove() -> str:
    """What to do about a damaged source."""
    return _(
        "Replace or remove it on the Data tab, or with the options --replace and --remove of “llm-studio download”."
    )


@contextlib.contextmanager
def _translate_parquet_errors(path: Path, name: str) -> Generator[None]:
    """Translate errors in reading a Parquet file into SourceError."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OverflowError, IndexError) as error:
        raise damaged(name, f"{path}: {reason_of(error)}") from error
    except OSError as error:
        if error.errno in (None, errno.ENOENT, errno.EIO):  # Arrow's own errors have no errno
            raise damaged(name, f"{path}: {reason_of(error)}") from error
        raise SourceError(
            _("The source “{name}” can't be read now: {reason}.").format(name=name, reason=reason_of(error)),
            _("Check the disk and whether another program uses {path}.").format(path=path),
        ) from error

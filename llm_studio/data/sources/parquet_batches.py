"""Reading of Parquet files as record batches of bounded size.

A Parquet file of a few kilobytes can declare millions of nulls, or millions of copies of one dictionary entry.
Therefore the sizes in the metadata are compared with the size of the file before anything is read, and the values are
counted before they become Python objects. Batches are small even if values are large: the longest entry of a dictionary
is determined first, since its copies take memory but no space in the file.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from llm_studio.data.sources.expansion import Budget
from llm_studio.data.sources.parquet_footer import read_metadata

if TYPE_CHECKING:
    import pyarrow.parquet as pq

VALUE_BYTES = 16
"""Minimum number of bytes counted for a value, even an empty one: reading it takes half a microsecond."""
MAX_ROWS = 256
"""Default limit of the number of rows in a batch."""
_BATCH_BYTES = 1 << 20
_MAX_BATCH_BYTES = 1 << 26
_TEXT = "BYTE_ARRAY"
"""The physical type of text columns."""

Opener = Callable[[list[str], Any], "pq.ParquetFile"]
"""Opens a file. Arguments: the paths of columns to keep dictionary-encoded, and the metadata if already known."""


def opener_of(stream: BinaryIO) -> Opener:
    """Return an opener for the Parquet file in `stream`, of which only what is needed is read."""

    def open_file(dictionaries: list[str], metadata: Any) -> "pq.ParquetFile":
        import pyarrow.parquet as pq

        metadata = metadata or read_metadata(stream)
        return pq.ParquetFile(stream, metadata=metadata, read_dictionary=dictionaries or None, pre_buffer=False,
                              buffer_size=_BATCH_BYTES)  # fmt: skip

    return open_file


def bounded_batches(
    opener: Opener, names: Sequence[str], budget: Budget, first: int = 0, max_rows: int = MAX_ROWS,
    max_batch_bytes: int = _MAX_BATCH_BYTES,
) -> Iterator[Any]:  # fmt: skip
    """Yield the columns `names` from row `first` on as record batches of about a megabyte and at most `max_rows` rows.

    If dictionaries could make a batch larger than `max_batch_bytes`, the beginning of its row group is read twice.
    Raises ExpansionError if there is more than `budget` allows, and Arrow's errors.
    """
    reader = _Reader(opener, names, max_batch_bytes)
    reader.require_declared(budget)
    for group in range(reader.metadata.num_row_groups):
        rows = reader.metadata.row_group(group).num_rows
        if first >= rows:
            first -= rows
            continue
        for batch in reader.batches(group, max_rows):
            if first >= batch.num_rows:
                first -= batch.num_rows
                continue
            rest = batch.slice(first)
            first = 0
            budget.spend(sum(map(_expanded_size, rest.columns)))
            yield rest


class _Reader:
    """Reads the columns `names` of one file, row group by row group."""

    def __init__(self, opener: Opener, names: Sequence[str], max_batch_bytes: int) -> None:
        self._opener, self._names, self._max_bytes = opener, list(names), max_batch_bytes
        self._file = opener([], None)
        self.metadata = self._file.metadata
        schema = self.metadata.schema
        self._columns = [n for n in range(len(schema)) if _is_part_of(schema.column(n).path, names)]
        self._texts = {n: schema.column(n).path for n in self._columns if schema.column(n).physical_type == _TEXT}

    def require_declared(self, budget: Budget) -> None:
        """Raise ExpansionError if the metadata declares more for a column than `budget` allows."""
        budget.require(self.metadata.num_rows * VALUE_BYTES)
        values, size = dict.fromkeys(self._columns, 0), dict.fromkeys(self._columns, 0)
        for group in map(self.metadata.row_group, range(self.metadata.num_row_groups)):
            for n in self._columns:
                column = group.column(n)
                values[n] += column.num_values
                size[n] += column.total_uncompressed_size
        for n in self._columns:
            budget.require(max(values[n] * VALUE_BYTES, size[n]))

    def batches(self, group: int, max_rows: int) -> Iterator[Any]:
        """Yield the rows of one row group as record batches."""
        metadata = self.metadata.row_group(group)
        rows = min(max_rows, metadata.num_rows * _BATCH_BYTES // max(metadata.total_byte_size, _BATCH_BYTES))
        file = self._file
        nested = self._repeated(metadata, metadata.num_rows, nested=True)
        if nested:  # a single row can repeat an entry any number of times
            file = self._opener(nested, self.metadata)
        flat = self._repeated(metadata, rows, nested=False)
        if flat:
            rows = min(rows, self._max_bytes // max(1, self._longest_entry(group, flat)))
        yield from file.iter_batches(
            batch_size=max(1, rows), row_groups=[group], columns=self._names, use_threads=False
        )

    def _repeated(self, metadata: Any, rows: int, *, nested: bool) -> list[str]:
        """Paths of the text columns, either nested or not, whose dictionaries may expand too much in `rows` rows."""
        found: list[str] = []
        for n, path in self._texts.items():
            column = metadata.column(n)
            values = column.num_values if nested else rows
            large = values * column.total_uncompressed_size > self._max_bytes
            if ("." in path) is nested and column.has_dictionary_page and large:
                found.append(path)
        return found

    def _longest_entry(self, group: int, columns: list[str]) -> int:
        """Bytes of the longest entry in the dictionaries of these columns, which aren't nested."""
        file = self._opener(columns, self.metadata)
        batches = file.iter_batches(batch_size=1, row_groups=[group], columns=columns, use_threads=False)
        return max((_longest(column) for column in next(batches).columns), default=0)


def _is_part_of(path: str, names: Sequence[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in names)


def _longest(column: Any) -> int:
    """Bytes of the longest text in a column, or in its dictionary."""
    import pyarrow as pa
    from pyarrow.compute import call_function

    texts = column.dictionary if pa.types.is_dictionary(column.type) else column
    return call_function("max", [call_function("binary_length", [texts])]).as_py() or 0


def _expanded_size(array: Any) -> int:
    """Bytes of the values in an array, repeated values counted each time."""
    import pyarrow as pa
    from pyarrow.compute import call_function

    kind, own = array.type, VALUE_BYTES * len(array)
    if pa.types.is_dictionary(kind) and _is_text(kind.value_type):
        lengths = call_function("binary_length", [array.dictionary])
        return own + (call_function("sum", [lengths.take(array.indices)]).as_py() or 0)
    if pa.types.is_struct(kind):
        return own + sum(map(_expanded_size, array.flatten()))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return own + _expanded_size(array.flatten())
    return own + array.nbytes


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(check(kind) for check in checks)

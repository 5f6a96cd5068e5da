"""Parquet files: one column holds the texts, or the turns of conversations."""

import contextlib
import io
from collections.abc import Generator, Iterator
from typing import Any

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.expansion import ParquetBudget
from llm_studio.data.sources.parquet_batches import MAX_ROWS, bounded_batches, opener_of
from llm_studio.data.sources.readers import records
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.data.sources.readers.records import FieldChoice, Record
from llm_studio.i18n import _

_PREVIEW_ROWS = 16


def choose(item: InputFile, context: Context) -> FieldChoice:
    """Find the column that holds the text."""
    return records.choose_field(_rows(item, context, None), context.options.text_field)


def read(item: InputFile, context: Context, choice: FieldChoice) -> Iterator[Chunk]:
    """One document per row."""
    return records.documents(
        item, context, lambda _log: _rows(item, context, choice.field), choice, _("{path}, row {line}")
    )


def _rows(item: InputFile, context: Context, field: str | None) -> Iterator[Record]:
    """The rows, with the column that holds `field` or, if it is None, all columns that can contain text.

    Raises SourceError.
    """
    with _translate_errors(item), item.seekable(context.job) as stream:
        opener = opener_of(stream)
        schema = opener([], None).schema_arrow
        present = _readable(schema) if field is None else _column_of(field, schema.names)
        if not present and field is not None:
            yield Record(1, dict.fromkeys(schema.names))  # for the error message about the missing column
            return
        position = 1
        rows_at_once = _PREVIEW_ROWS if field is None and context.quick else MAX_ROWS
        budget = ParquetBudget(item.name, stream.seek(0, io.SEEK_END), item.budget)
        for batch in bounded_batches(opener, present, budget, max_rows=rows_at_once):
            context.job.check()
            columns = [_values(batch.column(name)) for name in present]
            if len(present) == 1:  # the usual case: the column with the text
                yield from (Record(n, {present[0]: value}) for n, value in enumerate(columns[0], position))
            else:
                rows = (dict(zip(present, values, strict=True)) for values in zip(*columns, strict=True))
                yield from (Record(n, row) for n, row in enumerate(rows, position))
            position += batch.num_rows


def _column_of(field: str, columns: list[str]) -> list[str]:
    """The column with the name of a field, or the one that the field is nested in."""
    return [field] if field in columns else [name for name in columns if field.startswith(f"{name}.")][:1]


def _readable(schema: Any) -> list[str]:
    """The columns to show: all except those with bytes, which are images and audio."""
    return [field.name for field in schema if not _holds_bytes(field.type)]


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return True
    return any(_holds_bytes(kind.field(n).type) for n in range(kind.num_fields))


def _values(column: Any) -> list[object]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        values = column.dictionary.to_pylist()  # converts each distinct value once
        return [None if index is None else values[index] for index in column.indices.to_pylist()]
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        column = column.cast(pa.string())  # bytes that the user chose as the text
    return column.to_pylist()


@contextlib.contextmanager
def _translate_errors(item: InputFile) -> Generator[None]:
    """Translate the errors of a damaged Parquet file into SourceError."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OverflowError, IndexError) as error:
        raise damaged(item.name, error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise damaged(item.name, error) from error

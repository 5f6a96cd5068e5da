"""Reading of a Parquet file's metadata without the statistics that crash Arrow if they are damaged.

If the sizes in a column's SizeStatistics don't fit its type, Arrow throws an exception that isn't caught anywhere, and
the process terminates. A flipped bit or a malicious file is enough. The statistics aren't needed here, so the fields
from the Bloom filter on are removed from each ColumnMetaData before Arrow parses it.

Format: https://github.com/apache/parquet-format (parquet.thrift), in Thrift's compact protocol.
"""

import io
import os
from typing import Any, BinaryIO

_MAGIC = b"PAR1"
_TAIL = 8
"""Number of bytes after the metadata: its length and the magic number."""
_READ = 1 << 16
"""Number of bytes at the end of a file that are read first."""
MOST_BYTES = 1 << 25
"""Maximum size of the metadata: that of 300,000 column chunks, which take ten seconds to process."""
_MAX_DEPTH = 32
_ROW_GROUPS, _COLUMNS, _COLUMN = 4, 1, 3
"""FileMetaData.row_groups, RowGroup.columns, ColumnChunk.meta_data."""
_FIRST_UNNEEDED = 14
"""First field removed from ColumnMetaData: from it on, they are bloom_filter_offset, bloom_filter_length,
size_statistics and geospatial_statistics."""

_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE = 0, 1, 2, 3, 7
_BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = 8, 9, 10, 11, 12, 13
_FIXED = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8, _UUID: 16}
"""Size in bytes of the values of these types; integers are varints."""


def read_metadata(stream: BinaryIO) -> Any:
    """The metadata (a pyarrow FileMetaData) of the Parquet file in `stream`. Raises Arrow's errors, OSError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        content = without_statistics(_metadata_of(stream))
    except ValueError as error:
        raise pa.ArrowInvalid(str(error)) from error
    return pq.read_metadata(io.BytesIO(_MAGIC + content + len(content).to_bytes(4, "little") + _MAGIC))


def _metadata_of(stream: BinaryIO) -> bytes:
    end = stream.seek(0, os.SEEK_END)
    start = max(0, end - _READ)  # usually a single request for a file on the network
    stream.seek(start)
    last = stream.read(_READ)
    length = int.from_bytes(last[-_TAIL:-4], "little")
    if len(last) < _TAIL or last[-4:] != _MAGIC or length > end - _TAIL - len(_MAGIC):
        raise ValueError("no Parquet file, or its end is missing")
    if length > MOST_BYTES:
        raise ValueError(f"{length:,} bytes of metadata")
    if length + _TAIL > len(last):
        stream.seek(end - _TAIL - length)
        last = stream.read(length + _TAIL)
    stream.seek(0)
    return last[-_TAIL - length : -_TAIL]


def without_statistics(metadata: bytes) -> bytes:
    """A serialized FileMetaData without the unneeded fields of each ColumnMetaData. Raises ValueError."""
    try:
        return _Copier(metadata).copy()
    except IndexError:
        raise ValueError("the metadata is cut off") from None


class _Copier:
    """Parses a serialized struct and copies it without the unneeded fields."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0
        self._out = bytearray()
        self._copied = 0

    def copy(self) -> bytes:
        """Return the copy."""
        self._struct((_ROW_GROUPS, _COLUMNS, _COLUMN), 0)
        self._copy_until_here()
        return bytes(self._out)

    def _struct(self, path: tuple[int, ...] | None, depth: int) -> None:
        """Parse a struct. `path`: the fields that lead from it to a ColumnMetaData, () for one, None if none do."""
        field = kept = 0
        while True:
            start = self._at
            head = self._byte()
            kind = head & 15
            if kind == _STOP:
                return
            field = field + (head >> 4) if head >> 4 else _unzigzag(self._number())
            if path == ():
                self._column_field(start, field, kept, kind, depth)
                kept = field if field < _FIRST_UNNEEDED else kept
            else:
                inner = path[1:] if path and path[0] == field else None
                self._value(kind, inner, depth)

    def _column_field(self, start: int, field: int, before: int, kind: int, depth: int) -> None:
        """Copy or remove a field of a ColumnMetaData. Field numbers are relative to the last one kept, `before`."""
        value = self._at
        self._copy_until(start)
        self._value(kind, None, depth)
        if field < _FIRST_UNNEEDED:
            step = field - before
            self._out += bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _varint(_zigzag(field))
            self._copied = value
        else:
            self._copied = self._at

    def _value(self, kind: int, path: tuple[int, ...] | None, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError("the metadata is nested too deeply")
        if kind == _STRUCT:
            self._struct(path, depth + 1)
        elif kind == _BINARY:
            self._skip(self._number())
        elif kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._number()
            self._elements(count, head & 15, path, depth)
        elif kind == _MAP:
            count = self._number()
            kinds = self._byte() if count else 0
            for _n in range(self._bounded(count)):
                self._elements(1, kinds >> 4, None, depth)
                self._elements(1, kinds & 15, None, depth)
        elif kind in _FIXED:
            self._skip(_FIXED[kind])
        elif kind < _DOUBLE:
            self._number()
        else:
            raise ValueError("the metadata is damaged")

    def _elements(self, count: int, kind: int, path: tuple[int, ...] | None, depth: int) -> None:
        if kind in (_TRUE, _FALSE):
            self._skip(count)
            return
        for _n in range(self._bounded(count)):
            self._value(kind, path, depth + 1)

    def _bounded(self, count: int) -> int:
        """Return `count` if as many bytes are left, since each element takes at least one."""
        if count > len(self._content) - self._at:
            raise ValueError("the metadata is cut off")
        return count

    def _skip(self, count: int) -> None:
        self._at += self._bounded(count)

    def _byte(self) -> int:
        value = self._content[self._at]
        self._at += 1
        return value

    def _number(self) -> int:
        """Read a varint."""
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("the metadata is damaged")

    def _copy_until(self, place: int) -> None:
        self._out += self._content[self._copied : place]
        self._copied = place

    def _copy_until_here(self) -> None:
        self._copy_until(self._at)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _unzigzag(value: int) -> int:
    return value >> 1 ^ -(value & 1)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])

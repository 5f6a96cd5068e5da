"""One compressed file (.gz, .bz2, .xz, .zst; .tgz is a .tar.gz): its content is read directly, in bounded memory."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol, cast

from llm_studio.data.sources.expansion import Budget
from llm_studio.data.sources.readers.archives import MAX_DICTIONARY, ArchiveMember, check_depth
from llm_studio.data.sources.readers.items import InputFile, suffix_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BLOCK = 1 << 16
_MAX_PADDING = 1 << 20
"""Maximum number of zeros between two concatenated streams of a compressed file."""


class PackedContent(ArchiveMember):
    """The content of a compressed file. If it is a .tar, the two count as one level of nesting."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Decompressed(io.RawIOBase):
    """The content of a compressed file with one or more concatenated streams. It can't be rewound."""

    def __init__(self, packed: BinaryIO, make: Callable[[], _Decompressor]) -> None:
        self._packed = packed
        self._make = make
        self._decompressor = make()
        self._rest = b""
        self._position = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "Buffer", /) -> int:
        target = memoryview(buffer).cast("B")
        while len(target):
            if self._decompressor.eof:
                self._rest = self._after_padding()
                if not self._rest:
                    return 0
                self._decompressor = self._make()
            data = b""
            if self._decompressor.needs_input:
                data, self._rest = self._rest or self._packed.read(_BLOCK), b""
                if not data:
                    raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            if found := self._decompressor.decompress(data, len(target)):
                target[: len(found)] = found
                self._position += len(found)
                return len(found)
        return 0

    def _after_padding(self) -> bytes:
        """The bytes after a stream and the zeros with which an .xz is padded; empty at the end of the file."""
        rest, padding = self._decompressor.unused_data.lstrip(b"\0"), 0
        while not rest and (block := self._packed.read(_BLOCK)):
            rest, padding = block.lstrip(b"\0"), padding + len(block)
            if padding > _MAX_PADDING:
                raise EOFError("the file ends in zeros")
        return rest

    def close(self) -> None:
        if not self.closed:
            self._packed.close()
        super().close()


class _Gunzipped(gzip.GzipFile):
    """The content of a .gz. Closing it also closes the compressed file."""

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__(fileobj=packed, mode="rb")
        self._packed = packed

    def close(self) -> None:
        super().close()
        self._packed.close()


class _Unzstd(io.RawIOBase):
    """The content of a .zst."""

    def __init__(self, packed: BinaryIO) -> None:
        import pyarrow as pa

        self._packed = packed
        self._errors = pa.ArrowException
        self._stream = pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd")
        self._position = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "Buffer", /) -> int:
        target = memoryview(buffer).cast("B")
        try:
            found = self._stream.read(len(target))
        except self._errors as error:
            raise EOFError(str(error)) from error
        target[: len(found)] = found
        self._position += len(found)
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._packed.close()
        super().close()


def _gunzip(packed: BinaryIO) -> IO[bytes]:
    return cast("IO[bytes]", _Gunzipped(packed))


def _bunzip(packed: BinaryIO) -> IO[bytes]:
    return cast("IO[bytes]", _Decompressed(packed, bz2.BZ2Decompressor))


def unxz(packed: BinaryIO) -> IO[bytes]:
    """The content of a .xz, in bounded memory."""
    return cast("IO[bytes]", _Decompressed(packed, lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY)))


def _unzstd(packed: BinaryIO) -> IO[bytes]:
    return cast("IO[bytes]", _Unzstd(packed))


_OPEN: dict[str, Callable[[BinaryIO], IO[bytes]]] = {
    ".gz": _gunzip, ".bz2": _bunzip, ".xz": unxz, ".zst": _unzstd, ".tgz": _gunzip, ".tbz2": _bunzip, ".txz": unxz,
    ".tzst": _unzstd,
}  # fmt: skip
SUFFIXES = tuple(_OPEN)
"""Suffixes of compressed files; those that begin with “.t” stand for a compressed .tar."""


def content_name(name: str) -> str:
    """The name of the file in a compressed file: “a.txt” in “a.txt.gz”, “a.tar” in “a.tgz”."""
    suffix = suffix_of(name)
    if suffix not in _OPEN:
        return name
    stem = PurePosixPath(name).stem
    return f"{stem}.tar" if suffix.startswith(".t") else stem


def content(item: InputFile) -> PackedContent:
    """The content of a compressed file. Raises SourceError if archives are nested too deeply."""
    check_depth(item)
    opened = _OPEN[item.suffix]
    budget = Budget(item.name, item.size, item.budget)
    found = PackedContent(item, content_name(item.basename), item.size, budget, lambda: opened(item.open()))
    if found.suffix == ".tar":
        found.name = item.name  # for users, it is one archive
    return found


def decompressed(item: InputFile) -> InputFile:
    """The content of a compressed file, even if it is compressed several times; other files unchanged."""
    while item.suffix in _OPEN:
        item = content(item)
    return item

"""Archives (.zip): their members are read directly. Nothing is unpacked into a folder, so paths in an archive can't
point outside of it; an archive bomb is detected while it is read.
"""

import contextlib
import io
import struct
import zipfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING, BinaryIO

from llm_studio.data.sources.account import INSIDE
from llm_studio.data.sources.expansion import Budget
from llm_studio.data.sources.readers.charsets import rank_encodings
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, password_protected, translate_read_errors
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.errors import SourceError
from llm_studio.i18n import _, number, size

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_DEPTH = 2
"""Maximum depth of nested archives."""
MAX_DICTIONARY = 1 << 28
"""Limit of the memory for decompressing LZMA, in bytes: a file of a few bytes can request 4 GB."""
_LOCAL_HEADER, _LZMA_PROPERTIES = 30, 9
_MAX_DIRECTORY = 1 << 26
_UTF8_NAME = 0x800
_MIN_SCORE = 0.4
"""Score that an encoding must exceed for names to be decoded with it."""


class WrappedStream(io.RawIOBase):
    """Base class of wrappers of a stream that share its position; subclasses implement reading."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


class CountingReader(WrappedStream):
    """Calls `spend` with the position in a member after each read. Seeking is slow."""

    def __init__(self, stream: IO[bytes], spend: Callable[[int], None]) -> None:
        super().__init__(stream)
        self._spend = spend

    def readinto(self, buffer: "Buffer", /) -> int:
        target = memoryview(buffer).cast("B")
        data = self._stream.read(len(target))
        target[: len(data)] = data
        self._spend(self._stream.tell())
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


@dataclass(frozen=True)
class Entry:
    """A file in the list of an archive. `reason`: why it is left out regardless of its name, or ""."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]
    reason: str = ""


class ArchiveMember(InputFile):
    """A file in the archive `outer`, with the budget of that archive."""

    def __init__(
        self, outer: InputFile, file: str, size: int, budget: Budget, unpacked: Callable[[], IO[bytes]],
        shown: str = "", depth: int | None = None,
    ) -> None:  # fmt: skip
        depth = outer.depth + 1 if depth is None else depth
        super().__init__(outer.name + INSIDE + printable(shown or file), printable(file), size, depth)
        self.budget = self._spent = budget
        self._unpacked = unpacked
        self._counted = 0

    def open(self) -> BinaryIO:
        return io.BufferedReader(CountingReader(self._unpacked(), self._spend), 1 << 16)

    def _spend(self, position: int) -> None:
        """Count the bytes up to `position` against the budget; bytes that are read again count once."""
        if position > self._counted:
            self._spent.spend(position - self._counted)
            self._counted = position


def printable(name: str) -> str:
    """The name of a member without unprintable characters, shortened."""
    return "".join(character if character.isprintable() else "�" for character in name)[:200]


# --- .zip --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_zip(item: InputFile, context: Context) -> Generator[tuple[zipfile.ZipFile, Budget]]:
    """Open an archive, with the budget for its content. Raises SourceError if it is damaged or too large."""
    with translate_read_errors(item.name), item.seekable(context.job) as stream:
        _check_directory(item, stream)
        try:
            archive = zipfile.ZipFile(stream)
        except (ValueError, IndexError, OverflowError) as error:
            raise damaged(item.name, error) from error
        with archive:
            yield archive, _budget(item)


def member(item: InputFile, archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> ArchiveMember:
    """The file `info` of a .zip."""
    return ArchiveMember(item, info.filename, info.file_size, budget, _opener(item, archive, info, info.filename))


def zip_entries(item: InputFile, archive: zipfile.ZipFile) -> list[Entry]:
    """The files in a .zip, with their names decoded from the encoding that they were written in."""
    names = _decoded_names(archive)
    return [
        Entry(names.get(info.filename, info.filename), info.file_size, _opener(item, archive, info, info.filename))
        for info in archive.infolist() if not info.is_dir()
    ]  # fmt: skip


def _opener(item: InputFile, archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: str) -> Callable[[], IO[bytes]]:
    name = item.name + INSIDE + printable(file)

    def unpacked() -> IO[bytes]:
        if info.flag_bits & 1:
            raise password_protected(name)
        _check_dictionary(name, archive, info)
        try:
            return archive.open(info)
        except (RuntimeError, ValueError, OverflowError) as error:
            raise damaged(name, error) from error

    return unpacked


def _check_dictionary(name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Raise SourceError if the LZMA dictionary, whose size the file specifies, would take too much memory."""
    stream = archive.fp
    if info.compress_type != zipfile.ZIP_LZMA or stream is None:
        return
    stream.seek(info.header_offset)  # `zipfile` seeks as well before it reads
    header = stream.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER:
        raise damaged(name, "")
    stream.seek(sum(struct.unpack_from("<HH", header, _LOCAL_HEADER - 4)), io.SEEK_CUR)
    properties = stream.read(_LZMA_PROPERTIES)  # version, length, a byte of properties, dictionary
    if len(properties) == _LZMA_PROPERTIES and struct.unpack_from("<L", properties, 5)[0] > MAX_DICTIONARY:
        raise SourceError(
            _("{path} needs more than {size} of memory to be unpacked.").format(path=name, size=size(MAX_DICTIONARY)),
            _("If you trust it, unpack it yourself and add the folder."),
        )


def _decoded_names(archive: zipfile.ZipFile) -> dict[str, str]:
    """Corrected names for non-ASCII ones that aren't marked as UTF-8: `zipfile` decodes them as CP437."""
    raw: dict[str, bytes] = {}
    for info in archive.infolist():
        if not info.flag_bits & _UTF8_NAME and not info.filename.isascii():
            with contextlib.suppress(UnicodeEncodeError):
                raw[info.filename] = info.filename.encode("cp437")
    sample = b" ".join(islice(raw.values(), 100))
    if not sample:
        return {}
    codec, score = "utf-8", 1.0
    try:
        sample.decode()
    except UnicodeDecodeError:
        codec, score = rank_encodings(sample)[0]
    return {old: name.decode(codec, "replace") for old, name in raw.items()} if score > _MIN_SCORE else {}


def _check_directory(item: InputFile, stream: BinaryIO) -> None:
    """Raise SourceError if the list of members is missing or would take too much memory."""
    length = directory_bytes(stream)
    if length is None:
        raise damaged(item.name, _("its list of files is missing"))
    if length > _MAX_DIRECTORY:
        raise too_many_files(item)


def directory_bytes(stream: BinaryIO) -> int | None:
    """Bytes of the list of members of a .zip, which is read at once when it is opened; None if the list is missing."""
    end = stream.seek(0, io.SEEK_END)
    start = max(0, end - (1 << 16) - 22 - 76)
    stream.seek(start)
    tail = stream.read()
    stream.seek(0)
    position = tail.rfind(b"PK\x05\x06")
    if position < 0 or len(tail) < position + 22:
        return None
    length: int = struct.unpack_from("<L", tail, position + 12)[0]
    zip64 = tail.rfind(b"PK\x06\x06", 0, position)
    if zip64 >= 0 and tail[max(0, position - 20) :].startswith(b"PK\x06\x07"):  # `zipfile` uses this length
        length = struct.unpack_from("<Q", tail, zip64 + 40)[0]
    return length


def too_many_files(item: InputFile) -> SourceError:
    """The error for an archive whose list of files would take too much memory."""
    return SourceError(
        _("{path} holds too many files, or is damaged.").format(path=item.name),
        _("If you trust it, unpack it yourself and add the folder."),
    )


def _budget(item: InputFile) -> Budget:
    return Budget(item.name, item.size, item.budget)


def check_depth(item: InputFile, depth: int | None = None) -> None:
    """Raise SourceError for an archive that is nested too deeply in others."""
    if (item.depth if depth is None else depth) >= MAX_DEPTH:
        raise SourceError(
            _("{path} is an archive in an archive in an archive: only {n} levels are read.").format(
                path=item.name, n=number(MAX_DEPTH)
            ),
            _("Unpack the outer one yourself and add the folder."),
        )

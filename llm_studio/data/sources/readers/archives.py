"""Archives (.zip, .gz): their members are read as they lie there. Nothing is unpacked into a folder, so that names in
an archive can't lead anywhere; what would unpack to a bomb is refused while it is read.
"""

import contextlib
import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Generator
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import ArchiveBomb, damaged, password_protected, translate_read_errors
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.errors import SourceError
from llm_studio.i18n import _, number, size

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_RATIO = 200
"""How many times larger than an archive that which is in it may be: texts come to 3 or 4 times, tables to 20."""
FREE_BYTES = 1 << 26
"""... but as much is always allowed."""
MAX_UNPACKED = 1 << 40
"""Bytes that all members of an archive may have together."""
MAX_DEPTH = 2
"""Archives inside one another."""
_LARGEST_DIRECTORY = 1 << 26
_BETWEEN = " › "


class Budget:
    """How much may be unpacked from an archive and from those inside it, and how much has been."""

    def __init__(self, name: str, packed: int, outer: "Budget | None" = None) -> None:
        self._name = name
        self._most = min(MAX_UNPACKED, max(FREE_BYTES, packed * MAX_RATIO))
        self._around = outer
        self._spent = 0

    def spend(self, count: int) -> None:
        """`count` bytes more were unpacked. Raises SourceError where it is too much."""
        self._spent += count
        if self._spent > self._most:
            raise ArchiveBomb(
                self._name,
                _("{path} was left at {size}: it unpacks to far more than its own size, as only a trap does.").format(
                    path=self._name, size=size(self._most)
                ),
                _("If you trust it, unpack it yourself and add the folder."),
            )
        if self._around is not None:
            self._around.spend(count)


class CountingReader(io.RawIOBase):
    """A member's bytes, counted: those that are read again only once. Can jump about, slowly."""

    def __init__(self, stream: IO[bytes], spend: Callable[[int], None]) -> None:
        self._stream = stream
        self._spend = spend

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: "Buffer", /) -> int:
        room = memoryview(buffer).cast("B")
        data = self._stream.read(len(room))
        room[: len(data)] = data
        self._spend(self._stream.tell())
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class ArchiveMember(InputFile):
    """A file in an archive. `budget` is the archive's."""

    def __init__(
        self, around: InputFile, file: str, size: int, budget: Budget, unpacked: Callable[[], IO[bytes]]
    ) -> None:
        super().__init__(around.name + _BETWEEN + printable(file), printable(file), size, around.depth + 1)
        self.budget = budget
        self._unpacked = unpacked
        self._counted = 0

    def open(self) -> BinaryIO:
        return io.BufferedReader(CountingReader(self._unpacked(), self._spend), 1 << 16)

    def _spend(self, position: int) -> None:
        if position > self._counted:
            self.budget.spend(position - self._counted)
            self._counted = position


def printable(name: str) -> str:
    """The name of a member without what would disturb a sentence."""
    return "".join(character if character.isprintable() else "�" for character in name)[:200]


# --- .gz ---------------------------------------------------------------------------------------------------------


def gzip_member(item: InputFile) -> ArchiveMember:
    """The one file in a .gz. Raises SourceError where archives are too deep in one another."""
    check_depth(item)
    name = item.basename[:-3] if item.basename.lower().endswith(".gz") else item.basename
    return ArchiveMember(
        item, PurePosixPath(name).name, item.size, _budget(item), lambda: cast("IO[bytes]", _Gunzipped(item.open()))
    )


class _Gunzipped(gzip.GzipFile):
    """What is in a .gz; closes the file under it too."""

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__(fileobj=packed, mode="rb")
        self._packed = packed

    def close(self) -> None:
        super().close()
        self._packed.close()


# --- .zip --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_zip(item: InputFile, context: Context) -> Generator[tuple[zipfile.ZipFile, Budget]]:
    """An archive to look into. Raises SourceError where it is damaged, or a trap."""
    with translate_read_errors(item.name), item.seekable(context.job) as stream:
        _check_directory(item, stream)
        try:
            archive = zipfile.ZipFile(stream)
        except (ValueError, IndexError, OverflowError) as error:
            raise damaged(item.name, error) from error
        with archive:
            yield archive, _budget(item)


def member(item: InputFile, archive: zipfile.ZipFile, about: zipfile.ZipInfo, budget: Budget) -> ArchiveMember:
    """One file of an archive."""
    name = item.name + _BETWEEN + printable(about.filename)

    def unpacked() -> IO[bytes]:
        if about.flag_bits & 1:
            raise password_protected(name)
        try:
            return archive.open(about)
        except (RuntimeError, ValueError, OverflowError) as error:
            raise damaged(name, error) from error

    return ArchiveMember(item, about.filename, about.file_size, budget, unpacked)


def _check_directory(item: InputFile, stream: BinaryIO) -> None:
    """Raise SourceError where the list of members alone would take too much memory."""
    end = stream.seek(0, io.SEEK_END)
    start = max(0, end - (1 << 16) - 22)
    stream.seek(start)
    tail = stream.read()
    stream.seek(0)
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) < place + 22:
        raise damaged(item.name, _("its list of files is missing"))
    (length,) = struct.unpack_from("<L", tail, place + 12)
    if length == 0xFFFFFFFF:
        wide = tail.rfind(b"PK\x06\x06")
        length = struct.unpack_from("<Q", tail, wide + 40)[0] if 0 <= wide <= len(tail) - 48 else length
    if length > _LARGEST_DIRECTORY:
        raise SourceError(
            _("{path} holds too many files, or is damaged.").format(path=item.name),
            _("If you trust it, unpack it yourself and add the folder."),
        )


def _budget(item: InputFile) -> Budget:
    return Budget(item.name, item.size, item.budget if isinstance(item, ArchiveMember) else None)


def check_depth(item: InputFile) -> None:
    """Raise SourceError for an archive that is too deep inside others."""
    if item.depth >= MAX_DEPTH:
        raise SourceError(
            _("{path} is an archive in an archive in an archive: only {n} deep are read.").format(
                path=item.name, n=number(MAX_DEPTH)
            ),
            _("Unpack the outer one yourself and add the folder."),
        )

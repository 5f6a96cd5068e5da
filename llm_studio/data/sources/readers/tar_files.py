"""Tar archives (.tar): members are read in place, without unpacking."""

import contextlib
import io
import tarfile
from collections.abc import Generator, Iterator
from typing import IO, TYPE_CHECKING

from llm_studio.data.sources.account import KIND, LINK_INSIDE
from llm_studio.data.sources.expansion import Budget
from llm_studio.data.sources.readers.archives import Entry, WrappedStream, too_many_files
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, no_text, translate_read_errors
from llm_studio.data.sources.readers.items import InputFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_ENTRIES = 500_000
_MAX_READ = 1 << 20
"""Limit of bytes read at once. Names and attributes of a member are read as a whole, and can be declared as huge."""


@contextlib.contextmanager
def open_tar(item: InputFile, context: Context) -> Generator[tuple[list[Entry], Budget]]:
    """The files in an archive, with the budget for their content. Raises SourceError if it is damaged."""
    with translate_read_errors(item.name), item.seekable(context.job) as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        if not size:
            raise no_text(item.name)
        try:
            archive = tarfile.open(fileobj=_Bounded(stream), mode="r:", errorlevel=0)  # noqa: SIM115  closed below
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise damaged(item.name, error) from error
        with archive:
            # the content was counted when the archive was copied, except the gaps of sparse files
            yield list(_entries(item, archive, context)), Budget(item.name, size)


class _Bounded(WrappedStream):
    """A stream of which at most `_MAX_READ` bytes can be read at once."""

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= _MAX_READ:
            raise tarfile.ReadError("a name or an attribute is too long")
        return self._stream.read(size)

    def readinto(self, buffer: "Buffer", /) -> int:
        target = memoryview(buffer).cast("B")
        found = self.read(min(len(target), _MAX_READ))
        target[: len(found)] = found
        return len(found)


def _entries(item: InputFile, archive: tarfile.TarFile, context: Context) -> Iterator[Entry]:
    count = 0
    while True:
        context.job.check()
        try:
            info = archive.next()
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise damaged(item.name, error) from error
        if info is None:
            return
        count += 1
        if count > MAX_ENTRIES:
            raise too_many_files(item)
        if info.isdir():
            continue
        reason = LINK_INSIDE if info.issym() or info.islnk() else "" if info.isfile() else KIND
        yield Entry(info.name, info.size, _opener(item, archive, info), reason)


def _opener(item: InputFile, archive: tarfile.TarFile, info: tarfile.TarInfo):
    def opened() -> IO[bytes]:
        try:
            found = archive.extractfile(info)
        except (tarfile.TarError, ValueError, KeyError, OverflowError) as error:
            raise damaged(item.name, error) from error
        if found is None:
            raise damaged(item.name, info.name)
        return found

    return opened

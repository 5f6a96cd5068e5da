"""One file to read, on disk or inside an archive."""

import contextlib
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from llm_studio.data.sources.expansion import Budget
from llm_studio.data.sources.readers.errors import too_large
from llm_studio.files import open_regular, require_regular
from llm_studio.jobs import Job

BLOCK = 1 << 20
"""Bytes read at once."""

MAX_DOCUMENT = 1 << 28
"""Size limit of a document that is read as a whole, not as a stream (a .pdf in an archive)."""
_IN_MEMORY = 1 << 24
_MAX_COPY = 1 << 32
_SUFFIX = re.compile(r"\.[a-z0-9_+-]{1,12}")


def suffix_of(name: str) -> str:
    """The suffix of a file in lower case, with its dot; "" for names like “README” or “1. The fox”."""
    dot = name.rfind(".")
    suffix = name[dot:].lower() if dot > 0 else ""
    return suffix if _SUFFIX.fullmatch(suffix) else ""


class InputFile(ABC):
    """One file to read.

    `name`: its path for messages. `basename`: the last component of the path. `size`: in bytes; for the content of a
    compressed file, the compressed size. `depth`: number of archives it is nested in. `budget`: the budget of the
    archive that contains it, if any.
    """

    budget: Budget | None = None

    def __init__(self, name: str, basename: str, size: int, depth: int = 0) -> None:
        self.name = name
        self.basename = basename
        self.suffix = suffix_of(basename)
        self.size = size
        self.depth = depth

    @abstractmethod
    def open(self) -> BinaryIO:
        """Open a stream at the beginning of the file. Can be called several times, for one stream after another."""

    @contextlib.contextmanager
    def seekable(self, job: Job) -> Generator[BinaryIO]:
        """Open a seekable stream. A member of an archive is first copied to a temporary file."""
        with self.open() as stream, tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
            while block := stream.read(BLOCK):
                job.check()
                if copy.tell() + len(block) > _MAX_COPY:
                    raise too_large(self.name, _MAX_COPY)
                copy.write(block)
            copy.seek(0)
            yield copy  # pyright: ignore[reportReturnType]  it has all methods of BinaryIO


class DiskFile(InputFile):
    """A file on disk."""

    def __init__(self, path: Path, progress: "ReadProgress | None" = None) -> None:
        require_regular(path)
        super().__init__(str(path), path.name, path.stat().st_size)
        self.path = path
        self._progress = progress

    def open(self) -> BinaryIO:
        stream = open_regular(self.path)
        if self._progress is not None:
            self._progress.track(stream)
        return stream

    @contextlib.contextmanager
    def seekable(self, job: Job) -> Generator[BinaryIO]:
        with self.open() as stream:
            yield stream


class ReadProgress:
    """Counts the bytes read from files on disk."""

    def __init__(self) -> None:
        self._finished = 0
        self._stream: BinaryIO | None = None

    def track(self, stream: BinaryIO) -> None:
        """Set the stream that is being read."""
        self._stream = stream

    def finish(self, size: int) -> None:
        """Count a file of `size` bytes as read."""
        self._finished += size
        self._stream = None

    def bytes_read(self) -> int:
        """Number of bytes read so far."""
        try:
            return self._finished + (self._stream.tell() if self._stream is not None else 0)
        except (OSError, ValueError):  # closed
            return self._finished

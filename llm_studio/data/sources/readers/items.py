"""One file to read, on the disk or inside an archive."""

import contextlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from llm_studio.data.sources.readers.errors import too_large
from llm_studio.jobs import Job

CHUNK = 1 << 20
"""Bytes read at once."""

LARGEST_DOCUMENT = 1 << 28
"""Bytes of the largest document that is read as a whole, not as a stream (.pdf from an archive, a book's chapter)."""
_IN_MEMORY = 1 << 24
_LARGEST_COPY = 1 << 32


class InputFile(ABC):
    """One file. `name` is for people, `file` its last part, `size` its bytes as far as known, `depth` the number of
    archives around it."""

    def __init__(self, name: str, file: str, size: int, depth: int = 0) -> None:
        self.name = name
        self.basename = file
        self.suffix = Path(file).suffix.lower()
        self.size = size
        self.depth = depth

    @abstractmethod
    def open(self) -> BinaryIO:
        """A stream from the file's beginning; several may be asked for, one after the other."""

    @contextlib.contextmanager
    def seekable(self, job: Job) -> Generator[BinaryIO]:
        """A stream in which to jump about: a member of an archive is first copied into a temporary file."""
        with self.open() as stream, tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
            while chunk := stream.read(CHUNK):
                job.check()
                if copy.tell() + len(chunk) > _LARGEST_COPY:
                    raise too_large(self.name, _LARGEST_COPY)
                copy.write(chunk)
            copy.seek(0)
            yield copy  # pyright: ignore[reportReturnType]  it has all that a BinaryIO has


class DiskFile(InputFile):
    """A file on the disk."""

    def __init__(self, path: Path, progress: "ReadProgress | None" = None) -> None:
        super().__init__(str(path), path.name, path.stat().st_size)
        self.path = path
        self._at = progress

    def open(self) -> BinaryIO:
        stream = self.path.open("rb")
        if self._at is not None:
            self._at.track(stream)
        return stream

    @contextlib.contextmanager
    def seekable(self, job: Job) -> Generator[BinaryIO]:
        with self.open() as stream:
            yield stream


class ReadProgress:
    """How many bytes of the files on the disk have been gone through."""

    def __init__(self) -> None:
        self._before = 0
        self._stream: BinaryIO | None = None

    def track(self, stream: BinaryIO) -> None:
        """`stream` is what is read now."""
        self._stream = stream

    def finish(self, size: int) -> None:
        """A file of `size` bytes is done with."""
        self._before += size
        self._stream = None

    def bytes_read(self) -> int:
        """Bytes so far."""
        try:
            return self._before + (self._stream.tell() if self._stream is not None else 0)
        except (OSError, ValueError):  # closed
            return self._before

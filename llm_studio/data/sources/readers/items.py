"""One file to be read, on the disk or inside an archive, and the sentences for what can be wrong with it."""

import contextlib
import io
import lzma
import struct
import tempfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.errors import SourceError
from llm_studio.i18n import _, size
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.data.sources.readers.encodings import Encoding
    from llm_studio.data.sources.readers.worker_process import WorkerProcess

CHUNK = 1 << 20
"""Bytes read at once."""

LARGEST_DOCUMENT = 1 << 28
"""Bytes of the largest document that is read as a whole, not as a stream (.pdf from an archive, a book's chapter)."""
_IN_MEMORY = 1 << 24
_LARGEST_COPY = 1 << 32


class Item(ABC):
    """One file. `name` is for people, `file` its last part, `size` its bytes as far as known, `depth` the number of
    archives around it."""

    def __init__(self, name: str, file: str, size: int, depth: int = 0) -> None:
        self.name = name
        self.file = file
        self.suffix = Path(file).suffix.lower()
        self.size = size
        self.depth = depth

    @abstractmethod
    def open(self) -> BinaryIO:
        """A stream from the file's beginning; several may be asked for, one after the other."""

    @contextlib.contextmanager
    def seekable(self, context: "Context") -> Generator[BinaryIO]:
        """A stream in which to jump about: a member of an archive is first copied into a temporary file."""
        with self.open() as stream, tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
            while chunk := stream.read(CHUNK):
                context.job.check()
                if copy.tell() + len(chunk) > _LARGEST_COPY:
                    raise too_large(self.name, _LARGEST_COPY)
                copy.write(chunk)
            copy.seek(0)
            yield copy  # pyright: ignore[reportReturnType]  it has all that a BinaryIO has


class DiskItem(Item):
    """A file on the disk."""

    def __init__(self, path: Path, at: "Position | None" = None) -> None:
        super().__init__(str(path), path.name, path.stat().st_size)
        self.path = path
        self._at = at

    def open(self) -> BinaryIO:
        stream = self.path.open("rb")
        if self._at is not None:
            self._at.follow(stream)
        return stream

    @contextlib.contextmanager
    def seekable(self, context: "Context") -> Generator[BinaryIO]:
        with self.open() as stream:
            yield stream


class Position:
    """How many bytes of the files on the disk have been gone through."""

    def __init__(self) -> None:
        self._before = 0
        self._stream: BinaryIO | None = None

    def follow(self, stream: BinaryIO) -> None:
        """`stream` is what is read now."""
        self._stream = stream

    def passed(self, size: int) -> None:
        """A file of `size` bytes is done with."""
        self._before += size
        self._stream = None

    def now(self) -> int:
        """Bytes so far."""
        try:
            return self._before + (self._stream.tell() if self._stream is not None else 0)
        except (OSError, ValueError):  # closed
            return self._before


@dataclass
class Context:
    """What the readers of one source share.

    `quick`: only a first look is wanted, an encoding may be told from the beginning of a file. `conversations`:
    whether the source is of conversations, None as long as nothing has decided it. `encoding`: that of the text read
    now. `apart`: the process for what may hang. `told`: the fields that were found by themselves.
    """

    options: ReadOptions
    notice: Callable[[str], None]
    job: Job
    apart: "WorkerProcess"
    quick: bool = False
    conversations: bool | None = None
    encoding: "Encoding | None" = None
    told: set[str] = field(default_factory=set[str])
    refused: list[tuple[str, SourceError]] = field(default_factory=list[tuple[str, SourceError]])


def silent(*_about: object) -> None:
    """A notice that nobody gets."""


class Trap(SourceError):  # noqa: N818
    """An archive, `name`, that unpacks to too much: nothing more is read of it."""

    def __init__(self, name: str, what: str, to_do: str) -> None:
        super().__init__(what, to_do)
        self.name = name


# --- Sentences ---------------------------------------------------------------------------------------------------


def empty(name: str) -> SourceError:
    """There is no text in the file."""
    return SourceError(_("There is no text in {path}.").format(path=name), _("Choose another file."))


def too_large(name: str, limit: int) -> SourceError:
    """A file that would have to be held as a whole, and can't."""
    return SourceError(
        _("{path} is too large to be read: more than {size}.").format(path=name, size=size(limit)),
        _("Split it into smaller ones, or save it as plain text (.txt)."),
    )


def damaged(name: str, reason: object) -> SourceError:
    """A file that isn't what its name says, or was cut off."""
    text = " ".join(str(reason).split())[:200].rstrip(".")
    return SourceError(
        _("{path} is damaged or not what its name says: {reason}.").format(path=name, reason=text or _("cut off")),
        _("Download or save it again; check that it opens in its usual program."),
    )


def protected(name: str) -> SourceError:
    """A file that asks for a password."""
    return SourceError(
        _("{path} is protected by a password or by encryption.").format(path=name),
        _("Save a copy without protection in its own program, and add that."),
    )


@contextlib.contextmanager
def explained(name: str) -> Generator[None]:
    """Turn the operating system's refusals to read, and what archives say when damaged, into a SourceError."""
    try:
        yield
    except PermissionError as error:
        raise SourceError(
            _("{path} may not be read.").format(path=name),
            _("Close the program that uses it, or ask its owner for permission."),
        ) from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, NotImplementedError) as error:
        raise damaged(name, error) from error
    except UnicodeError as error:
        raise damaged(name, error) from error
    except io.UnsupportedOperation as error:
        raise damaged(name, error) from error
    except OSError as error:
        if error.errno is None:  # not the system but a library: a wrong checksum, a wrong first byte
            raise damaged(name, error) from error
        raise SourceError(
            _("{path} can't be read: {reason}.").format(path=name, reason=error.strerror or error),
            _("Copy it to another disk and try again."),
        ) from error

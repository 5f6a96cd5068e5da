"""Records: the JSON files in which this program stores its state. Each is read as a declared type, within limits.

The type is a dataclass. Whatever a file contains (a text for a number, a list for an object, a hundred thousand nested
brackets, a number of a thousand digits) or is (a folder, a pipe, gigabytes), reading it ends soon, with the value or
with a RecordError. Names that the type doesn't have are ignored; missing fields have their defaults.
"""

import contextlib
import dataclasses
import errno
import os
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

from llm_studio import files
from llm_studio.errors import NewerRecordError, RecordError, reason_of
from llm_studio.i18n import _
from llm_studio.records.values import (
    Amount,
    Count,
    FileName,
    Measured,
    Misfit,
    NotARecord,
    Read,
    checked,
    decode,
    like,
    parse,
    plain_object,
    reader,
)

__all__ = [
    "LONGEST_LINE",
    "MOST_BYTES",
    "MOST_BYTES_OF_MANY",
    "Amount",
    "Count",
    "FileName",
    "Measured",
    "Misfit",
    "NotARecord",
    "Read",
    "checked",
    "damaged",
    "decode",
    "keep_aside",
    "like",
    "lines",
    "load",
    "parse",
    "parse_line",
    "plain_object",
    "read",
    "reader",
    "recall",
    "recall_plain",
    "translate_misfits",
]

MOST_BYTES, MOST_BYTES_OF_MANY = 4_000_000, 16_000_000
"""Size limit of a record, and of one with an entry for each of many items: files, tokens, samples."""
LONGEST_LINE = 1_000_000
"""Most bytes of a line of a log."""

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class _Versioned:
    version: Count = 0


def read(
    path: Path, kind: type[_T], *, newest: int | None = 1, most: int = MOST_BYTES, known: Mapping[str, object] = {}
) -> _T | None:
    """The record at `path`; None if there is no file. `known`: values of fields that aren't stored in it.

    Raises RecordError if it is damaged, NewerRecordError if its version is above `newest` (None: it has no version).
    """
    content = load(path, newest=newest, most=most)
    if content is None:
        return None
    with translate_misfits(path):
        return decode(content, kind, known)


def recall(path: Path, kind: type[_T], *, newest: int | None = 1, most: int = MOST_BYTES) -> _T | None:
    """The same for a cache: also None if it is damaged, or of a newer version."""
    try:
        return read(path, kind, newest=newest, most=most)
    except RecordError:
        return None


def recall_plain(path: Path) -> dict[str, Any]:
    """The plain object in the file of a cache; empty if it is missing, damaged or newer."""
    try:
        return load(path) or {}
    except RecordError:
        return {}


def load(path: Path, *, newest: int | None = 1, most: int = MOST_BYTES) -> dict[str, Any] | None:
    """The plain object in the file at `path`, of which only the version is checked. Raises like `read`."""
    try:
        content = files.read_bytes(path, most)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RecordError(_("{path} can't be read: {reason}.").format(path=path, reason=reason_of(error)),
                          _advice()) from error  # fmt: skip
    with translate_misfits(path):
        found = plain_object(parse(content))
        version = 0 if newest is None else decode(found, _Versioned).version
    if newest is not None and version > newest:
        raise NewerRecordError(_("{path} was made by a newer LLM Studio.").format(path=path), _("Update the program."))
    return found


@contextlib.contextmanager
def translate_misfits(path: Path) -> Generator[None]:
    """Turn a Misfit in the content of a file into a RecordError."""
    try:
        yield
    except Misfit as error:
        raise damaged(path, error) from error


def damaged(path: Path, problem: Misfit) -> RecordError:
    """The error for a file with this problem in its content."""
    return RecordError(_("{path} is damaged: {reason}.").format(path=path, reason=problem), _advice())


def _advice() -> str:
    return _("Restore it from a copy, or delete it.")


def keep_aside(path: Path) -> Path:
    """Rename a damaged file, so that it isn't overwritten; returns the new path. Raises OSError."""
    for suffix in (".damaged", *(f".damaged-{number}" for number in range(2, 100))):
        aside = path.with_name(path.name + suffix)
        if not os.path.lexists(aside):
            path.rename(aside)
            return aside
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a log with their line ends. A line that is too long is split into parts, none of which is a
    record."""
    while line := stream.readline(LONGEST_LINE):
        yield line


def parse_line(line: bytes | str) -> dict[str, Any] | None:
    """The plain object in a line of a log; None if there is none, as in a line cut off by a crash."""
    try:
        return plain_object(parse(line))
    except Misfit:
        return None

"""A run's log: one JSON line per event, the same lines that `--json` prints."""

import contextlib
import math
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any

from llm_studio import files, records
from llm_studio.errors import StorageError
from llm_studio.events import Event, StepDone, to_json
from llm_studio.i18n import _, size
from llm_studio.records import Count

MOST_BYTES = 4_000_000_000
"""Most bytes of a log: those of 15 million steps."""
_BLOCK = 1 << 16
"""Bytes read at once."""


class RunLog:
    """Appends events to the log at `path`. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[bytes] | None = None
        self._unwritten = b""

    def __enter__(self) -> "RunLog":
        with files.translate_os_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # unbuffered: data that a full disk rejects must not remain in a buffer and fail again on closing
            self._stream = files.open_to_append(self._path)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._stream:
            self._stream.close()
            self._stream = None

    def write(self, event: Event) -> None:
        """Append one event; when this returns, the operating system has it. Raises StorageError.

        An event that couldn't be written is kept and written before the next one.
        """
        self._unwritten += (to_json(event) + "\n").encode()
        self.flush()

    def flush(self) -> None:
        """Write the events that couldn't be written so far. Raises StorageError."""
        assert self._stream, "use RunLog in a with statement"
        with files.translate_os_errors(self._path):
            while self._unwritten:
                self._unwritten = self._unwritten[self._stream.write(self._unwritten) :]

    def to_disk(self) -> None:
        """Wait until the log is on disk, as needed by a checkpoint that survives a power cut. Thread-safe."""
        with files.translate_os_errors(self._path):
            files.flush_to_disk(self._path)

    def cut_after(self, step: int, evaluated: bool = True) -> None:
        """Remove the records of later steps, which will be repeated, but keep those of earlier rollbacks."""
        self.__exit__()
        try:
            cut_after(self._path, step, evaluated, resumed=False)
        finally:
            self.__enter__()


@contextlib.contextmanager
def open_log(path: Path, most: int = MOST_BYTES) -> Generator[IO[bytes]]:
    """Open the log at `path` for reading. Raises StorageError if that fails or it is larger than any run's log."""
    with files.explain_unreadable(path), files.open_regular(path) as log:
        if os.fstat(log.fileno()).st_size > most:
            raise StorageError(
                _("The log {path} is larger than {size}: it is damaged.").format(path=path, size=size(most)),
                _("Move it elsewhere: the run can be resumed, with a new log."),
            )
        yield log


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a log; lines cut off by a crash and lines without a record are skipped. Raises StorageError."""
    if not path.exists():
        return
    with open_log(path) as log:
        for line in records.lines(log):
            record = parse(line)
            if record is not None:
                yield record


def last_step(path: Path) -> int:
    """The last step in a log; 0 if there is none or it can't be read. Only the end of the file is read."""
    with contextlib.suppress(OSError, StorageError), open_log(path) as log:
        for _start, line in _reversed_lines(log):
            record = parse(line)
            if record is not None and record.get("event") == StepDone.kind and _step_of(record) is not None:
                return _step_of(record) or 0
    return 0


def parse(line: bytes) -> dict[str, Any] | None:
    """The record in a line; None if the line is incomplete."""
    return records.parse_line(line.decode(errors="replace"))


def _step_of(record: dict[str, Any]) -> int | None:
    """The step of a record; None if it isn't a valid step."""
    try:
        return records.reader(Count)(record.get("step", 0))
    except records.Misfit:
        return None


def cut_after(path: Path, step: int, evaluated: bool = True, resumed: bool = True) -> None:
    """Remove the records of later steps, which will be repeated.

    With `evaluated` false the checkpoint of `step` was saved before its evaluation, which will be repeated as well;
    with `resumed`, a rollback to that step is removed too, since the run may roll back to it once more.
    """
    if not path.exists():
        return
    repeated = {"rollback"} if resumed else set[str]()
    repeated |= set() if evaluated else {"evaluation", "sample"}
    kept: list[bytes] = []
    end, unchanged = 0, True
    with files.translate_os_errors(path), open_log(path) as log:
        for start, line in _reversed_lines(log):
            record, ended = parse(line), line.endswith(b"\n")
            step_of = None if record is None else _step_of(record)
            at = math.inf if step_of is None else step_of
            if record and ended and record.get("event") == StepDone.kind and at <= step:
                end = start + len(line)  # steps ascend: everything before it is kept
                break
            again = record is not None and str(record.get("event")) in repeated
            keep = record is not None and (at < step or (at == step and not again))
            kept += [line if ended else line + b"\n"] if keep else []
            unchanged = unchanged and keep and ended
    if not unchanged:
        with files.atomic_write(path) as partial, files.open_regular(path) as log, partial.open("wb") as target:
            _copy(log, target, end)
            target.writelines(reversed(kept))


def _reversed_lines(log: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of a log from the last to the first, each with its offset. Only one block is in memory.

    A line that is too long is split into parts, none of which is a record.
    """
    offset, rest = log.seek(0, os.SEEK_END), b""
    while offset:
        if len(rest) > records.LONGEST_LINE:
            yield offset, rest
            rest = b""
        before = max(0, offset - _BLOCK)
        log.seek(before)
        first, *lines = (log.read(offset - before) + rest).splitlines(keepends=True)
        offset, rest = before, first
        start = before + len(first) + sum(map(len, lines))
        for line in reversed(lines):
            start -= len(line)
            yield start, line
    if rest:
        yield 0, rest


def _copy(source: IO[bytes], target: IO[bytes], length: int) -> None:
    """Copy the first `length` bytes of a file to another one."""
    while length and (block := source.read(min(_BLOCK, length))):
        target.write(block)
        length -= len(block)

"""A run's log: one JSON line for each event, the same lines that `--json` prints."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from llm_studio import files
from llm_studio.events import Event, StepDone, to_json

_BLOCK = 1 << 16
"""Bytes read in one go."""


class RunLog:
    """Appends events to the log at `path`. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[bytes] | None = None
        self._unwritten = b""

    def __enter__(self) -> "RunLog":
        with files.translate_os_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # unbuffered: what a full disk refuses must not wait in a buffer to fail again when closed
            self._stream = self._path.open("ab", buffering=0)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._stream:
            self._stream.close()
            self._stream = None

    def write(self, event: Event) -> None:
        """Append one event; it is with the operating system when this returns.

        Where the disk is full it is kept, and written before what comes next.
        """
        self._unwritten += (to_json(event) + "\n").encode()
        self.flush()

    def flush(self) -> None:
        """Write what the disk refused so far. Raises StorageError."""
        assert self._stream, "use RunLog in a with statement"
        with files.translate_os_errors(self._path):
            while self._unwritten:
                self._unwritten = self._unwritten[self._stream.write(self._unwritten) :]

    def to_disk(self) -> None:
        """Wait until it is on the disk: a checkpoint that outlives a power cut needs its log. From any thread."""
        with files.translate_os_errors(self._path):
            files.flush_to_disk(self._path)

    def cut_after(self, step: int, evaluated: bool = True) -> None:
        """Forget what it says of later steps, to which the training comes back; not that it did so before."""
        self.__exit__()
        try:
            cut_after(self._path, step, evaluated, resumed=False)
        finally:
            self.__enter__()


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a log, without a last line torn by a crash."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            record = _record(line)
            if record is not None:
                yield record


def _record(line: bytes) -> dict[str, Any] | None:
    """What a line holds; None where it is torn."""
    try:
        record = json.loads(line.decode(errors="replace"))
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def cut_after(path: Path, step: int, evaluated: bool = True, resumed: bool = True) -> None:
    """Forget what the log says of later steps: they are about to be done again.

    Where the checkpoint of `step` was saved before its evaluation, that evaluation will be done again as well; and a
    run `resumed` there goes back to that checkpoint once more, if it must.
    """
    if not path.exists():
        return
    again = {"rollback"} if resumed else set[str]()
    again |= set() if evaluated else {"evaluation", "sample"}
    kept: list[bytes] = []
    end, whole = 0, True
    with files.translate_os_errors(path), path.open("rb") as log:
        for start, line in _from_the_end(log):
            record, ended = _record(line), line.endswith(b"\n")
            at = record.get("step", 0) if record else math.inf
            if record and ended and record.get("event") == StepDone.kind and at <= step:
                end = start + len(line)  # steps ascend: all before it stays
                break
            stays = record is not None and (at < step or (at == step and record.get("event") not in again))
            kept += [line if ended else line + b"\n"] if stays else []
            whole = whole and stays and ended
    if not whole:
        with files.atomic_write(path) as beside, path.open("rb") as log, beside.open("wb") as left:
            _copy(log, left, end)
            left.writelines(reversed(kept))


def _from_the_end(log: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of a log from the last to the first, each with its place. Never much of it is in memory."""
    place, rest = log.seek(0, os.SEEK_END), b""
    while place:
        before = max(0, place - _BLOCK)
        log.seek(before)
        first, *lines = (log.read(place - before) + rest).splitlines(keepends=True)
        place, rest = before, first
        start = before + len(first) + sum(map(len, lines))
        for line in reversed(lines):
            start -= len(line)
            yield start, line
    if rest:
        yield 0, rest


def _copy(source: IO[bytes], target: IO[bytes], length: int) -> None:
    """The first `length` bytes of a file to another one."""
    while length and (block := source.read(min(_BLOCK, length))):
        target.write(block)
        length -= len(block)

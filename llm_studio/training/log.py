"""A run's log: one JSON line for each event, the same lines that `--json` prints."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from llm_studio import files
from llm_studio.events import Event, to_json


class RunLog:
    """Appends events to the log at `path`. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[bytes] | None = None
        self._unwritten = b""

    def __enter__(self) -> "RunLog":
        with files.explained(self._path):
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
        with files.explained(self._path):
            while self._unwritten:
                self._unwritten = self._unwritten[self._stream.write(self._unwritten) :]

    def to_disk(self) -> None:
        """Wait until it is on the disk: a checkpoint that outlives a power cut needs its log. From any thread."""
        with files.explained(self._path):
            files.flush_to_disk(self._path)

    def cut_after(self, step: int, evaluated: bool = True) -> None:
        """Forget what it says of later steps, to which the training comes back; not that it did so before."""
        self.__exit__()
        cut_after(self._path, step, evaluated, resumed=False)
        self.__enter__()


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a log, without a last line torn by a crash."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record


def cut_after(path: Path, step: int, evaluated: bool = True, resumed: bool = True) -> None:
    """Forget what the log says of later steps: they are about to be done again.

    Where the checkpoint of `step` was saved before its evaluation, that evaluation will be done again as well; and a
    run `resumed` there goes back to that checkpoint once more, if it must.
    """
    if not path.exists():
        return
    again = {"rollback"} if resumed else set[str]()
    again |= set() if evaluated else {"evaluation", "sample"}
    kept = [r for r in read(path) if r.get("step", 0) < step or (r.get("step") == step and r.get("event") not in again)]
    files.write_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept))

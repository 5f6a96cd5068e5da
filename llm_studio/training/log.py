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

    def __enter__(self) -> "RunLog":
        with files.explained(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # unbuffered: what a full disk refuses must not wait in a buffer to fail again when closed
            self._stream = self._path.open("ab", buffering=0)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._stream:
            self._stream.close()

    def write(self, event: Event) -> None:
        """Append one event; it is with the operating system when this returns."""
        assert self._stream, "use RunLog in a with statement"
        line = (to_json(event) + "\n").encode()
        with files.explained(self._path):
            while line:
                line = line[self._stream.write(line) :]


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


def cut_after(path: Path, step: int, evaluated: bool = True) -> None:
    """Forget what the log says of later steps: they are about to be done again.

    Where the checkpoint of `step` was saved before its evaluation, that evaluation will be done again as well.
    """
    if not path.exists():
        return
    again = () if evaluated else ("evaluation", "sample")
    kept = [r for r in read(path) if r.get("step", 0) < step or (r.get("step") == step and r.get("event") not in again)]
    files.write_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept))

"""A run's log: one JSON line for each event, the same lines that `--json` prints."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from llm_studio import files
from llm_studio.events import Event, to_json


class RunLog:
    """Appends events to the log at `path`. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: TextIO | None = None

    def __enter__(self) -> "RunLog":
        with files.explained(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("a", encoding="utf-8", newline="\n", buffering=1)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._stream:
            self._stream.close()

    def write(self, event: Event) -> None:
        """Append one event; it is with the operating system when this returns."""
        assert self._stream, "use RunLog in a with statement"
        with files.explained(self._path):
            self._stream.write(to_json(event) + "\n")


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


def cut_after(path: Path, step: int) -> None:
    """Forget what the log says of later steps: they are about to be done again."""
    if not path.exists():
        return
    kept = [json.dumps(record, ensure_ascii=False) for record in read(path) if record.get("step", 0) <= step]
    files.write_text(path, "".join(line + "\n" for line in kept))

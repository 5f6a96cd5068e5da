"""The decisions of the clock in a run: a journal in its folder, one line of JSON for each.

    decisions.jsonl    {"v": 1, "kind": "horizon", "step": 120, ...}

What the clock decides and weights depend on (when the run ends, how many threads compute) can't be computed again. It
is written down, and on the disk, before it is used, and never cut back: a run that is resumed from an earlier
checkpoint takes the same decisions at the same steps.
"""

import json
import os
from pathlib import Path
from typing import Any

from llm_studio import files

VERSION = 1
FILE = "decisions.jsonl"
_LONGEST_LINE = 4_000
_LARGEST = 50_000_000
"""Bytes that are read at most: more than any run writes."""


class DecisionLog:
    """The journal of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._decisions = _read(self.path)

    def of_kind(self, kind: str) -> dict[int, dict[str, Any]]:
        """The decisions of a kind by step, the last one of each."""
        return {entry["step"]: entry for entry in self._decisions if entry["kind"] == kind}

    def append(self, kind: str, step: int, **values: Any) -> None:
        """Write a decision that was made after `step` steps. On return it is on the disk. Raises StorageError."""
        entry = {"v": VERSION, "kind": kind, "step": step, **values}
        line = json.dumps(entry).encode() + b"\n"
        with files.translate_os_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                whole = os.fstat(file.fileno()).st_size
                try:
                    file.write(line if _ends_a_line(self.path) else b"\n" + line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:  # half a line would be no decision, but the next one would be joined to it
                    file.truncate(whole)
                    raise
        self._decisions.append(entry)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return True
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _read(path: Path) -> list[dict[str, Any]]:
    """The decisions in a journal; lines that are damaged are left out, as the last one after a crash."""
    try:
        with path.open("rb") as file:
            lines = file.read(_LARGEST).split(b"\n")
    except OSError:
        return []
    return [entry for entry in map(_parsed, lines) if entry is not None]


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line or len(line) > _LONGEST_LINE:
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or entry.get("v") != VERSION:
        return None
    known = isinstance(entry.get("kind"), str) and type(entry.get("step")) is int and entry["step"] >= 0
    return entry if known else None

"""Decisions of a run that depend on the clock and affect its weights: decisions.jsonl in its folder.

The momentary speed of a machine can't be reproduced. So each decision that depends on it is written down, with its
step, before it is used: a run that was killed and resumed finds the decision when it reaches that step again, and ends
with identical weights. The file only grows: no resume and no rollback cuts it.
"""

import json
import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from llm_studio import files, records
from llm_studio.records import Count

FILE = "decisions.jsonl"
VERSION = 1
MOST = 20_000
"""Most decisions of one run."""
LONGEST = 4096
"""Most bytes of a line."""
_RESERVED = {"v", "step", "kind"}


@dataclass(frozen=True)
class Decision:
    """Made after `step` steps, and used from the next one on. `values` by name are JSON values."""

    step: Count
    kind: str
    values: dict[str, Any]


class DecisionLog:
    """The decisions of the run in `folder`, including those of earlier sessions. Not thread-safe.

    New decisions are made only at steps that are done for the first time: after a rollback, not before the run is past
    the step where it diverged.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        lines = _lines(self._path)
        self._decisions = list(islice(filter(None, map(_parsed, lines)), MOST))
        self.damaged = sum(_parsed(line) is None and line.endswith(b"}") for line in lines)
        """Number of complete lines that can't be read: their decisions aren't repeated."""

    @property
    def full(self) -> bool:
        """Whether no more decisions can be recorded, so that none may be made."""
        return len(self._decisions) >= MOST

    def of_kind(self, kind: str) -> dict[int, Decision]:
        """All decisions of this kind, by step."""
        return {decision.step: decision for decision in self._decisions if decision.kind == kind}

    def latest(self, kind: str, step: int) -> Decision | None:
        """The decision of this kind in effect after `step` steps: the last one made at or before that step."""
        made = [decision for decision in self._decisions if decision.kind == kind and decision.step <= step]
        return max(made, key=lambda decision: decision.step, default=None)

    def made_at(self, kind: str, step: int) -> Decision | None:
        """The decision of this kind made after exactly `step` steps, which a resumed run repeats."""
        found = self.latest(kind, step)
        return found if found and found.step == step else None

    def last_step(self, kind: str) -> int:
        """The step of the last decision of this kind; -1 if there is none.

        It may be ahead of a resumed run, which makes no new decisions of this kind until it is past that step.
        """
        return max((decision.step for decision in self._decisions if decision.kind == kind), default=-1)

    def record(self, step: int, kind: str, **values: Any) -> Decision:
        """Record a decision. When this returns, it is on disk and may be used.

        Raises StorageError if it can't be written, and ValueError if this kind is already decided up to `step`, the log
        is full, or the line is too long. Nothing is decided then.
        """
        line = json.dumps({"v": VERSION, "step": step, "kind": kind, **values}, ensure_ascii=False).encode() + b"\n"
        if step <= self.last_step(kind) or self.full or len(line) > LONGEST or _RESERVED & set(values):
            raise ValueError(f"can't be recorded, after decisions up to step {self.last_step(kind)}: {line[:100]!r}")
        files.require_folder(self._path.parent.parent)
        with files.translate_os_errors(self._path):
            self._path.parent.mkdir(exist_ok=True)
            _append(self._path, line)
            files.flush_to_disk(self._path.parent)
        decision = _parsed(line)  # as a resumed run will read it
        assert decision
        self._decisions.append(decision)
        return decision


def _append(path: Path, line: bytes) -> None:
    """Append a line and wait until it is on disk. If that fails, the file is unchanged."""
    with files.open_to_append(path) as log:
        end = log.seek(0, os.SEEK_END)
        rest = _missing_break(log, end) + line
        try:
            while rest:
                rest = rest[log.write(rest) :]
            os.fsync(log.fileno())
        except OSError:
            log.truncate(end)
            raise


def _missing_break(log: IO[bytes], end: int) -> bytes:
    """The missing line break at the end, if a crash cut off the last line."""
    log.seek(max(0, end - 1))
    return b"\n" if log.read(1) not in (b"", b"\n") else b""


def _lines(path: Path) -> list[bytes]:
    """The complete lines of a file. A line that a crash cut off is ignored, as it was never used."""
    if not path.exists():
        return []
    with files.explain_unreadable(path), files.open_regular(path) as log:
        return log.read(MOST * LONGEST).splitlines()


def _parsed(line: bytes) -> Decision | None:
    """The decision in a line; None if there is none."""
    record = records.parse_line(line) if len(line) <= LONGEST else None
    if record is None:
        return None
    values = {name: value for name, value in record.items() if name not in _RESERVED}
    try:
        return records.decode(record, Decision, {"values": values})
    except records.Misfit:
        return None

"""What the clock decides in a run and its weights depend on: decisions.jsonl in its folder.

How fast a machine is at a moment can't be repeated. So whatever is decided by it is written down, with its step, before
it is used: a run that was killed and resumed finds the decision when it reaches that step again, and ends with the very
same weights. The file only grows: no resume and no rollback cuts it.
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
"""Decisions of one run."""
LONGEST = 4096
"""Bytes of a line."""
_RESERVED = {"v", "step", "kind"}


@dataclass(frozen=True)
class Decision:
    """Made after `step` steps, and used from the next one on. `values` by name are what JSON can hold."""

    step: Count
    kind: str
    values: dict[str, Any]


class DecisionLog:
    """The decisions of the run in `folder`, those of earlier sessions included. Used from one thread.

    A run decides only at steps that it does for the first time: after a rollback, not before it is past the step where
    it diverged.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        lines = _lines(self._path)
        self._decisions = list(islice(filter(None, map(_parsed, lines)), MOST))
        self.damaged = sum(_parsed(line) is None and line.endswith(b"}") for line in lines)
        """Lines that were written whole and can't be read: what they decided isn't repeated."""

    @property
    def full(self) -> bool:
        """Whether nothing more can be recorded, so that nothing more may be decided."""
        return len(self._decisions) >= MOST

    def of_kind(self, kind: str) -> dict[int, Decision]:
        """All decisions of this kind, by step."""
        return {decision.step: decision for decision in self._decisions if decision.kind == kind}

    def latest(self, kind: str, step: int) -> Decision | None:
        """The decision of this kind that holds after `step` steps: the last one made at that step or before."""
        made = [decision for decision in self._decisions if decision.kind == kind and decision.step <= step]
        return max(made, key=lambda decision: decision.step, default=None)

    def made_at(self, kind: str, step: int) -> Decision | None:
        """The decision of this kind made after exactly `step` steps, which a resumed run repeats."""
        found = self.latest(kind, step)
        return found if found and found.step == step else None

    def last_step(self, kind: str) -> int:
        """The step of the last decision of this kind; -1 where there is none.

        It may lie ahead of a resumed run, which decides nothing of this kind by the clock before it is past it.
        """
        return max((decision.step for decision in self._decisions if decision.kind == kind), default=-1)

    def record(self, step: int, kind: str, **values: Any) -> Decision:
        """Write down a decision. When this returns, it is on the disk and may be used.

        Raises StorageError where the disk refuses it, and ValueError where this kind is already decided up to `step`,
        the log is full, or the line too long. Nothing is decided then.
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
    """Append a line and wait until it is on the disk. Where that fails, the file is as it was before."""
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
    """The line break that is missing at the end, where a crash tore the last line."""
    log.seek(max(0, end - 1))
    return b"\n" if log.read(1) not in (b"", b"\n") else b""


def _lines(path: Path) -> list[bytes]:
    """The lines of a file. One that a crash tore has no end; it is none, as it was never used."""
    if not path.exists():
        return []
    with files.explain_unreadable(path), files.open_regular(path) as log:
        return log.read(MOST * LONGEST).splitlines()


def _parsed(line: bytes) -> Decision | None:
    """The decision in a line; None where there is none."""
    record = records.parse_line(line) if len(line) <= LONGEST else None
    if record is None:
        return None
    values = {name: value for name, value in record.items() if name not in _RESERVED}
    try:
        return records.decode(record, Decision, {"values": values})
    except records.Misfit:
        return None

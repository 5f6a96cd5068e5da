"""Finds a few records in a long log without parsing all of it: a log of 100,000 steps has 20 MB."""

import contextlib
import math
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_studio.events import StepDone
from llm_studio.runs.log import open_log, parse

_STEP = re.compile(rb'"step": (\d{1,15})\b')
_LINE = 250
"""Typical upper limit of the bytes of a line."""


class LogIndex:
    """The log at `path` as it is now, or an empty log if it is missing. Use it as a context manager, since the file is
    mapped into memory meanwhile.

    Raises StorageError if it can't be read or is larger than any run's log.
    """

    def __init__(self, path: Path | None) -> None:
        self._data: bytes | mmap.mmap = b""
        if path is not None and path.exists():
            with open_log(path) as stream, contextlib.suppress(ValueError):  # an empty file can't be mapped
                self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def __enter__(self) -> "LogIndex":
        return self

    def __exit__(self, *_error: object) -> None:
        if isinstance(self._data, mmap.mmap):
            self._data.close()

    def records(self, kind: str) -> Iterator[dict[str, Any]]:
        """All events of a rare kind."""
        needle, place = f'"event": "{kind}"'.encode(), -1
        while (place := self._data.find(needle, place + 1)) >= 0:
            record = parse(self._line(place))
            if record is not None and record.get("event") == kind:
                yield record

    def steps_near(self, step: int, distance: int) -> list[dict[str, Any]]:
        """The records of the steps that are at most `distance` away, if they are near in the log, too."""
        place, around = self._place_of(step), _LINE * (distance + 2)
        lines = self._data[max(0, place - around) : place + around].splitlines()
        found = [record for line in lines if (record := parse(line)) and record.get("event") == StepDone.kind]
        return [record for record in found if abs(count(record, "step", -1) - step) <= distance]

    def _place_of(self, step: int) -> int:
        """The offset of the first line with a step of at least `step`: steps ascend."""
        low, high = 0, len(self._data)
        while low < high:
            middle = (low + high) // 2
            found = _STEP.search(self._line(middle))
            if found and int(found[1]) < step:
                low = self._end(middle)
            else:
                high = self._begin(middle)
        return low

    def _line(self, place: int) -> bytes:
        return self._data[self._begin(place) : self._end(place)]

    def _begin(self, place: int) -> int:
        return self._data.rfind(b"\n", 0, place) + 1

    def _end(self, place: int) -> int:
        """The offset after the line break of the line at `place`."""
        end = self._data.find(b"\n", place)
        return len(self._data) if end < 0 else end + 1


def count(record: dict[str, Any], name: str, default: int) -> int:
    """A whole number of a record; `default` if it is missing or damaged."""
    value = record.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def quantity(record: dict[str, Any], name: str) -> float | None:
    """A number of a record; None if it is missing, damaged or infinite."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None

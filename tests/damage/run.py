"""Tries cases in processes of their own: one that hangs or dies is a result, and the next process goes on after it."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.damage.cases import FAILURES, Case
from tests.damage.project import QUIET
from tests.damage.ways import WAYS

_START = 300.0
"""Seconds for a process to import all libraries and to do everything once, on a busy machine."""


@dataclass(frozen=True)
class Result:
    """What came of an operation on a damaged project; `operation` "all": what all of them together have lost."""

    case: Case
    operation: str
    kind: str
    detail: str
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether it is one of FAILURES."""
        return self.kind in FAILURES

    def __str__(self) -> str:
        return f"{self.kind:<9} {self.operation:<11} {self.case}\n{'':10}{self.detail[:300]}"


def run(
    place: Path, cases: Sequence[Case], with_window: bool, progress: Callable[[int], object] = lambda _done: None
) -> list[Result]:
    """Try the cases on the project in `place`."""
    left, results = list(cases), list[Result]()
    while left:
        found, begun = _child(place, left, with_window)
        results += found
        done = {result.case for result in found if result.operation == "all"}
        if begun is not None:
            done.add(begun.case)
            results.append(begun)
        left = [case for case in left if case not in done]
        progress(len(cases) - len(left))
    return results


def _child(place: Path, cases: Sequence[Case], with_window: bool) -> tuple[list[Result], Result | None]:
    """The results of a process, and what it had begun when it ended before its time."""
    plan, lines = place.parent / "plan.json", place.parent / "results.jsonl"
    lines.unlink(missing_ok=True)
    content = {"project": str(place), "cases": cases, "window": with_window, "results": str(lines)}
    plan.write_text(json.dumps(content), encoding="utf-8")
    with (place.parent / "errors.txt").open("a", encoding="utf-8") as errors:
        start = errors.tell()
        done = subprocess.run(
            [sys.executable, "-m", "tests.damage.child", str(plan)], stdin=subprocess.DEVNULL, check=False,
            stdout=subprocess.DEVNULL, stderr=errors, timeout=_START + 60 * len(cases),
            env={**os.environ, **QUIET},
        )  # fmt: skip
    found, begun = list[Result](), None
    for line in map(json.loads, lines.read_text(encoding="utf-8").splitlines() if lines.exists() else ()):
        begun = line if "kind" not in line else None
        if begun is None:
            found.append(_result(line))
    with (place.parent / "errors.txt").open(encoding="utf-8", errors="replace") as errors:
        errors.seek(start)
        last = errors.read()
    if not found and begun is None:
        raise RuntimeError(f"the process that tries the cases ended with code {done.returncode}\n{last}")
    if begun is None or done.returncode == 0:
        return found, None
    hung = "Timeout (" in last
    where = next((line.strip() for line in last[last.rfind("Timeout (") :].splitlines() if "/llm_studio/" in line), "")
    detail = where if hung else f"the process ended with code {done.returncode}"
    return found, _result({**begun, "kind": "hang" if hung else "traceback", "detail": detail, "seconds": 0.0})


def _result(line: dict[str, Any]) -> Result:
    return Result(Case(*line["case"]), *(line[name] for name in ("operation", "kind", "detail", "seconds")))


def table(results: Sequence[Result]) -> str:
    """How often each outcome came, by way of damaging."""
    kinds = ["as before", "said", "sentence", "altered", *FAILURES]
    counts = Counter((result.case.way, result.kind) for result in results)
    rows = [["", *kinds], *([way, *(str(counts[way, kind] or "") for kind in kinds)] for way in WAYS)]
    rows.append(["all", *(str(sum(counts[way, kind] for way in WAYS)) for kind in kinds)])
    return "\n".join("".join(f"{cell:>11}" for cell in row) for row in rows)

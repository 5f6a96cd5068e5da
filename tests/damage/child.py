"""The process that tries cases: `python -m tests.damage.child PLAN`. It may be ended at any moment.

PLAN is JSON: the folder of the project, the cases, whether to start the window, the file for the results.
"""

import faulthandler
import hashlib
import json
import os
import resource
import shutil
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from llm_studio.openmp import wait_briefly
from tests.damage.cases import Case, Verdict, damage, judge
from tests.damage.operations import Operation, attempt, operations
from tests.damage.window import Window

PATIENCE = 60.0
"""Seconds after which an operation hangs; the machine may be busy."""
MOST_SECONDS = 5.0
"""Of the processor, for an operation."""
_REMEMBERED = ("baselines.json", "tokenizer.figures.json", "writing.json")
"""What was measured once, and is measured again when something has changed."""
_TOKENS = "project/data/processed/"
MOST_MEMORY = 3 << 30
"""Bytes of address space beyond what the libraries take: whoever reads a huge file as a whole fails at once."""


def main() -> None:
    """Try the cases, and write a line for the beginning and the end of each operation."""
    wait_briefly()
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    base, copy = Path(plan["project"]), Path(plan["project"]).with_name("copy")
    os.environ["LLM_STUDIO_HOME"] = str(copy / "home")
    with Path(plan["results"]).open("a", encoding="utf-8", buffering=1) as results:
        trial = _Trial(base, copy, plan["window"], results)
        for case in plan["cases"]:
            trial.attempt(Case(*case))


def _records(name: str, case: Case) -> bool:
    """Whether damage to that file is recorded in this one: a run that finds damaged tokens says so in their record."""
    return name == _TOKENS + "meta.json" and case.file.startswith(_TOKENS)


class _Trial:
    def __init__(self, base: Path, copy: Path, with_window: bool, results: Any) -> None:
        self._base, self._copy, self._results = base, copy, results
        self._renew()
        window = Window() if with_window else None
        self._window = window
        self._operations = operations(window)
        self._before = {name: attempt(operation, copy / "project") for name, operation in self._operations.items()}
        wrong = {name: out.error for name, out in self._before.items() if out.error}
        assert not wrong, wrong
        _limit_memory()

    def _renew(self) -> None:
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self._base, self._copy)

    def attempt(self, case: Case) -> None:
        """Damage a fresh copy and do everything with it."""
        self._renew()
        outside = damage(self._copy, case)
        kept = _digests(self._copy, case)
        content = outside.read_bytes() if outside.is_file() else b""
        for name, operation in self._operations.items():
            self._write({"case": case, "operation": name})
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            began = time.process_time()
            verdict = self._verdict(case, name, operation)
            seconds = time.process_time() - began
            faulthandler.cancel_dump_traceback_later()
            if seconds > MOST_SECONDS and verdict.kind != "traceback":
                verdict = Verdict("slow", f"{seconds:.1f} s of the processor")
            self._write({"case": case, "operation": name, "kind": verdict.kind, "detail": verdict.detail,
                         "seconds": round(seconds, 3)})  # fmt: skip
        now = _digests(self._copy, case)
        lost = sorted(name for name, digest in kept.items() if now.get(name) != digest and not _records(name, case))
        if outside.is_file() and outside.read_bytes() != content:
            lost.append("what the link leads to")
        self._write({"case": case, "operation": "all", "kind": "lost" if lost else "as before",
                     "detail": ", ".join(lost), "seconds": 0.0})  # fmt: skip

    def _verdict(self, case: Case, name: str, operation: Operation) -> Verdict:
        try:
            if name == "window" and self._window is not None and case.file.startswith("home/"):
                self._window.restart()
            return judge(case, self._before[name], attempt(operation, self._copy / "project"))
        except BaseException as error:  # a panic of a library in Rust is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = "".join(traceback.format_exception(error))
            print(f"{case} {name}\n{text}", file=sys.stderr, flush=True)
            place = f"{Path(where.filename).name}:{where.lineno}"
            return Verdict("traceback", f"{type(error).__name__}: {' '.join(str(error).split())[:150]} ({place})")

    def _write(self, line: object) -> None:
        self._results.write(json.dumps(line) + "\n")


def _limit_memory() -> None:
    used = next(int(line.split()[1]) << 10 for line in Path("/proc/self/status").read_text("utf-8").splitlines()
                if line.startswith("VmSize"))  # fmt: skip
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, resource.RLIM_INFINITY))


def _digests(root: Path, case: Case) -> dict[str, str]:
    """What no operation may change: all but the damaged file, what resuming writes and what is remembered."""
    written = ("project/checkpoints/run-2/", "project/logs/run-2", "home/", "outside", case.file)
    found: dict[str, str] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        remembered = path.name.startswith(".") or path.name in _REMEMBERED or ".locks" in path.parts
        if path.is_file() and not path.is_symlink() and not name.startswith(written) and not remembered:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


if __name__ == "__main__":
    main()

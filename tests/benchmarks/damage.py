"""Damages every file of a project in ten ways and tries all operations on it: `python -m tests.benchmarks damage`.

Expected: no traceback, no hang, no intact data hidden, no damaged data used silently, nothing lost. `--case
FILE:WAY:SEED` repeats one case and prints the result of each operation.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.damage import cases, project
from tests.damage.run import Result, run, table

SEEDS = 3
"""Number of seeds for each random way of damaging."""


def main(only: Sequence[str] = (), seeds: int = SEEDS) -> None:
    """Damage the files, try the operations, print the results."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "base"
        place.mkdir()
        project.make(place, with_window=True)
        files = project.files_of(place)
        chosen = [cases.parse(_with_chat(text, files)) for text in only] or cases.all_cases(files, seeds)
        began = time.monotonic()
        results = run(place, chosen, with_window=True, progress=lambda done: print(f"  {done} cases", flush=True))
        print(f"{len(chosen)} cases on {len(files)} files, {len(results)} operations, "
              f"{(time.monotonic() - began) / 60:.1f} min", flush=True)  # fmt: skip
        if only:
            print("\n".join(map(str, results)))
            print((Path(folder) / "errors.txt").read_text(encoding="utf-8", errors="replace"), file=sys.stderr)
        _report(results)


def _with_chat(text: str, files: Sequence[str]) -> str:
    """The case with the name of this project's chat, since a chat's name contains the time of its creation."""
    chat = next(file for file in files if "/chat-" in file)
    file, way, seed = text.rsplit(":", 2)
    return f"{chat if '/chat-' in file else file}:{way}:{seed}"


def _report(results: Sequence[Result]) -> None:
    print(table(results))
    failed = [result for result in results if result.failed]
    seconds = max((result.seconds for result in results), default=0.0)
    print(f"longest operation: {seconds:.1f} s of the processor; {len(failed)} of {len(results)} failed")
    for (kind, operation), count in Counter((r.kind, r.operation) for r in failed).most_common():
        print(f"{count:>6} {kind}, {operation}")
    for result in failed:
        print(f"{result}\n          again: python -m tests.benchmarks damage --case '{result.case}'")

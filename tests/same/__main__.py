"""`python -m tests.same`: see the package."""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.same.digests import Lines
from tests.same.models import LONG, export, failures, generate, records, resume, train
from tests.same.studio import Studio
from tests.same.texts import collect, prepare

HERE = Path(__file__).resolve().parents[2]


def everything(studio: Studio) -> None:
    """All sections, in the order in which a user comes to them."""
    for section in (collect, prepare, train, resume, generate, records, export, failures):
        began = time.perf_counter()
        section(studio)
        print(f"{section.__name__}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    for project in ("en", "fr"):
        studio.lines.folder(project, studio.root / project)


def opened(studio: Studio) -> None:
    """Projects made by another commit: nothing is out of date, runs are resumed, models generate."""
    for project in ("en", "fr"):
        studio.show(f"opened config {project}", "config", project)
        studio.show(f"opened stats {project}", "stats", project)
    studio.show("opened runs", "runs", "en", drop={"bytes"})
    studio.show("opened curve", "curve", "en", "adamw", drop={"text"})
    generate(studio)
    for run in LONG:
        studio.train(run, {"training.max_steps": 80}, "--resume")
    studio.train("further-2", {"training.max_steps": 5}, "--continue-from", "answers")
    studio.train("like-2", {}, "--like", "checkpointing")
    studio.show("opened prepare", "prepare", "en")
    for project in ("en", "fr"):
        studio.lines.folder(project, studio.root / project)


def main() -> int:
    parser = argparse.ArgumentParser(description="Print a hash of everything that the program makes.")
    parser.add_argument("--program", type=Path, default=HERE, help="the checkout to run; this one without it")
    parser.add_argument("--keep", type=Path, help="keep the projects in this new folder")
    parser.add_argument("--open", type=Path, help="open a copy of the projects that another commit has kept")
    parser.add_argument("--against", type=Path, help="compare with this earlier output")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="same-") as folder:
        root = Path(folder)
        lines = Lines(root)
        studio = Studio(root, options.program.resolve(), lines)
        print(studio.output("-c", "import llm_studio; print(llm_studio.__file__)").strip(), file=sys.stderr)
        if options.open:
            shutil.copytree(options.open, root, dirs_exist_ok=True)
        try:
            (opened if options.open else everything)(studio)
        finally:
            if options.keep:
                shutil.copytree(root, options.keep)
        lines.end()
    return differences(lines.lines, options.against) if options.against else 0


def differences(lines: Mapping[str, str], earlier: Path) -> int:
    """List on stderr the lines that differ from those in the file `earlier`; returns the exit code."""
    before = dict(line.rsplit(" ", 1) for line in earlier.read_text(encoding="utf-8").splitlines())
    names = [name for name in {**before, **lines} if name != "all" and before.get(name) != lines.get(name)]
    for name in names:
        kind = "NEW" if name not in before else "MISSING" if name not in lines else "DIFFERS"
        print(f"{kind}: {name}", file=sys.stderr)
    print(f"{len(before | lines) - len(names) - 1} lines are the same", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())

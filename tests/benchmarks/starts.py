"""Starts and closes the real window repeatedly and counts crashes.

`python -m tests.benchmarks.starts --count 300`; `--busy 2` starts two other processes that each keep a core busy,
`--keep FOLDER` keeps the logs of failed starts. Under Linux the windows open in a separate Xvfb.

`faulthandler` is enabled from the first line of each process. Any output of it counts as a crash, as does an exit
status other than 0 (or the signal that was sent). Errors and warnings in the program's log count as problems.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tests.tiny import project_with_tokens

WAYS = {
    "tabs": "show every tab, then close",
    "loaded": "close as soon as all tabs are made",
    "loading": "close at a random moment while the tabs are loaded",
    "restyle": "change the style of the whole window over and over while the tabs are loaded, then close",
    "terminated": "SIGTERM at a random moment",
}
COUNT = 100
PATIENCE = 180.0
"""Seconds after which a start counts as hanging."""
WITHOUT_PROJECT = 4
"""In every `WITHOUT_PROJECT`-th round of all ways, the window opens without a project."""
LONGEST_LOADING = 2.5
"""Seconds within which "loading" chooses a random moment ("terminated": twice as many), and after which "restyle"
stops."""
_BAD = ("Fatal Python error", "Traceback", " ERROR ", " WARNING ", " CRITICAL ", "Destroyed while thread")
_HARMLESS = ("plugin does not support", "OpenType support missing")
"""Warnings of Qt about Xvfb and about the fonts of the machine."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one start."""

    way: str
    problem: str
    """Empty if all went well."""
    seconds: float


def main(count: int = COUNT, busy: int = 0, keep: Path | None = None) -> None:
    """Start and close the window `count` times and print the number of failures."""
    counted: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, _screen() as screen, _busy(busy):
        project = _project(Path(folder) / "project")
        for number in range(count):
            outcome = _start(number, project, Path(folder) / "start", screen, keep)
            counted[outcome.way] += 1
            if outcome.problem:
                failed[outcome.way] += 1
                print(f"{number}, {outcome.way}, {outcome.seconds:.1f} s: {outcome.problem}", flush=True)
    for way, meaning in WAYS.items():
        print(f"{way:10} {counted[way]:4} starts, {failed[way]} failed ({meaning})")
    print(f"{count} starts beside {busy} busy processes, {failed.total()} failed (bar: 0)")


def _project(root: Path) -> Path:
    """A tiny project with a finished run, whose curves are drawn when the project is opened."""
    project = project_with_tokens(root)
    subprocess.run([sys.executable, "-m", "llm_studio", "train", str(root)], check=True, capture_output=True)
    return project.root


def _start(number: int, project: Path, folder: Path, screen: dict[str, str], keep: Path | None) -> Outcome:
    """Start and close the window once, with an empty home folder."""
    rounds, turn = divmod(number, len(WAYS))
    way = list(WAYS)[turn]
    opened = "" if rounds % WITHOUT_PROJECT == WITHOUT_PROJECT - 1 else str(project)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        "-m",
        "tests.benchmarks.starts",
        "--window",
        way,
        str(number),
        opened,
    ]
    environment = {**os.environ, **screen, "LLM_STUDIO_HOME": str(folder / "home"), "LLM_STUDIO_LANG": "en"}
    began = time.monotonic()
    with (folder / "output.txt").open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        status = _wait(process, way, number)
    problem = _problem(status, way, folder)
    if problem and keep is not None:
        shutil.copytree(folder, keep / f"{number:04}-{way}", dirs_exist_ok=True)
    return Outcome(way, problem, time.monotonic() - began)


def _wait(process: "subprocess.Popen[bytes]", way: str, number: int) -> int | None:
    """The exit status of the process; None if it hung."""
    if way == "terminated":
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(random.Random(number).uniform(0.2, 2 * LONGEST_LOADING))
        process.terminate()
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler then writes the stack
        process.wait()
        return None


def _problem(status: int | None, way: str, folder: Path) -> str:
    """A short description of the problem; "" if there was none."""
    if status is None:
        return f"no end after {PATIENCE:.0f} s"
    if status != 0 and not (way == "terminated" and status in (-signal.SIGTERM, 1)):
        return f"exit status {status}"
    texts = [folder / "output.txt", *(folder / "home").glob("logs/*")]
    lines = (line for path in texts for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    bad = (line for line in lines if any(word in line for word in _BAD) and not any(word in line for word in _HARMLESS))
    return next(bad, "")


@contextlib.contextmanager
def _screen() -> Generator[dict[str, str]]:
    """Environment variables for the windows: a separate Xvfb screen, or offscreen if Xvfb isn't installed."""
    if sys.platform == "win32":
        yield {}
    elif shutil.which("Xvfb") is None:
        yield {"QT_QPA_PLATFORM": "offscreen"}
    else:
        command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1600x1000x24"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            assert server.stdout is not None
            try:
                yield {"DISPLAY": f":{server.stdout.readline().strip()}", "QT_QPA_PLATFORM": "xcb"}
            finally:
                server.terminate()


@contextlib.contextmanager
def _busy(count: int) -> Generator[None]:
    """Start `count` other processes that only compute."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _number in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


# --- In a process of its own ------------------------------------------------------------------------------------


def _open_window(way: str, number: int, project: str) -> None:
    """Run the program itself, with a window that closes in the given way."""
    from llm_studio import __main__ as program
    from llm_studio.ui.window import app

    app.MainWindow = _driven_window(way, random.Random(number))  # pyright: ignore[reportPrivateImportUsage]
    sys.argv = ["llm-studio", *([project] if project else [])]
    program.main()


def _driven_window(way: str, rng: random.Random) -> Any:
    """A main window that closes itself in one of several ways."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from llm_studio.ui import tabs
    from llm_studio.ui.preferences import Preferences
    from llm_studio.ui.window.main_window import MainWindow

    class DrivenWindow(MainWindow):
        def __init__(self, preferences: Preferences) -> None:
            super().__init__(preferences)
            self._restyle_until = 0.0
            self._restyle = QTimer(self, interval=0)
            self._restyle.timeout.connect(self._change_style)
            self._shown = rng.sample([tab.name for tab in tabs.TABS], len(tabs.TABS))
            self._show = QTimer(self, interval=40)
            self._show.timeout.connect(self._show_next)
            self.pages_made.connect(self._on_made)

        def start(self, folder: str) -> None:
            super().start(folder)
            if way == "restyle":
                self._restyle_until = time.monotonic() + LONGEST_LOADING
                self._restyle.start()
            elif way == "loading":
                QTimer.singleShot(round(1000 * rng.uniform(0, LONGEST_LOADING)), self, self.close)

        def _on_made(self) -> None:
            self._restyle.stop()
            if way == "tabs":
                self._show.start()
            elif way in ("loaded", "restyle"):
                self.close()

        def _change_style(self) -> None:
            if time.monotonic() > self._restyle_until:
                self._restyle.stop()
            application = cast(QApplication, QApplication.instance())
            old = application.styleSheet().split("\nQLabel#unused")[0]
            application.setStyleSheet(f"{old}\nQLabel#unused{rng.randrange(1_000_000)} {{ color: red; }}")

        def _show_next(self) -> None:
            if self._shown:
                self.go_to(self._shown.pop())
                return
            self._show.stop()
            self.close()

    return DrivenWindow


if __name__ == "__main__":
    if sys.argv[1:2] == ["--window"]:
        _open_window(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        parser = argparse.ArgumentParser(usage=__doc__)
        parser.add_argument("--count", type=int, default=COUNT)
        parser.add_argument("--busy", type=int, default=0)
        parser.add_argument("--keep", type=Path)
        given = parser.parse_args()
        main(given.count, given.busy, given.keep)

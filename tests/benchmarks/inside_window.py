"""The Inside tab while a model trains in the same window: delays of the event loop when moments change.

A timer of 10 ms in the UI thread records its delay while the slider of the moments is moved 25 times a second, in each
view, with and without a pinned moment, and while the moments play. The inspected model is a `nano` after 60 steps;
another one trains. Other programs on the machine delay the timer, too, so the load, the delay while nothing moves, and
the time that the UI thread itself computed are also printed; the latter is the best that an idle machine could reach.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from llm_studio.jobs import Job
from llm_studio.openmp import wait_briefly
from llm_studio.project import Project
from llm_studio.workflows.training.train import train
from tests.benchmarks.window import WARM
from tests.benchmarks.window import _project as make_project  # pyright: ignore[reportPrivateUsage]
from tests.benchmarks.xray import Times, figures, now, since

if TYPE_CHECKING:
    from llm_studio.ui.tabs.inside.page import InsidePage
    from llm_studio.ui.window.main_window import MainWindow

MOVES, PACE = 60, 40
"""Moves of the slider in each view, and the milliseconds between two."""
DONE = 60
"""Steps of the inspected run."""
PLAYED = 5.0
"""Seconds for which the moments play."""
VIEWS = ("surprise", "attention", "lens", "contributions", "embeddings")
"""All views except the parts: there each moment needs thousands of tokens, and the slider isn't dragged."""


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "project")
        train(project, Job(), run="done", changes={"training.max_steps": DONE})
        environment = {**os.environ, "LLM_STUDIO_HOME": str(Path(folder) / "home"), "QT_QPA_PLATFORM": "offscreen"}
        command = [sys.executable, "-m", "tests.benchmarks.inside_window", str(project.root)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        print(done.stdout.strip(), flush=True)


class _Delays:
    """Delays of a timer by phase, each with the computing time of its thread since the last tick; and the durations of
    slider moves."""

    def __init__(self) -> None:
        self.phase = ""
        self.late: dict[str, list[Times]] = {}
        self.moves: list[Times] = []
        self._last = now()

    def tick(self) -> None:
        passed, computed = since(self._last)
        if self.phase:
            self.late.setdefault(self.phase, []).append((passed - 0.010, computed))
        self._last = now()

    def show(self) -> None:
        """Print the delays and the durations."""
        load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
        everything = [delay for phase, late in self.late.items() if phase != "nothing moves" for delay in late]
        for phase, late in (*self.late.items(), ("all of it", everything)):
            print(f"while a run trains, {phase}: {figures(late)}" + (" (bar: p99 50)" if late is everything else ""))
        print(f"a move of the slider, texts and all{load}: {figures(self.moves)} (bar: 16)")


def _script(window: "MainWindow", delays: _Delays) -> Generator[int]:
    """The user's actions; yields the milliseconds until the next one."""
    page = cast("InsidePage", window.pages["inside"])
    window.go_to("inside")
    yield 1500
    page.runs.setCurrentText("done")
    page.runs.activated.emit(0)
    yield 1500
    slider = page.timeline.slider
    delays.phase = "nothing moves"
    yield round(1000 * PLAYED)
    delays.phase = ""
    for pinned in (False, True):
        if pinned:
            page.timeline.pin_requested.emit("done", 0)
            yield 1500
        for view in VIEWS:
            page.views.choose(view)
            yield 1500
            delays.phase = f"scrubbing {view}" + (", two moments" if pinned else "")
            for move in range(MOVES):
                began = now()
                slider.setValue(move % (slider.maximum() + 1))
                delays.moves.append(since(began))
                yield PACE
            delays.phase = ""
            yield 1000
    page.views.choose("lens")
    slider.setValue(0)
    yield 1500
    delays.phase = "playing, two moments"
    page.timeline.toggle()
    yield round(1000 * PLAYED)
    delays.phase = ""


def _window() -> "MainWindow":
    """A window with the program's garbage collection."""
    from llm_studio.ui.language import set_language
    from llm_studio.ui.preferences import Preferences
    from llm_studio.ui.window.garbage import Collector
    from llm_studio.ui.window.main_window import MainWindow

    set_language("en")
    window = MainWindow(Preferences())
    window.resize(1360, 860)
    collector = Collector(window)
    collector.start()
    window.pages_made.connect(collector.leave_out_what_is_there)
    return window


def _measure(root: str) -> None:
    """Train in a window while the model of another run is inspected."""
    from PySide6.QtCore import Qt, QTimer

    from llm_studio.events import StepDone
    from llm_studio.ui.tasks import TRAINING, BackgroundJob
    from llm_studio.ui.window.app import make_application

    app = make_application()
    window = _window()
    delays = _Delays()
    script: list[Generator[int]] = []

    def work(job: Job) -> object:
        return train(Project.open(Path(root)), job, run="beside", changes={"training.max_steps": 1_000_000})

    def begin() -> None:
        window.session.start(BackgroundJob(TRAINING, work, "Training", "training"))

    def reported(key: str, event: object) -> None:
        if key == TRAINING and isinstance(event, StepDone) and event.step >= WARM and not script:
            script.append(_script(window, delays))
            go_on()

    def go_on() -> None:
        pause = next(script[0], None)
        if pause is None:
            window.session.stop(TRAINING)
        else:
            QTimer.singleShot(pause, go_on)

    def ended(key: str) -> None:
        if key == TRAINING:
            QTimer.singleShot(0, window.close)

    timer = QTimer(window, interval=10, timerType=Qt.TimerType.PreciseTimer)
    timer.timeout.connect(delays.tick)
    window.session.reported.connect(reported)
    window.session.ended.connect(ended)
    window.session.overview_changed.connect(begin, type=Qt.ConnectionType.SingleShotConnection)
    window.show()
    window.start(root)
    timer.start()
    app.exec()
    delays.show()


if __name__ == "__main__":
    wait_briefly()
    _measure(sys.argv[1])

"""The window: its start-up time, its delays during a run on the CPU, and its cost to the run."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from llm_studio.jobs import Job
from llm_studio.openmp import wait_briefly
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from tests.windows.start import show, starts

PAIRS, STEPS = 5, 200
WARM = 60
"""Number of steps at the start of a run that don't count: torch is imported, and the project is inspected once."""


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LLM_STUDIO_HOME"] = str(Path(folder) / "home")
        show(starts([sys.executable, "-m", "llm_studio"], Path(folder) / "home"))  # bar: 0.5
        project = _project(Path(folder) / "project")
        _delays(project)
        _pairs(project)


def _project(root: Path) -> Project:
    project = projects.new_project(root, "nano", "en")
    projects.change_settings(project, {"training.eval_interval": 1000, "training.checkpoint_interval": 1000,
                                       "training.max_steps": STEPS, "training.warmup_steps": 10})  # fmt: skip
    sources.add_stories(project, "en", 4000, Job())
    train_tokenizer(project, Job())
    prepare_tokens(project, Job())
    return project


def _delays(project: Project) -> None:
    """Print the delays of a 10 ms timer in the UI thread during a run in the window."""
    out = subprocess.run([sys.executable, "-m", "tests.benchmarks.window", "delays", str(project.root)], check=True,
                         capture_output=True, text=True)  # fmt: skip
    print(out.stdout.strip())


def _pairs(project: Project) -> None:
    """Compare the same run on the command line and in the window, alternately."""
    ratios: list[float] = []
    for pair in range(PAIRS):
        alone, seen = f"alone-{pair}", f"seen-{pair}"
        order = (alone, seen) if pair % 2 == 0 else (seen, alone)
        for name in order:
            if name == alone:
                command = [sys.executable, "-m", "llm_studio", "train", str(project.root), "--run", name]
            else:
                command = [sys.executable, "-m", "tests.benchmarks.window", "train", str(project.root), name]
            subprocess.run(command, check=True, capture_output=True)
        ratio = _speed(project, alone) / _speed(project, seen)
        ratios.append(ratio)
        print(f"  pair {pair + 1}: the window takes {100 * (ratio - 1):+.1f} %", flush=True)
    print(f"training with the window open: median {100 * (statistics.median(ratios) - 1):+.1f} % time (bar: +3 %)")


def _speed(project: Project, run: str) -> float:
    """Median tokens per second of a run's steps."""
    records = (json.loads(line) for line in project.log_file(run).read_text(encoding="utf-8").splitlines())
    return statistics.median(r["tokens_per_second"] for r in records if r["event"] == "step" and r["step"] > WARM)


# --- In a process of its own ------------------------------------------------------------------------------------


def _train_in_window(root: str, name: str) -> list[tuple[str, float]]:
    """Train in a window that shows the curves; returns (phase, delay of a 10 ms timer in seconds)."""
    from PySide6.QtCore import Qt, QTimer

    from llm_studio.events import StepDone
    from llm_studio.ui.language import set_language
    from llm_studio.ui.preferences import Preferences
    from llm_studio.ui.tasks import BackgroundJob
    from llm_studio.ui.window.app import make_application
    from llm_studio.ui.window.main_window import MainWindow
    from llm_studio.workflows.training.train import train

    app = make_application()
    set_language("en")
    window = MainWindow(Preferences())
    delays: list[tuple[str, float]] = []
    phase = ["loading"]
    last = [time.perf_counter()]

    def tick() -> None:
        now = time.perf_counter()
        delays.append((phase[0], now - last[0] - 0.010))
        last[0] = now

    def step(key: str, event: object) -> None:
        if key == "training" and isinstance(event, StepDone):
            phase[0] = "training" if event.step > WARM else "first steps"

    def begin() -> None:
        window.go_to("training")
        project = Project.open(Path(root))
        window.session.start(
            BackgroundJob("training", lambda job: train(project, job, run=name), "Training", "training")
        )

    def ended(key: str) -> None:
        if key == "training":
            QTimer.singleShot(0, window.close)

    timer = QTimer(window, interval=10)
    timer.timeout.connect(tick)
    window.session.reported.connect(step)
    window.session.ended.connect(ended)
    window.session.overview_changed.connect(begin, type=Qt.ConnectionType.SingleShotConnection)
    window.show()
    window.start(root)
    timer.start()
    app.exec()
    return delays


def _print_delays(root: str) -> None:
    project = Project.open(Path(root))
    projects.change_settings(project, {"training.max_steps": 300, "training.eval_interval": 100})
    delays = _train_in_window(root, "delays")
    projects.change_settings(project, {"training.max_steps": STEPS, "training.eval_interval": 1000})
    for phase in ("loading", "first steps", "training"):
        late = sorted(1000 * delay for name, delay in delays if name == phase)
        if late:
            print(f"timer of 10 ms, {phase}: {len(late)} times, p50 {late[len(late) // 2]:.1f} ms late, "
                  f"p99 {late[int(len(late) * 0.99)]:.1f}, worst {late[-1]:.1f}"
                  + (" (bar: p99 50, worst 250)" if phase == "training" else ""))  # fmt: skip


if __name__ == "__main__":
    wait_briefly()
    if sys.argv[1] == "delays":
        _print_delays(sys.argv[2])
    else:
        _train_in_window(sys.argv[2], sys.argv[3])

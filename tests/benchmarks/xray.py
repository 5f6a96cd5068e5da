"""The X-ray of the next token at a vocabulary of 32,000: from a slider's move to the painted table."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.jobs import Job
from llm_studio.openmp import wait_briefly
from llm_studio.project import Project

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from llm_studio.ui.tabs.generation.sampling import SamplingPanel
    from llm_studio.workflows.generation.next_token import NextToken

Times = tuple[float, float]
"""Elapsed seconds, and the seconds in which this thread computed; the difference is due to other programs."""
VOCABULARY, MOVES, WARM = 32_000, 300, 20
"""Vocabulary size, number of measured slider moves, and steps of the training run before them."""


def main() -> None:
    """Print all figures."""
    from tests.benchmarks.window import _project  # pyright: ignore[reportPrivateUsage]

    with tempfile.TemporaryDirectory() as folder:
        project = _project(Path(folder) / "project")
        environment = {**os.environ, "LLM_STUDIO_HOME": str(Path(folder) / "home"), "QT_QPA_PLATFORM": "offscreen"}
        command = [sys.executable, "-m", "tests.benchmarks.xray"]
        for arguments in ([], [str(project.root)]):
            done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True, env=environment)
            print(done.stdout.strip(), flush=True)


class _Names:
    """Stands in for a tokenizer: a token's text is its number."""

    end_of_text = 0

    def token_bytes(self, token: int) -> bytes:
        return b" %d" % token


def _measured(root: str) -> None:
    """Move the sliders while a model trains in this process, in the project at `root`; without a run if it is empty."""
    stop = threading.Event()
    trainer = None
    if root:
        stepped = threading.Event()
        trainer = threading.Thread(target=_train, args=(root, stop, stepped))
        trainer.start()
        stepped.wait()
    table, painted = _table_times(), _painted_times()
    if trainer is not None:
        stop.set()
        trainer.join()
    beside = "beside a training run" if root else "alone"
    print(f"{beside}: the table of 50 candidates {figures(table)}")
    print(f"{beside}: from a slider's move to the painted table {figures(painted)} (bar: 50 ms)")


def _train(root: str, stop: threading.Event, stepped: threading.Event) -> None:
    from llm_studio.events import Event, StepDone
    from llm_studio.workflows.training.train import train

    def report(event: Event) -> None:
        if isinstance(event, StepDone) and event.step >= WARM:
            stepped.set()
        if stop.is_set():
            job.request_stop()

    job = Job(report)
    train(Project.open(Path(root)), job, run="xray", changes={"training.max_steps": 1_000_000})


def _next_token() -> "NextToken":
    import torch

    from llm_studio.workflows.generation import chats
    from llm_studio.workflows.generation.next_token import NextToken

    logits = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(1)) * 3
    return NextToken((chats.Turn("Once upon a"),), logits, list(range(0, 30_000, 60)), _Names())  # type: ignore[arg-type]


def _moves() -> list[tuple[str, float]]:
    """(slider, new value) for each move: every filter is switched on and off in turn."""
    places = {"temperature": (0.3, 1.4), "top_k": (0, 80), "top_p": (0.5, 1.0), "min_p": (0.0, 0.2),
              "repetition_penalty": (1.0, 1.5)}  # fmt: skip
    names = list(places)
    return [(names[n % 5], places[names[n % 5]][n // 5 % 2]) for n in range(MOVES)]


def _table_times() -> list[Times]:
    from llm_studio.config import GenerationSettings

    found, settings = _next_token(), GenerationSettings()
    times: list[Times] = []
    for name, value in _moves():
        settings = settings.model_copy(update={name: int(value) if name == "top_k" else value})
        began = now()
        found.candidates(settings, 50)
        times.append(since(began))
    return times


def _painted_times() -> list[Times]:
    """Times from the move of a slider until the event loop has painted the window."""
    from PySide6.QtCore import QEvent, QObject, QTimer

    from llm_studio.ui.window.app import make_application

    app = make_application()
    window, sampling = _window()
    times: list[Times] = []
    moves = iter(_moves())
    began: list[Times] = []

    def move() -> None:
        following = next(moves, None)
        if following is None:
            app.quit()
            return
        name, value = following
        began.append(now())
        sampling.rows[name].set_value(value)
        sampling.rows[name].changed.emit(value)  # like the slider

    def painted() -> None:
        times.append(since(began.pop()))
        QTimer.singleShot(5, move)

    class Watch(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's
            if event.type() == QEvent.Type.UpdateRequest and began and len(times) < MOVES:
                window.removeEventFilter(self)  # one paint event per move
                QTimer.singleShot(0, painted)  # runs when the event loop has painted everything
                QTimer.singleShot(0, lambda: window.installEventFilter(self))
            return False

    watch = Watch(window)
    window.show()
    QTimer.singleShot(300, lambda: (window.installEventFilter(watch), move()))
    app.exec()
    return times[5:]


def _window() -> "tuple[QWidget, SamplingPanel]":
    """The table and the sliders, side by side."""
    from PySide6.QtWidgets import QHBoxLayout, QWidget

    from llm_studio.ui import theme
    from llm_studio.ui.tabs.generation.next_token_view import NextTokenCard, NextTokenPresenter, XrayPanel
    from llm_studio.ui.tabs.generation.sampling import SamplingPanel

    theme.set_theme("light")
    window = QWidget()
    sampling, xray = SamplingPanel(window), XrayPanel(window)
    presenter = NextTokenPresenter(NextTokenCard(sampling), xray)
    sampling.changed.connect(presenter.follow)
    inside = QHBoxLayout(window)
    inside.addWidget(xray)
    inside.addWidget(sampling)
    window.resize(1100, 600)
    presenter.show_in_table(True)
    presenter.show_next(_next_token(), None)
    return window, sampling


def now() -> Times:
    return time.perf_counter(), time.thread_time()


def since(began: Times) -> Times:
    return time.perf_counter() - began[0], time.thread_time() - began[1]


def figures(times: list[Times]) -> str:
    late, busy = (sorted(1000 * one for one in column) for column in zip(*times, strict=True))
    return (f"p50 {late[len(late) // 2]:.1f} ms, p99 {late[int(len(late) * 0.99)]:.1f}, worst {late[-1]:.1f}; of which"
            f" computing p50 {busy[len(busy) // 2]:.1f}, p99 {busy[int(len(busy) * 0.99)]:.1f}")  # fmt: skip


if __name__ == "__main__":
    wait_briefly()
    _measured(sys.argv[1] if len(sys.argv) > 1 else "")

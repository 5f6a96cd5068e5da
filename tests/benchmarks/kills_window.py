"""An offscreen window that trains a project's run to its end: `python -m tests.benchmarks.kills_window PROJECT`.

It presses the button that a user would: *Resume* if a run was interrupted, otherwise *Start training*. Each step is
printed as a line of JSON, as by `llm-studio train --json`.
"""

import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QPushButton

from llm_studio.events import Event, to_json
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tasks import TRAINING
from llm_studio.ui.window.app import make_application
from llm_studio.ui.window.garbage import Collector
from llm_studio.ui.window.main_window import MainWindow


class Trainer:
    """Presses the button as soon as it is enabled, and ends the program when the run has ended."""

    def __init__(self, root: Path) -> None:
        self.app = make_application()
        self._collector = Collector(self.app)
        self._collector.start()
        preferences = Preferences.load()
        preferences.reopen_last = False
        self._root, self._pressed = root, False
        self._window = MainWindow(preferences)
        session = self._window.session
        session.reported.connect(self._on_reported)
        session.ended.connect(self._on_ended)
        session.problem.connect(lambda error: sys.exit(str(error)))
        self._timer = QTimer(self.app, interval=20)
        self._timer.timeout.connect(self._press)
        self._window.pages_made.connect(self._open)
        self._window.show()
        self._window.start("")

    def _open(self) -> None:
        self._window.closing.open_folder(str(self._root))
        self._window.go_to("training")
        self._timer.start()

    def _press(self) -> None:
        session = self._window.session
        if session.overview is None or session.is_running(TRAINING) or self._pressed:
            return
        buttons = self._window.pages["training"].findChildren(QPushButton)
        ready = {button.text(): button for button in buttons if button.isVisible() and button.isEnabled()}
        button = ready.get("Resume") or ready.get("Start training")
        if button is not None:
            self._pressed = True
            button.click()

    def _on_reported(self, key: str, event: Event) -> None:
        if key == TRAINING:
            print(to_json(event), flush=True)

    def _on_ended(self, key: str) -> None:
        if key == TRAINING:
            self._window.session.stop_all()
            self._window.session.wait(60_000)
            self.app.exit(0)


if __name__ == "__main__":
    trainer = Trainer(Path(sys.argv[1]))
    sys.exit(trainer.app.exec())

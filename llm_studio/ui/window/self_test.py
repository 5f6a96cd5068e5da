"""`--self-test OUT`: the packaged program goes through all its steps by itself and reports whether they work.

It operates the real window with its real buttons: a new project on built-in stories, tokenizer, tokens, a short
training run in its thread, a generated text, every tab; then it closes. Screenshots and `result.json` are written to
the folder OUT. Settings and logs are kept there too, so that the user's own are unchanged. The exit status is 0 on
success.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QApplication, QDialog, QPushButton

from llm_studio.ui import tabs
from llm_studio.ui.window.main_window import MainWindow

STEPS, STORIES = 20, 300
_LOOK_EVERY = 50
"""Milliseconds between two checks of the current condition."""
_PATIENCE = 300.0
"""Timeout in seconds of each condition."""
_SETTINGS: dict[str, object] = {
    "model.vocab_size": 400, "model.d_model": 32, "model.n_heads": 2, "model.n_layers": 2, "model.d_ff": 64,
    "model.max_seq_len": 32, "training.batch_size": 8, "training.max_steps": STEPS, "training.warmup_steps": 5,
    "training.learning_rate": 1e-2,
    "training.eval_interval": 10, "training.eval_sequences": 16, "training.checkpoint_interval": 10,
    "generation.max_tokens": 30,
}  # fmt: skip

Ready = Callable[[], bool]


def prepare(out: Path) -> None:
    """Create the folder `out` and redirect settings and logs there. Call it before anything reads them."""
    out.mkdir(parents=True, exist_ok=True)
    os.environ["LLM_STUDIO_HOME"] = str(out.absolute() / "home")


class SelfTest(QObject):
    """The steps as a generator: each `yield` is a condition to wait for, checked by a timer."""

    def __init__(self, window: MainWindow, out: Path, projects: Path | None = None) -> None:
        super().__init__(window)
        self._window, self._out = window, out
        self._projects = (projects or out / "projects").absolute()
        self._begun = self._since = time.monotonic()
        self._seconds: dict[str, float] = {}
        self._problems: list[str] = []
        self._made = False
        self._text = ""
        self.status = 1
        """The exit status: 0 on success."""
        window.preferences.projects_folder = str(self._projects)
        window.pages_made.connect(self._on_pages)
        window.session.problem.connect(self._on_problem)
        window.session.succeeded.connect(self._on_succeeded)
        logging.getLogger().addHandler(_Listener(self._problems))
        self._way = self._walk()
        self._ready: Ready = lambda: True
        self._timer = QTimer(self, interval=_LOOK_EVERY)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    @Slot()
    def _on_pages(self) -> None:
        self._made = True

    @Slot(object)
    def _on_problem(self, error: BaseException) -> None:
        self._problems.append(f"{type(error).__name__}: {error}")

    @Slot(str, object)
    def _on_succeeded(self, _key: str, result: Any) -> None:
        for turn in getattr(result, "turns", ()):
            self._text = turn.text

    @Slot()
    def _look(self) -> None:
        """Continue if the condition holds; end if everything is done, a problem was logged, or on a timeout."""
        if self._problems:
            self._end()
        elif self._ready():
            try:
                self._ready = next(self._way)
                self._since = time.monotonic()
            except StopIteration:
                self._end()
            except Exception as error:
                self._problems.append(f"{type(error).__name__}: {error}")
        elif time.monotonic() - self._since > _PATIENCE:
            self._problems.append(f"waited {_PATIENCE:.0f} s in vain")

    def _end(self) -> None:
        self._timer.stop()
        self._picture("end" if not self._problems else "problem")
        result = {"ok": not self._problems, "problems": self._problems, "seconds": self._seconds, "text": self._text,
                  "without_output": sys.__stdout__ is None}  # fmt: skip
        (self._out / "result.json").write_text(json.dumps(result, ensure_ascii=False, indent=1), encoding="utf-8")
        self._window.session.stop_all()
        for dialog in self._window.findChildren(QDialog):
            dialog.reject()
        self._window.closing.end_all()
        app = QApplication.instance()
        assert app is not None
        self.status = 1 if self._problems else 0
        app.exit(self.status)

    # --- Steps ------------------------------------------------------------------------------------------------

    def _walk(self) -> Generator[Ready]:
        """All steps, in order."""
        yield lambda: self._made
        yield from self._settled("start", picture=True)
        self._window.closing.new_project()
        dialog: Any = next(d for d in self._window.findChildren(QDialog) if d.isVisible())
        dialog.name.setText("self-test é")
        dialog.make.click()
        yield lambda: self._window.session.overview is not None
        self._window.session.change_settings(_SETTINGS)
        yield from self._settled("new project")
        yield from self._gather()
        for tab, name in (
            (tabs.TOKENIZER, "tokenizer"), (tabs.TOKENIZER, "tokens"), (tabs.MODEL, ""), (tabs.TRAINING, "training")
        ):  # fmt: skip
            yield from self._primary(tab.name, name)
        yield from self._generate()
        for tab in tabs.TABS:
            self._window.go_to(tab.name)
            yield from self._settled(tab.name, picture=True)
        yield from self._about()
        yield from self._changes()
        self._window.choose_language("fr" if self._window.preferences.language != "fr" else "en")
        self._window.choose_theme("dark")
        self._window.go_to(tabs.TRAINING.name)
        yield from self._settled("dark", picture=True)

    def _gather(self) -> Generator[Ready]:
        page: Any = self._page(tabs.DATA.name)
        page.cards.count.setValue(STORIES)
        page.cards.add.click()
        yield from self._settled("stories")
        self._expect(self._overview().characters > 0, "no stories were added")

    def _primary(self, tab: str, name: str) -> Generator[Ready]:
        """Press the primary button of a tab and wait for the end of its job. `name` "": it starts none."""
        if not name:
            self._page(tab)
            yield from self._settled(tab)
            return
        page = self._page(tab)
        yield lambda: any(b.property("role") == "primary" and b.isEnabled() for b in page.findChildren(QPushButton))
        begun = time.monotonic()
        self._window.do_primary()
        yield lambda: bool(self._window.session.jobs()) or time.monotonic() - begun > 1
        yield from self._settled(name)
        self._seconds[name] = round(time.monotonic() - begun, 2)

    def _generate(self) -> Generator[Ready]:
        runs = self._overview().runs
        self._expect(len(runs) == 1 and runs[0].state == "finished", f"the training has not ended well: {runs}")
        page: Any = self._page(tabs.GENERATION.name)
        yield page.talk.go.isEnabled
        page.talk.box.setPlainText("Once upon a time")
        yield from self._settled("prompt")
        yield from self._primary(tabs.GENERATION.name, "generation")
        self._expect(bool(self._text), "nothing was written")

    def _about(self) -> Generator[Ready]:
        """Check that every licence is there, in the packaged program too."""
        self._window.show_about()
        dialog: Any = next(d for d in self._window.findChildren(QDialog) if d.isVisible())
        yield from self._settled("about")
        dialog.table.selectRow(0)
        self._expect(dialog.table.model().rowCount() > 10 and len(dialog.text.toPlainText()) > 500,
                     "the about box lacks licences")  # fmt: skip
        dialog.grab().save(str(self._out / "about.png"))
        dialog.reject()

    def _changes(self) -> Generator[Ready]:
        """Check that the packaged program contains the change log."""
        self._window.show_changes()
        dialog: Any = next(d for d in self._window.findChildren(QDialog) if d.isVisible())
        yield from self._settled("changes")
        self._expect(len(dialog.browser.toPlainText()) > 500, "the change log is missing")
        dialog.reject()

    # --- Helpers ----------------------------------------------------------------------------------------------

    def _page(self, name: str) -> Any:
        self._window.go_to(name)
        return self._window.pages[name]

    def _overview(self) -> Any:
        return self._window.session.overview

    def _settled(self, name: str, picture: bool = False) -> Generator[Ready]:
        """Wait until no task has been running for a moment; record the time, take a screenshot."""
        begun = time.monotonic()
        yield lambda: self._window.session.is_idle() and time.monotonic() - begun > 0.3
        if picture:
            self._picture(name)
        self._seconds.setdefault(name, round(time.monotonic() - begun, 2))

    def _picture(self, name: str) -> None:
        self._window.grab().save(str(self._out / f"{name}.png"))

    def _expect(self, holds: bool, problem: str) -> None:
        if not holds:
            self._problems.append(problem)


class _Listener(logging.Handler):
    """Treats every logged error, and every warning of Qt, as a problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        """Record it, except messages of Qt's offscreen platform about its own limits."""
        if "plugin does not support" not in record.getMessage():
            self._problems.append(f"{record.levelname} {record.name}: {record.getMessage()}")

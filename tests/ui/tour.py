"""Drives the real window through every tab and state and saves pictures: `python -m tests.ui.tour OUT`.

Each look (language, theme, size, scaling) is a process of its own, since Qt takes its scaling at the start. Where there
is no screen, run it under Xvfb: `xvfb-run -a -s "-screen 0 2800x1800x24" python -m tests.ui.tour OUT`. The projects it
shows are made on the way and take about two minutes.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from PySide6.QtCore import QEventLoop, QSize, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QMessageBox, QWidget

from llm_studio.jobs import Job
from llm_studio.openmp import WAITING
from llm_studio.project import Project
from llm_studio.ui.tabs.generation.page import GenerationPage
from llm_studio.ui.tabs.inside.page import InsidePage
from llm_studio.ui.tabs.training.page import TrainingPage
from llm_studio.workflows import projects, quickstart
from llm_studio.workflows.training import train
from tests.ui.clipped import clipped
from tests.ui.tour_files import files

STEPS, SHORT_STEPS = 500, 120


@dataclass(frozen=True)
class Look:
    """How the window is looked at."""

    language: str
    theme: str
    width: int = 1360
    height: int = 860
    scale: float = 1.0

    @property
    def name(self) -> str:
        size = "" if (self.width, self.scale) == (1360, 1.0) else f"-{self.width}x{self.height}"
        return f"{self.language}-{self.theme}{size}{'-200' if self.scale == 2 else ''}"


LOOKS = (
    Look("fr", "light"), Look("en", "dark"), Look("en", "light"), Look("fr", "dark"),
    Look("fr", "light", 1024, 700), Look("en", "light", 1024, 700, 2.0),
)  # fmt: skip


def make_project(folder: Path, language: str) -> None:
    """A project with stories, tokens and two runs, at `folder`."""
    made = quickstart.quickstart(folder, language, Job(), print, max_steps=SHORT_STEPS)
    projects.change_settings(made.project, {"project.name": "mon-llm" if language == "fr" else "my-llm"})
    changes = {"training.max_steps": STEPS, "training.eval_interval": 50, "training.warmup_steps": 30}
    train.train(made.project, Job(), run="long", changes=changes)


class Tour:
    """One window in one look, and the pictures taken of it."""

    def __init__(self, look: Look, project: Path, out: Path, only: str) -> None:
        from llm_studio.ui.language import set_language
        from llm_studio.ui.preferences import Preferences
        from llm_studio.ui.window.app import make_application
        from llm_studio.ui.window.main_window import MainWindow

        self.look, self.out, self.only = look, out, only
        self.app = make_application()
        set_language(look.language)
        from llm_studio.ui import theme

        theme.set_theme(look.theme)
        self.folder = Path(tempfile.mkdtemp())
        self.project = self.folder / ("mon-llm" if look.language == "fr" else "my-llm")
        if project.exists():
            shutil.copytree(project, self.project)
        self.window = MainWindow(Preferences(projects_folder=str(self.folder), language=look.language))
        self.window.resize(QSize(look.width, look.height))
        made: list[bool] = []
        self.window.pages_made.connect(lambda: made.append(True))
        self.window.show()
        self.window.start("")
        self.wait(lambda: bool(made))
        self.settle()

    @staticmethod
    def rest(milliseconds: int) -> None:
        """Let the program run. QTest.qWait keeps Python's lock: what works in threads would hardly go on."""
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    def wait(self, ready: Callable[[], bool], seconds: float = 120) -> None:
        """Let the program run until `ready`."""
        until = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > until:
                print(f"  waited {seconds:.0f} s in vain", flush=True)
                return
            self.rest(20)

    def settle(self, seconds: float = 0.4) -> None:
        """Let the program run until nothing goes on in the background."""
        self.rest(round(seconds * 1000))
        self.wait(self.window.session.is_idle)
        self.rest(150)

    def picture(self, name: str, widget: QWidget | None = None) -> None:
        """Save a picture of the window, with the dialog before it where there is one."""
        if self.only and self.only not in name:
            return
        path = self.out / f"{name}-{self.look.name}.png"
        (widget or self.window).grab().save(str(path))
        print(f"  {path.name}", flush=True)
        for text in clipped(widget or self.window):
            print(f"    cut off: {text}", flush=True)

    def go(self, name: str, picture: str = "") -> None:
        """Go to a tab and take its picture."""
        self.window.go_to(name)
        self.settle()
        self.picture(picture or name)

    def dialogs(self) -> list[QDialog]:
        """Dialogs on the screen."""
        return [d for d in self.app.topLevelWidgets() if isinstance(d, QDialog) and d.isVisible()]

    def dialog(self, name: str, show: Callable[[], object]) -> None:
        """Open a dialog, take its picture and close it."""
        show()
        self.wait(lambda: bool(self.dialogs()), 10)
        self.rest(200)
        for dialog in self.dialogs():
            self.picture(name, dialog)
            dialog.reject()
        self.rest(100)


def empty(tour: Tour) -> None:
    """Nothing is there yet."""
    tour.picture("start")
    tour.go("diagnostics")
    tour.go("understand")
    tour.dialog("new-project", tour.window.closing.new_project)
    tour.dialog("settings", tour.window.show_settings)
    tour.dialog("about", tour.window.show_about)
    tour.dialog("whats-new", tour.window.show_changes)
    name = "vide" if tour.look.language == "fr" else "empty"
    fresh = projects.new_project(tour.folder / name, "nano", tour.look.language)
    tour.window.closing.open_project(fresh)
    for name in ("data", "tokenizer", "model", "training", "generation", "inside", "export"):
        tour.go(name, f"{name}-empty")


def done(tour: Tour) -> None:
    """A project whose steps are done."""
    tour.window.closing.open_project(Project.open(tour.project))
    tour.settle()
    for name in ("data", "tokenizer", "model", "training", "generation", "export", "diagnostics", "understand"):
        tour.go(name)
    generation(tour)
    inside(tour)


def generation(tour: Tour) -> None:
    """A text is written; how probable its tokens are, and what might have come instead."""
    tour.window.go_to("generation")
    page = cast("GenerationPage", tour.window.pages["generation"])
    page.talk.box.setPlainText(train.PROMPTS["fr" if tour.look.language == "fr" else "en"][0])
    tour.settle()
    tour.window.do_primary()
    tour.settle()
    tour.picture("generation-written")
    page.view.choose("probabilities")
    page.view.chosen.emit("probabilities")
    tour.settle()
    tour.picture("generation-probabilities")
    page.view.choose("xray")
    page.view.chosen.emit("xray")
    page.talk.turns.views[-1].text.token_chosen.emit(4)
    tour.settle()
    tour.picture("generation-xray")
    table = page.next.xray.table
    table.chosen.emit(next(one.token for one in table.rows.candidates.first if one.token != table.rows.written))
    tour.settle()
    tour.picture("generation-versions")


def inside(tour: Tour) -> None:
    """Every view of a model, alone and beside that of step 0, and one of its beginnings."""
    tour.window.go_to("inside")
    tour.settle()
    page = cast("InsidePage", tour.window.pages["inside"])
    for beside in (False, True):
        if beside:
            page.timeline.pin_requested.emit(page.runs.currentText(), 0)
            tour.settle()
        for view in page.views.main.views:
            page.views.choose(view)
            tour.settle()
            if view == "embeddings":
                page.views.main.embeddings.draw.click()
                tour.settle()
            tour.picture(f"inside-{view}{'-compared' if beside else ''}")
    page.timeline.unpin.click()
    page.views.choose("lens")
    page.timeline.slider.setValue(0)
    tour.settle()
    tour.picture("inside-at-step-0")


def running(tour: Tour) -> None:
    """A training under way, seen from its own tab and from another; then stopped."""
    if tour.window.session.project is None:  # this scene alone
        tour.window.closing.open_project(Project.open(tour.project))
        tour.settle()
    tour.window.session.change_settings({"training.max_steps": 4000, "training.eval_interval": 20})
    tour.settle()
    tour.window.go_to("training")
    tour.rest(300)
    cast("TrainingPage", tour.window.pages["training"]).buttons.start.click()  # the primary action is to let it write
    tour.wait(lambda: tour.window.session.is_running("training"), 30)
    tour.rest(15_000)
    tour.picture("training-running")
    tour.window.go_to("data")
    tour.rest(500)
    tour.picture("data-while-training")
    tour.dialog("close-while-training", tour.window.close)
    tour.window.stop_current()
    tour.settle()
    tour.go("training", "training-stopped")


def wrong(tour: Tour) -> None:
    """What goes wrong, told."""
    config = tour.project / "config" / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("n_heads: 4", "n_heads: 5").replace("dropout: ", "dropuot: "), encoding="utf-8")
    tour.window.session.refresh()
    tour.settle()
    tour.go("model", "model-error")
    config.write_text(text, encoding="utf-8")
    tour.window.session.refresh()
    tour.settle()
    tour.dialog("problem", lambda: tour.window.closing.open_folder(str(tour.folder)))
    tour.dialog("bug", lambda: tour.window.session.problem.emit(ZeroDivisionError("division by zero")))
    tour.window.session.change_settings({"model.vocab_size": 3000})
    tour.settle()
    tour.go("tokenizer", "tokenizer-out-of-date")
    tour.go("training", "training-out-of-date")
    shutil.rmtree(tour.project)
    tour.dialog("project-gone", tour.window.session.refresh)


SCENES = {"empty": empty, "files": files, "done": done, "running": running, "wrong": wrong}


def visit(look: Look, project: Path, out: Path, only: str, scene: str) -> None:
    """Take the pictures of one look: of one scene, or of all."""
    tour = Tour(look, project, out, only)
    for name, show in SCENES.items():
        if scene in ("", name):
            show(tour)
    tour.window.close()
    tour.settle(0.1)
    shutil.rmtree(tour.folder, ignore_errors=True)
    assert not [box for box in QApplication.topLevelWidgets() if isinstance(box, QMessageBox) and box.isVisible()]


def main() -> int:
    """All looks, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--look", help="one look only: " + ", ".join(look.name for look in LOOKS))
    parser.add_argument("--only", default="", help="pictures whose name holds this")
    parser.add_argument("--scene", default="", choices=("", *SCENES), help="one scene only")
    parser.add_argument("--projects", type=Path, help="folder where the projects shown are kept for the next time")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    looks = [look for look in LOOKS if options.look in (None, look.name)]
    kept = options.projects or Path(tempfile.mkdtemp())
    if options.inside:
        visit(looks[0], kept / looks[0].language, options.out, options.only, options.scene)
        return 0
    for language in {look.language for look in looks}:
        if not (kept / language).exists() and options.scene not in ("empty", "files"):
            make_project(kept / language, language)
    failed = 0
    for look in looks:
        print(look.name, flush=True)
        command = [sys.executable, "-m", "tests.ui.tour", str(options.out), "--look", look.name, "--inside",
                   "--projects", str(kept), "--only", options.only, "--scene", options.scene]  # fmt: skip
        with tempfile.TemporaryDirectory() as home:
            scale = {"QT_SCALE_FACTOR": str(look.scale)} if look.scale != 1 else {}
            environment = {**os.environ, **scale, **WAITING, "LLM_STUDIO_HOME": home, "LLM_STUDIO_QT_MESSAGES": "1"}
            failed += subprocess.run(command, check=False, env=environment).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())

"""Fixtures for tests of the window: a real one, offscreen, with a real session and real projects."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
if sys.platform == "win32":  # there it would look for fonts in its own folder, which has none
    os.environ.setdefault("QT_QPA_FONTDIR", str(Path(os.environ["WINDIR"]) / "Fonts"))

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from llm_studio.project import Project
from llm_studio.ui import theme
from llm_studio.ui.language import set_language
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.window.app import make_application
from llm_studio.ui.window.garbage import Collector
from llm_studio.ui.window.main_window import MainWindow
from tests.ui.driver import Driver
from tests.ui.imports import is_of_qt, watch

_IMPORTS = watch()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of settings and logs, an empty one."""
    monkeypatch.setenv("LLM_STUDIO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def qt_in_ui_thread() -> Iterator[None]:
    """No worker imports a module that creates Qt classes, see `llm_studio/ui/tabs/__init__.py`."""
    yield
    wrong = [name for name in _IMPORTS.elsewhere if is_of_qt(name)]
    _IMPORTS.elsewhere.clear()
    assert not wrong


@pytest.fixture(scope="session")
def application(qapp: QApplication) -> QApplication:
    """The application as the program makes it, but for the system's own dialogs, which only a person can use."""
    qapp.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    return make_application()


@pytest.fixture(autouse=True)
def collector(application: QApplication) -> Iterator[Collector]:
    """Garbage is collected as in the program."""
    made = Collector()
    made.start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def light(application: QApplication, qapp: QApplication, collector: Collector) -> None:
    """Every test begins in English, in the light theme; no garbage is collected while Qt styles all widgets anew."""
    set_language("en")
    theme.set_theme("light")


@pytest.fixture
def driver(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[Driver]:
    """The window with all its tabs, no project open, driven as a user would. Nothing may be left running."""
    window = MainWindow(Preferences(projects_folder=str(tmp_path / "projects"), reopen_last=False))
    made = Driver(window, qtbot)
    there: list[bool] = []
    window.pages_made.connect(lambda: there.append(True))
    window.show()
    window.start("")
    qtbot.waitUntil(lambda: bool(there or made.summary), timeout=60_000)
    assert not made.summary, made.summary
    made.settle()
    yield made
    made.end()
    window.close()
    window.deleteLater()
    qapp.processEvents()
    # The event loop deletes it some time: until then each change of style would go through all its widgets
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def opened(driver: Driver, project: Project) -> Driver:
    """The window with the tiny project open: stories, tokenizer and tokens are there, nothing is trained."""
    driver.open(project)
    return driver

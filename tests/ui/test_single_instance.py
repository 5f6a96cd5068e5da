"""A second start of the program raises the open window, in another process as in life."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PySide6.QtCore import QLockFile
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from pytestqt.qtbot import QtBot

from llm_studio.ui.window import single_instance
from llm_studio.ui.window.single_instance import SingleInstance, claim

SECOND = (
    "import sys\n"
    "from PySide6.QtCore import QCoreApplication\n"
    "from llm_studio.ui.window.single_instance import claim\n"
    "app = QCoreApplication([])\n"
    "sys.exit(0 if claim(sys.argv[1]) is None else 7)\n"
)


class Second:
    """The second start, with a thread that waits for it."""

    def __init__(self, folder: str) -> None:
        self.code: int | None = None
        self._folder = folder
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.code = subprocess.run([sys.executable, "-c", SECOND, self._folder], check=False, timeout=60).returncode

    def ended(self) -> bool:
        return self.code is not None


@pytest.fixture
def first(qtbot: QtBot, home: Path) -> SingleInstance:
    made = claim()
    assert made is not None
    return made


@pytest.mark.parametrize("folder", ["", "mes modèles/été"])
def test_a_second_start_raises_the_first_and_ends(
    qtbot: QtBot, first: SingleInstance, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with qtbot.waitSignal(first.raised, timeout=60_000) as heard:
        second = Second(folder)
    qtbot.waitUntil(second.ended, timeout=60_000)
    assert second.code == 0
    assert heard.args == [str(tmp_path / folder) if folder else ""]


def test_what_a_crashed_program_left_is_no_hindrance(qtbot: QtBot, home: Path) -> None:
    code = (
        "import os\nfrom PySide6.QtCore import QCoreApplication\n"
        "from llm_studio.ui.window.single_instance import claim\n"
        "app = QCoreApplication([])\none = claim()\nassert one\nos._exit(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1
    after = claim()
    assert after is not None
    assert after._server.isListening()


def test_a_window_that_never_answers_is_passed_over(qtbot: QtBot, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_instance, "_TO_ANSWER", 100)
    deaf = QLocalServer()
    assert deaf.listen(single_instance.name())
    assert claim() is not None


def test_two_users_have_two_windows(qtbot: QtBot, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {single_instance.name()}
    monkeypatch.setenv("LLM_STUDIO_HOME", str(tmp_path / "other"))
    names.add(single_instance.name())
    assert len(names) == 2


def test_words_in_pieces_and_of_strangers_do_no_harm(qtbot: QtBot, first: SingleInstance) -> None:
    stranger = QLocalSocket()
    stranger.connectToServer(single_instance.name())
    assert stranger.waitForConnected(1000)
    stranger.write(b"/half a ")
    stranger.flush()
    with qtbot.waitSignal(first.raised, timeout=5000) as heard:
        stranger.write(b"path\n")
        stranger.flush()
    assert heard.args == ["/half a path"]
    stranger.abort()


def test_the_lock_is_held_only_during_the_start(qtbot: QtBot, first: SingleInstance, home: Path) -> None:
    lock = QLockFile(str(home / "starting.lock"))
    assert lock.tryLock(0)
    lock.unlock()

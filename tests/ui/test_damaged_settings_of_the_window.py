"""A damaged window.json keeps the window from nothing: what can be read is used, the file is kept, a notice says so."""

import json
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from llm_studio.errors import RecordError
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.window import app
from llm_studio.ui.window.main_window import MainWindow
from tests.ui.driver import LONG, Driver

DAMAGE: dict[str, bytes] = {
    "nested": b"[" * 100_000, "nested objects": b'{"recent":' * 50_000, "empty": b"", "zeros": b"\0" * 500,
    "a list": b"[]", "cut": b'{"theme": "dark", "rec', "no UTF-8": b"\xff\xfe", "large": b" " * 5_000_000,
    "numbers": b'{"spare_threads": ' + b"9" * 5000 + b"}",
}  # fmt: skip


def written(home: Path, content: bytes) -> Path:
    Preferences().save()
    path = next(home.rglob("window.json"))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", DAMAGE)
def test_the_defaults_take_the_place_of_a_damaged_file_which_is_kept(home: Path, kind: str) -> None:
    path = written(home, DAMAGE[kind])
    said: list[RecordError] = []
    assert Preferences.load(said.append) == Preferences()
    kept = path.with_name("window.json.damaged")
    assert kept.read_bytes() == DAMAGE[kind] and str(kept) in said[0].to_do and str(path) in said[0].what
    assert Preferences.load(said.append) == Preferences() and len(said) == 1


def test_a_single_wrong_value_costs_no_other(home: Path) -> None:
    good = {"theme": "dark", "projects_folder": "/a/b", "recent": ["/a/\udcff"], "unknown": 1}
    for name, value in {"spare_threads": "2", "keep_awake": 1, "tab": None, "geometry": ["x"], "language": 3}.items():
        path = written(home, json.dumps({**good, name: value}).encode())
        said: list[RecordError] = []
        found = Preferences.load(said.append)
        assert (found.theme, found.projects_folder, found.recent) == ("dark", "/a/b", ["/a/\udcff"])
        assert getattr(found, name) == getattr(Preferences(), name) and f"“{name}”" in said[0].what
        assert Preferences.load() == found and path.exists()


def test_a_folder_in_its_place_is_moved_aside(home: Path) -> None:
    path = written(home, b"")
    path.unlink()
    path.mkdir()
    said: list[RecordError] = []
    assert Preferences.load(said.append) == Preferences() and "a folder" in said[0].what
    assert path.is_file() and path.with_name("window.json.damaged").is_dir()


def test_the_window_opens_and_says_so(home: Path, qtbot: QtBot) -> None:
    path = written(home, DAMAGE["nested"])
    said: list[RecordError] = []
    window = MainWindow(Preferences.load(said.append))
    qtbot.addWidget(window)
    window.show()
    driver = Driver(window, qtbot)
    app._start(window, "", said)  # pyright: ignore[reportPrivateUsage]
    qtbot.waitUntil(lambda: bool(window.pages), timeout=LONG)
    assert str(path) in driver.problem().what.text() and "window.json.damaged" in driver.problem().to_do.text()
    driver.click("Close", driver.problem())
    driver.end()
    window.close()

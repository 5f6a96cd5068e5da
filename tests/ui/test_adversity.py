"""Damaged preferences, errors that repeat, odd names and paths: the window says what is wrong, once, and goes on."""

from pathlib import Path

import pytest
from PySide6.QtGui import QDesktopServices
from pytestqt.qtbot import QtBot

from llm_studio.errors import StudioError
from llm_studio.ui.dialogs import problem
from llm_studio.ui.main_window import MainWindow
from llm_studio.ui.preferences import Preferences
from tests.ui.driver import Driver


@pytest.mark.parametrize("geometry", ["abc", "é", "AAAA"])
def test_a_damaged_place_of_the_window_is_passed_over(qtbot: QtBot, geometry: str) -> None:
    window = MainWindow(Preferences(geometry=geometry))
    qtbot.addWidget(window)
    window.show()
    assert (window.width(), window.height()) == (1360, 860)


def test_an_error_that_goes_on_is_told_once(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problem, "_AGAIN_AFTER", 0.0)  # every one comes long after the one before
    for _again in range(5):
        driver.session.problem.emit(RuntimeError("in a timer"))
        driver.session.problem.emit(StudioError("Something else."))
    first = driver.problem()
    driver.click("Close", first)
    driver.qtbot.waitUntil(lambda: driver.problem() is not first)
    assert driver.problem().what.text() == "Something else."
    driver.click("Close", driver.problem())
    assert driver.window.problems.dialog is None, "no second dialog of either waits"
    driver.session.problem.emit(RuntimeError("in a timer"))
    driver.click("Close", driver.problem())


def test_the_button_of_the_log_raises_nothing_where_its_folder_cant_be_made(
    driver: Driver, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: True)  # it would start another program
    monkeypatch.setenv("LLM_STUDIO_HOME", __file__)
    driver.session.problem.emit(RuntimeError("a bug"))
    driver.click("Open the log's folder", driver.problem())
    driver.click("Close", driver.problem())

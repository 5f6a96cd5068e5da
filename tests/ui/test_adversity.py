"""Damaged preferences, errors that repeat, odd names and paths: the window says what is wrong, once, and goes on."""

import pytest
from pytestqt.qtbot import QtBot

from llm_studio.ui.main_window import MainWindow
from llm_studio.ui.preferences import Preferences


@pytest.mark.parametrize("geometry", ["abc", "é", "AAAA"])
def test_a_damaged_place_of_the_window_is_passed_over(qtbot: QtBot, geometry: str) -> None:
    window = MainWindow(Preferences(geometry=geometry))
    qtbot.addWidget(window)
    window.show()
    assert (window.width(), window.height()) == (1360, 860)

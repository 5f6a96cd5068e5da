"""A tab is declared once: rail, menu, shortcuts and Understand follow from the declaration."""

import ast
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QMenu

import llm_studio.ui.window
from llm_studio.i18n import LANGUAGES, activate, number
from llm_studio.paths import resource
from llm_studio.project import Project
from llm_studio.ui import tabs, theme
from llm_studio.ui.tab import time_left
from tests.ui.driver import Driver
from tests.ui.fake_tab import TAB, FakePage


@pytest.fixture
def with_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more tab, the ninth, before the window is made."""
    monkeypatch.setattr(tabs, "TABS", (*tabs.TABS[:8], TAB, *tabs.TABS[8:]))


def test_a_new_tab_is_in_rail_menu_and_shortcuts(with_fake: None, driver: Driver, project: Project) -> None:
    window = driver.window
    driver.open(project)
    driver.qtbot.mouseClick(window.shell.rail.item("fake"), Qt.MouseButton.LeftButton)
    page = window.pages["fake"]
    assert isinstance(page, FakePage) and page.isVisible() and page.project is project
    window.go_to("data")
    window.activateWindow()
    driver.qtbot.keyClick(window, Qt.Key.Key_9, Qt.KeyboardModifier.ControlModifier)
    assert page.isVisible()
    window.go_to("data")
    actions = [action for menu in window.menuBar().findChildren(QMenu) for action in menu.actions()]
    next(action for action in actions if action.text() == "Fake tab").trigger()
    assert page.isVisible()
    window.pages["data"].context.target_requested.emit("fake", 7)
    assert page.target == 7
    window.explain()
    assert window.pages["understand"].isVisible()
    driver.settle()


def test_a_tab_that_needs_a_project_shows_the_start_page_without_one(with_fake: None, driver: Driver) -> None:
    driver.window.go_to("fake")
    assert driver.window.shell.start_page.isVisible() and not driver.window.pages["fake"].isVisible()


def test_the_window_knows_no_tab_by_name() -> None:
    names = {tab.name for tab in tabs.TABS}
    for name in ("shell", "main_window", "menus", "rail_facts", "closing", "unsaved"):
        path = Path(str(llm_studio.ui.window.__path__[0]), f"{name}.py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        found = {text for text in literals if text in names}
        assert not found, f"{path.name}: {found}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_lesson_that_a_tab_declares_is_there(language: str) -> None:
    for lesson in tabs.lessons():
        assert resource("learn", language, f"{lesson}.md").is_file(), lesson


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_rail_has_room_for_the_time_that_a_run_has_left(language: str, driver: Driver) -> None:
    activate(language)
    room = driver.window.shell.rail.item("training").width() - 46  # beside the sign
    metrics = QFontMetrics(theme.font(12))
    for seconds in (7, 59, 105, 119, 121, 3_599, 3_661, 86_000):
        line = time_left(98_765, seconds)
        assert metrics.horizontalAdvance(line.split(" · ")[0]) <= room, line
        assert number(98_765) in line.split(" · ")[1]


def test_names_are_unique_and_the_steps_come_first() -> None:
    assert len({tab.name for tab in tabs.TABS}) == len(tabs.TABS)
    steps = [tab.is_step for tab in tabs.TABS]
    assert steps == sorted(steps, reverse=True)

"""The menu bar and the menu of the project's pill."""

from pathlib import Path

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QMenu, QToolButton

from llm_studio.project import Project
from llm_studio.workflows.projects import new_project
from tests.ui.driver import Driver


def menu_of(driver: Driver, title: str) -> QMenu:
    """The menu of the bar, or one inside it, as it is when it is opened."""
    bar = driver.window.menuBar()
    shown = [action.menu() for action in bar.actions()]
    inside = [action.menu() for menu in shown for action in menu.actions() if action.menu()]  # type: ignore[union-attr]
    found = next(menu for menu in (*shown, *inside) if menu.title() == title)  # type: ignore[union-attr]
    assert isinstance(found, QMenu)
    found.aboutToShow.emit()
    return found


def test_recent_projects_can_be_opened_after_there_were_none(driver: Driver, project: Project) -> None:
    assert [action.isEnabled() for action in menu_of(driver, "Recent projects").actions()] == [False]
    driver.open(project)
    driver.window.closing.close_project()
    recent = menu_of(driver, "Recent projects")
    assert recent.isEnabled() and [action.text() for action in recent.actions()] == [str(project.root)]
    recent.actions()[0].trigger()
    driver.settle()
    assert driver.session.project is not None and driver.session.project.root == project.root


def test_at_most_ten_recent_projects_are_listed_and_those_that_are_gone_are_grey(
    driver: Driver, tmp_path: Path
) -> None:
    for number in range(12):
        (tmp_path / f"p{number}").mkdir()
        driver.window.preferences.remember_project(tmp_path / f"p{number}")
    (tmp_path / "p7").rmdir()
    driver.window.shell.header.project_menu.aboutToShow.emit()
    for menu in (driver.window.shell.header.project_menu, menu_of(driver, "Recent projects")):
        listed = {Path(action.text()).name: action.isEnabled() for action in menu.actions()[:10]}
        assert list(listed) == [f"p{number}" for number in range(11, 1, -1)]
        assert [name for name, enabled in listed.items() if not enabled] == ["p7"]


def test_another_theme_leaves_no_menus_of_the_one_before(driver: Driver) -> None:
    def count() -> tuple[int, int]:
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        return len(driver.window.findChildren(QAction)), len(driver.window.findChildren(QMenu))

    before = count()
    for name in ("Dark", "Light", "Dark"):
        next(action for action in menu_of(driver, "&View").actions() if action.text() == name).trigger()
    assert count() == before
    driver.qtbot.keyClick(driver.window, Qt.Key.Key_9, Qt.KeyboardModifier.ControlModifier)
    assert driver.window.pages["diagnostics"].isVisible(), "the keys work as before"


def test_a_name_with_an_ampersand_is_shown_with_it(driver: Driver, tmp_path: Path) -> None:
    driver.window.preferences.recent = [str(tmp_path / "R&D")]
    driver.window.shell.header.project_menu.aboutToShow.emit()
    menus = (driver.window.shell.header.project_menu, menu_of(driver, "Recent projects"))
    shown = [menu.actions()[0].text() for menu in menus]
    driver.open(new_project(tmp_path / "R&D"))
    shown += [made.text() for made in driver.window.shell.header.findChildren(QToolButton) if "R" in made.text()]
    assert [text.replace("&&", "§") for text in shown] == ["R§D", str(tmp_path / "R§D"), "R§D"]

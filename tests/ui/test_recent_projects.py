"""The recent projects of the start page: how each stands, and what can be done with it."""

import shutil
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QInputDialog, QLineEdit

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.recent import recent
from llm_studio.workflows.training.train import train
from tests.ui.driver import Driver


def shown(driver: Driver) -> list[str]:
    """The texts of the list, once they are known."""
    driver.window.go_to("start")
    driver.settle()
    items = driver.window.shell.start_page._list
    return [items.item(row).text() for row in range(items.count())]


def do(driver: Driver, text: str) -> None:
    """Choose something in the menu of the first project."""
    items = driver.window.shell.start_page._list
    items.setCurrentRow(0)
    next(action for action in items.menu().actions() if action.text() == text).trigger()


def test_recent_projects_show_date_state_and_best_result(project: Project, tmp_path: Path) -> None:
    train(project, Job(), run="run-1")
    gone = str(tmp_path / "gone")
    found = recent([str(project.root), gone], Job())
    assert found[0].changed is not None and "run-1: finished, step 30" in found[0].state
    assert "best: " in found[0].state and "bits/byte" in found[0].state
    assert found[1].changed is None and found[1].name == "gone"
    shutil.rmtree(project.checkpoints)
    assert recent([str(project.root)], Job())[0].state == "ready to train"


def test_a_project_is_renamed_duplicated_and_removed_from_the_list(driver: Driver, project: Project) -> None:
    driver.open(project)
    driver.window.closing.close_project()
    assert "ready to train" in shown(driver)[0] and str(project.root) in shown(driver)[0]
    do(driver, "Rename…")
    dialog = driver.dialog(QInputDialog)
    dialog.findChild(QLineEdit).setText("My tales")
    driver.click("Rename", dialog)
    driver.settle()
    assert shown(driver)[0].startswith("My tales") and project.settings().project.name == "My tales"
    do(driver, "Duplicate")
    driver.settle()
    copy = project.root.with_name(project.root.name + "-2")
    assert Project.open(copy).settings().project.name == copy.name
    assert (copy / "tokenizer.json").read_bytes() == project.tokenizer_file.read_bytes()
    assert [text.splitlines()[-1] for text in shown(driver)] == [str(copy), str(project.root)]
    items = driver.window.shell.start_page._list
    items.setCurrentRow(0)
    driver.qtbot.keyClick(items, Qt.Key.Key_Delete)
    assert driver.window.preferences.recent == [str(project.root)] and copy.is_dir(), "the folder stays"


def test_the_keyboard_begins_with_the_recent_projects_or_else_the_example(driver: Driver, project: Project) -> None:
    assert driver.window.focusWidget() is driver.window.shell.start_page.example
    driver.open(project)
    driver.window.go_to("start")
    driver.settle()
    assert driver.window.focusWidget() is driver.window.shell.start_page._list

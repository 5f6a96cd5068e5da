"""Damaged preferences, errors that repeat, odd names and paths: the window says what is wrong, once, and goes on."""

import errno
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QDesktopServices
from pytestqt.qtbot import QtBot

from llm_studio.errors import StudioError
from llm_studio.jobs import Job
from llm_studio.ui.dialogs import problem
from llm_studio.ui.dialogs.add_texts import AddTextsDialog
from llm_studio.ui.dialogs.new_project import NewProjectDialog
from llm_studio.ui.dialogs.settings import SettingsDialog
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.window.main_window import MainWindow
from llm_studio.workflows.data import sources
from tests.ui.driver import Driver


@pytest.mark.parametrize("geometry", ["abc", "é", "AAAA"])
def test_a_damaged_place_of_the_window_is_passed_over(qtbot: QtBot, geometry: str) -> None:
    window = MainWindow(Preferences(geometry=geometry))
    qtbot.addWidget(window)
    window.show()
    assert (window.width(), window.height()) == (1360, 860)


def test_an_error_that_goes_on_is_reported_once(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_file_that_fails_unforeseen_is_reported_of_and_the_others_are_looked_at(
    opened: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = sources.look

    def fail_at_one(path: Path, job: Job, **how: Any) -> object:
        if path.name == "odd.csv":
            raise ValueError("a table of a new kind")
        return look(path, job, **how)

    monkeypatch.setattr(sources, "look", fail_at_one)
    for name in ("odd.csv", "right.csv"):
        (tmp_path / name).write_text("text\nOnce upon a time\n", encoding="utf-8")
    opened.page("data").own_files.take([tmp_path / "odd.csv", tmp_path / "right.csv"])
    opened.settle()
    dialog = opened.dialog(AddTextsDialog)
    assert "odd.csv can't be read: a table of a new kind" in dialog.problem.text()
    assert "Looking" not in dialog.preview.toPlainText()
    assert dialog.add.isEnabled(), "the other can be added"
    dialog.reject()


def test_a_damaged_file_is_one_sentence_with_the_technical_reason_on_hover(opened: Driver, tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4\nnothing more")
    (tmp_path / "right.csv").write_text("text\nOnce upon a time\n", encoding="utf-8")
    opened.page("data").own_files.take([tmp_path / "broken.pdf", tmp_path / "right.csv"])
    opened.settle()
    dialog = opened.dialog(AddTextsDialog)
    assert dialog.problem.text().count("broken.pdf") == 1
    assert dialog.problem.text().endswith("is damaged and will be skipped.")
    assert dialog.problem.toolTip() and str(tmp_path) not in dialog.problem.text()
    dialog.reject()


def test_a_folder_shows_how_many_files_it_has_and_names_damaged_ones_once(opened: Driver, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4\nnothing more")
    (folder / "right.txt").write_bytes("Déjà vu, très élégant, à côté de la forêt.".encode("cp1252"))
    opened.page("data").own_files.take([folder])
    opened.settle()
    dialog = opened.dialog(AddTextsDialog)
    assert dialog.facts.text().startswith("folder · 2 readable files · ")
    assert "Windows-1252" not in dialog.facts.text()
    assert dialog.problem.text() == "“broken.pdf” is damaged and will be skipped."
    assert "broken.pdf: " in dialog.problem.toolTip()
    dialog.reject()


def test_a_place_with_the_home_of_nobody_is_taken_as_it_stands(driver: Driver) -> None:
    driver.window.closing.new_project()
    dialog = driver.dialog(NewProjectDialog)
    dialog.place.clear()
    driver.qtbot.keyClicks(dialog.place, "~nobody-of-this-name")
    assert dialog.root().parent.name == "~nobody-of-this-name"
    dialog.reject()
    driver.window.show_settings()
    requested = driver.dialog(SettingsDialog)
    requested.folder.setText("~nobody-of-this-name")
    requested.folder.editingFinished.emit()
    assert requested.problem.isVisible()
    requested.reject()


def test_a_new_project_can_be_made_elsewhere_while_the_folder_of_projects_is_away(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists = Path.exists

    def look(path: Path, **how: Any) -> bool:
        if "share" in path.parts:
            raise OSError(errno.EHOSTDOWN, "Host is down")
        return exists(path, **how)

    monkeypatch.setattr(Path, "exists", look)
    driver.window.preferences.projects_folder = str(tmp_path / "share")
    driver.window.closing.new_project()
    dialog = driver.dialog(NewProjectDialog)
    assert dialog.name.text() == "my-llm"
    dialog.place.setText(str(tmp_path / "here"))
    driver.click("Create the project", dialog)
    driver.settle()
    assert driver.session.project is not None and driver.session.project.root == tmp_path / "here" / "my-llm"

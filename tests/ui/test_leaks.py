"""Nothing of one project reaches another, nothing that was typed is lost, and no thread outlives the window."""

import threading
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QAbstractSpinBox, QDialog, QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from llm_studio.errors import RecordError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.ui.page_context import Toast
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tasks import SETTINGS, BackgroundJob, Query, Task
from llm_studio.ui.window.main_window import MainWindow
from llm_studio.workflows.generation import chats, favourites
from llm_studio.workflows.projects import new_project
from llm_studio.workflows.training import train
from tests.ui.driver import LONG, Driver


def other(tmp_path: Path) -> Project:
    return new_project(tmp_path / "other", language="en", name="other")


def text(project: Project) -> str:
    return project.config_file.read_text(encoding="utf-8")


def steps_box(page: Any) -> QWidget:
    """The box for the number of steps."""
    return page.form.fields["training.max_steps"].findChildren(QAbstractSpinBox)[0]


def test_settings_that_wait_for_others_to_be_written_stay_with_their_project(opened: Driver, tmp_path: Path) -> None:
    project, gate, second = opened.session.project, threading.Event(), other(tmp_path)
    assert project is not None
    before = text(second)
    opened.session.start(Query(SETTINGS, lambda job: gate.wait(20)))  # the disk is slow
    opened.session.change_settings({"training.seed": 4321})
    opened.session.open(second)
    gate.set()
    opened.settle()
    assert text(second) == before
    assert "seed: 4321" in text(project)


def test_settings_that_wait_are_written_when_the_window_closes(opened: Driver) -> None:
    project, gate = opened.session.project, threading.Event()
    assert project is not None
    opened.session.start(Query(SETTINGS, lambda job: gate.wait(1)))
    opened.session.change_settings({"training.seed": 4321})
    opened.window.close()
    assert "seed: 4321" in text(project)


def test_what_is_being_typed_is_kept_when_the_project_is_left(opened: Driver, tmp_path: Path) -> None:
    project, second = opened.session.project, other(tmp_path)
    assert project is not None
    page = opened.page("model")
    opened.qtbot.keyClicks(steps_box(page), "7")
    typed = page.form.fields["training.max_steps"].value()
    opened.open(second)
    assert f"max_steps: {typed}" in text(project)
    assert f"max_steps: {typed}" not in text(second)


def test_what_is_being_typed_is_kept_when_the_window_closes_and_nothing_begins_after_it(opened: Driver) -> None:
    project = opened.session.project
    assert project is not None
    page = opened.page("model")
    opened.qtbot.keyClicks(steps_box(page), "7")
    typed = page.form.fields["training.max_steps"].value()
    opened.window.close()
    assert f"max_steps: {typed}" in text(project)
    opened.qtbot.wait(50)  # let the signals that the threads have sent arrive
    assert opened.session.wait(0)
    assert opened.session.is_idle()


def test_config_yaml_being_typed_is_kept_and_stays_with_its_project(opened: Driver, tmp_path: Path) -> None:
    project, second = opened.session.project, other(tmp_path)
    assert project is not None
    page = opened.page("model")
    opened.click("config.yaml", page)
    opened.qtbot.waitUntil(lambda: "max_steps" in page.file.text.toPlainText())
    opened.qtbot.keyClicks(page.file.text, "# mine ")
    opened.open(second)
    assert "# mine" in text(project)
    assert page.file._file == text(second)
    assert page.file.text.toPlainText() == text(second)


def test_an_undo_goes_with_its_project(opened: Driver, tmp_path: Path) -> None:
    opened.window.shell.say(Toast("gone", Query("data/restore", lambda job: "x")))
    assert opened.window.shell.toasts.isVisible()
    opened.open(other(tmp_path))
    assert not opened.window.shell.toasts.isVisible()
    started: list[Task] = []
    opened.session.started.connect(started.append)
    opened.window.shell.toasts._undo.click()
    assert not started


def test_opening_the_open_project_again_disturbs_nothing(opened: Driver) -> None:
    opened.session.change_settings({"training.max_steps": 100_000})
    opened.settle()
    page = opened.page("training")
    opened.window.do_primary()
    opened.running("training")
    opened.window.closing.open_folder(str(opened.session.project.root))  # type: ignore[union-attr]
    opened.qtbot.waitUntil(lambda: not opened.session.is_running("overview"), timeout=LONG)
    assert page.buttons.stop.isVisible()
    assert not page.buttons.start.isVisible()


def test_a_project_opened_during_the_start_stays_open(qtbot: QtBot, tmp_path: Path, project: Project) -> None:
    window = MainWindow(Preferences(projects_folder=str(tmp_path), reopen_last=False))
    driver = Driver(window, qtbot)
    there: list[bool] = []
    window.pages_made.connect(lambda: there.append(True))
    window.show()
    window.start(str(project.root))
    second = other(tmp_path)
    window.closing.open_folder(str(second.root))
    driver.qtbot.waitUntil(lambda: bool(there), timeout=LONG)
    driver.settle()
    assert window.session.project is not None
    assert window.session.project.root == second.root
    window.close()
    window.deleteLater()


def test_the_language_can_be_chosen_during_the_start_and_jobs_run_on(qtbot: QtBot, tmp_path: Path) -> None:
    window = MainWindow(Preferences(projects_folder=str(tmp_path), reopen_last=False))
    driver = Driver(window, qtbot)
    there: list[bool] = []
    window.pages_made.connect(lambda: there.append(True))
    window.show()
    window.start("")
    window.choose_language("fr")
    assert not window.pages, "nothing large is imported in the UI thread"
    driver.qtbot.waitUntil(lambda: bool(there), timeout=LONG)
    window.choose_language("en")
    driver.qtbot.waitUntil(lambda: len(there) > 1, timeout=LONG)
    driver.session.start(BackgroundJob("job", lambda job: 1, "Job"))  # the pages of before are gone and hear nothing
    driver.settle()
    window.close()
    window.deleteLater()


def test_a_question_about_a_run_goes_with_its_project(opened: Driver, tmp_path: Path) -> None:
    project = opened.session.project
    assert project is not None
    train.train(project, Job(), changes={"training.max_steps": 5})
    opened.session.refresh()
    opened.settle()
    page = opened.page("training")
    page.view.runs.delete_action.trigger()
    assert opened.dialog(QMessageBox)
    opened.window.closing.open_folder(str(other(tmp_path).root))
    opened.settle()
    assert not [box for box in opened.window.findChildren(QMessageBox) if box.isVisible()]


def test_config_yaml_can_be_written_after_a_project_was_left_while_it_was_written(
    opened: Driver, tmp_path: Path
) -> None:
    page, second = opened.page("model"), other(tmp_path)
    page.config.save("not: mine", "what the file doesn't hold")  # its result is ignored, but its error is shown
    opened.open(second)
    assert opened.summary
    opened.page("model")  # a project opens on a page of its own
    opened.click("config.yaml", page)
    opened.qtbot.waitUntil(lambda: "max_steps" in page.file.text.toPlainText())
    opened.qtbot.keyClicks(page.file.text, "# mine ")
    page.file.save()
    opened.settle()
    assert "# mine" in text(second)


def test_gauges_and_measurements_go_on_after_another_project_was_opened(opened: Driver, tmp_path: Path) -> None:
    page, model = opened.page("diagnostics"), opened.window.pages["model"]
    page.readings.read()
    model.step_time._measuring = True  # type: ignore[attr-defined]
    opened.open(other(tmp_path))
    opened.window.go_to("diagnostics")
    opened.qtbot.waitUntil(lambda: opened.session.is_running("diagnostics/gauges"), timeout=10_000)
    assert not model.step_time._measuring  # type: ignore[attr-defined]


def test_two_stars_in_a_moment_are_both_kept(opened: Driver) -> None:
    project = opened.session.project
    assert project is not None
    chat = chats.Chat(chats.new().id, (chats.Turn("a", " b"), chats.Turn("c", " d")))
    chats.write(project, chat)
    page = opened.page("generation")
    page.talk.show_chat(chat)
    for index in (0, 1, 0, 0):
        page.talk._star(index)
    opened.settle()
    assert [turn.favourite for turn in chats.read(project, chat.id).turns] == [True, True]
    assert not opened.summary


def test_closing_during_the_start(qtbot: QtBot, tmp_path: Path, project: Project) -> None:
    window = MainWindow(Preferences(projects_folder=str(tmp_path), reopen_last=False))
    window.show()
    window.start(str(project.root))
    window.close()
    window.close()
    qtbot.wait(100)
    assert window.session.is_idle()
    window.deleteLater()


def test_dialogs_are_gone_when_they_are_closed(opened: Driver) -> None:
    for command in (opened.window.show_settings, opened.window.show_about, opened.window.closing.new_project):
        before = len(opened.window.findChildren(QDialog))
        for _again in range(2):
            command()
            next(d for d in opened.window.findChildren(QDialog) if d.isVisible()).reject()
        opened.qtbot.wait(10)
        assert len(opened.window.findChildren(QDialog)) == before, command


def test_damaged_favourites_are_reported(opened: Driver) -> None:
    project = opened.session.project
    assert project is not None
    folder = project.root / "chats"
    folder.mkdir(exist_ok=True)
    for damaged in ('{"samples": null}', '{"samples": 3}', '{"samples": [3, {"run": 1}]}', "[]", "nonsense"):
        (folder / "favourites.json").write_text(damaged, encoding="utf-8")
        with pytest.raises(RecordError, match="is damaged"):
            favourites.listed(project)

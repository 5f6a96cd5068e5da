"""The window around the tabs: beginning, going about, languages, problems, closing."""

import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QMessageBox

from llm_studio.errors import StudioError
from llm_studio.project import Project
from llm_studio.ui import tabs
from llm_studio.ui.dialogs.new_project import NewProjectDialog
from llm_studio.ui.dialogs.problem import ProblemDialog
from llm_studio.ui.page_context import Toast
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tasks import BackgroundJob, Query
from llm_studio.workflows.training import runs
from tests.ui.driver import LONG, Driver

TRAIN = BackgroundJob("training", lambda job: None, "Training")


def start_training(opened: Driver) -> None:
    """A training of the tiny project that takes far longer than the test."""
    opened.session.change_settings({"training.max_steps": 100_000})
    opened.settle()
    opened.page("training")
    opened.window.do_primary()
    opened.running("training")
    opened.qtbot.waitUntil(lambda: "step" in opened.window.shell.rail.item("training").toolTip(), timeout=LONG)


def test_without_a_project_the_steps_show_the_start_page(driver: Driver) -> None:
    for name in (tab.name for tab in tabs.TABS if tab.is_step):
        driver.window.go_to(name)
        assert driver.window.shell.start_page.isVisible()
    driver.window.go_to("diagnostics")
    assert driver.window.pages["diagnostics"].isVisible()


def test_a_new_project_is_made_and_opened(driver: Driver, tmp_path: Path) -> None:
    driver.click("New project…")
    dialog = driver.dialog(NewProjectDialog)
    dialog.name.setText("Mes contes d'été: n°1")
    dialog.language.setCurrentIndex(dialog.language.findData("fr"))
    driver.click("Create the project", dialog)
    driver.settle()
    project = driver.session.project
    assert project is not None
    assert project.root == tmp_path / "projects" / "Mes contes d'été- n°1"
    assert project.settings().project.language == "fr"
    assert driver.window.pages["data"].isVisible()
    assert json.loads((tmp_path / "home" / "window.json").read_text(encoding="utf-8"))["recent"] == [str(project.root)]


def test_a_new_project_where_one_is_already_is_refused_and_that_one_can_be_opened(
    driver: Driver, project: Project
) -> None:
    driver.click("New project…")
    dialog = driver.dialog(NewProjectDialog)
    dialog.place.setText(str(project.root.parent))
    dialog.name.setText(project.root.name)
    driver.click("Create the project", dialog)
    assert any("already a project" in text.text() for text in dialog.findChildren(QLabel) if text.isVisible())
    assert driver.session.project is None
    dialog.name.setText(project.root.name + "-2")
    assert not dialog.open_existing.isVisible(), "nothing is known of another folder"
    dialog.name.setText(project.root.name)
    driver.click("Create the project", dialog)
    driver.click("Open this project", dialog)
    driver.settle()
    assert driver.session.project is not None and driver.session.project.root == project.root


def test_opening_a_folder_without_a_project_tells_so_and_forgets_it(driver: Driver, tmp_path: Path) -> None:
    driver.window.preferences.remember_project(tmp_path)
    driver.window.closing.open_folder(str(tmp_path))
    assert "There is no project in" in driver.problem().what.text()
    assert "llm-studio" not in driver.problem().to_do.text(), "a command means nothing here"
    assert driver.window.preferences.recent == []
    driver.click("Close", driver.problem())


def test_the_rail_says_where_each_step_stands(opened: Driver) -> None:
    rail = opened.window.shell.rail
    assert rail.item("data").accessibleName().startswith("Data, ready, ")
    assert rail.item("tokenizer").accessibleName().startswith("Tokenizer, ready, ")
    assert rail.item("training").accessibleName() == "Training, to do, no run yet"
    opened.session.change_settings({"model.vocab_size": 500})
    opened.settle()
    assert "out of date" in rail.item("tokenizer").accessibleName()


def test_the_keys_lead_to_all_tabs(opened: Driver) -> None:
    opened.window.activateWindow()
    for number, name in enumerate((tab.name for tab in tabs.TABS), start=1):
        key = getattr(Qt.Key, f"Key_{number}")
        opened.qtbot.keyClick(opened.window, key, Qt.KeyboardModifier.ControlModifier)
        assert opened.window.pages[name].isVisible(), name
    opened.settle()


@pytest.mark.slow
def test_language_and_theme_change_on_the_spot_and_a_training_goes_on(opened: Driver) -> None:
    start_training(opened)
    opened.window.choose_language("fr")
    opened.qtbot.waitUntil(lambda: len(opened.window.pages) == len(tabs.TABS), timeout=LONG)
    opened.window.choose_theme("dark")
    assert opened.session.is_running("training")
    rail = opened.window.shell.rail
    assert rail.item("data").text() == "Données"
    assert opened.window.pages["training"].title.text() == "Entraînement"
    opened.qtbot.waitUntil(lambda: "étape" in rail.item("training").toolTip(), timeout=LONG)
    opened.window.stop_current()
    opened.settle()
    assert "Processeur" in opened.window.shell.header._machine.text()
    assert runs.listed(opened.session.project)[0].state == "stopped"  # type: ignore[arg-type]


def test_what_was_removed_comes_back_with_undo(opened: Driver) -> None:
    done: list[str] = []
    opened.window.shell.say(Toast("Removed.", Query("undo", lambda job: done.append("undone"))))
    opened.click("Undo")
    opened.settle()
    assert done == ["undone"]


def test_a_word_that_comes_by_itself_waits_behind_one_that_can_be_undone(opened: Driver) -> None:
    shell, done = opened.window.shell, list[str]()
    shell.say(Toast("Removed.", Query("undo", lambda job: done.append("first"))))
    for number in range(9):
        shell.say(Toast(f"The loss rises: {number}."))
    assert shell.toasts.accessibleName() == "Removed."
    shell.say(Toast("Removed, too.", Query("undo", lambda job: done.append("second"))))
    opened.click("Undo")
    opened.settle()
    assert done == ["second"], "what was done last is undone"
    for number in (6, 7, 8):
        assert shell.toasts.accessibleName() == f"The loss rises: {number}."
        shell.toasts._timer.timeout.emit()  # its time is over
    assert shell.toasts.isHidden()


def test_one_cause_has_one_dialog_and_further_ones_wait(driver: Driver) -> None:
    for _again in range(5):
        driver.session.problem.emit(StudioError("The disk is full.", "Make room."))
    driver.session.problem.emit(StudioError("Something else.", "", "data"))
    assert driver.problem().what.text() == "The disk is full."
    driver.click("Close", driver.problem())
    driver.qtbot.waitUntil(lambda: driver.problem().what.text() == "Something else.")
    driver.click("Go to Data", driver.problem())
    driver.qtbot.waitUntil(lambda: driver.window.problems.dialog is None)
    assert driver.window.shell.shown == "data"


def test_a_bug_is_reported_calmly_with_its_details_to_copy(driver: Driver, qapp) -> None:  # type: ignore[no-untyped-def]
    driver.session.start(BackgroundJob("bug", lambda job: 1 / 0, "A bug"))
    driver.settle()
    dialog = driver.problem()
    assert "not your fault" in dialog.what.text()
    driver.click("Copy the details", dialog)
    assert "ZeroDivisionError" in qapp.clipboard().text()
    driver.click("Close", dialog)


@pytest.mark.slow
def test_closing_while_training_asks_and_each_answer_does_what_it_says(opened: Driver) -> None:
    start_training(opened)
    window = opened.window
    for answer, stays_open in (("Cancel", True), ("Minimise and continue", True)):
        assert not window.close()
        opened.click(answer, opened.dialog(QMessageBox))
        assert opened.session.is_running("training") and not opened.session.is_stopping("training")
        assert stays_open
    window.showNormal()
    assert not window.close()
    opened.click("Save, stop and quit", opened.dialog(QMessageBox))
    opened.qtbot.waitUntil(lambda: not window.isVisible(), timeout=LONG)
    run = runs.listed(opened.session.project)[0]  # type: ignore[arg-type]
    assert run.state == "stopped" and run.step > 0


@pytest.mark.slow
def test_leaving_a_project_while_it_trains_asks(opened: Driver, tmp_path: Path) -> None:
    start_training(opened)
    first = opened.session.project
    from llm_studio.workflows.projects import new_project

    other = new_project(tmp_path / "other")
    opened.window.closing.open_project(other)
    opened.click("Stay in this project", opened.dialog(QMessageBox))
    assert opened.session.project is first
    opened.window.closing.open_project(other)
    opened.click("Save, stop and change project", opened.dialog(QMessageBox))
    opened.qtbot.waitUntil(lambda: opened.session.project is other, timeout=LONG)
    opened.settle()
    assert runs.listed(first)[0].state == "stopped"  # type: ignore[arg-type]


def test_preferences_survive_a_damaged_file(home: Path) -> None:
    kept = Preferences(language="fr", theme="dark", recent=["/a"], spare_threads=1)
    kept.save()
    assert Preferences.load() == kept
    for text in ("", "[1]", '{"theme": 3, "recent": "x", "language": "fr"}'):
        (home / "window.json").write_text(text, encoding="utf-8")
        read = Preferences.load()
        assert read.theme == "system" and read.recent == []


def test_a_folder_whose_name_is_no_utf_8_is_remembered(home: Path) -> None:
    kept = Preferences(projects_folder="/home/Jérôme")
    kept.remember_project(Path("/home/J\udce9r\udcf4me"))  # as Python reads such a name on Linux
    kept.save()
    assert Preferences.load() == kept


def test_the_example_is_ready_to_train_after_one_click(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_studio.workflows.quickstart._STORIES", 300)
    driver.click("Try the example")
    driver.qtbot.waitUntil(lambda: driver.session.project is not None, timeout=LONG)
    driver.settle()
    assert driver.session.overview is not None
    steps = driver.session.overview.steps
    assert {steps.data.value, steps.tokenizer.value, steps.tokens.value} == {"ready"}
    assert driver.window.pages["training"].isVisible()
    training = driver.page("training")
    driver.qtbot.waitUntil(lambda: "2\u00a0min (about " in training.plan.text, timeout=LONG)
    assert training.buttons.start.property("role") == "primary" and training.buttons.start.isEnabled()
    assert not training.buttons.plan.isVisible()
    assert not driver.window.findChildren(ProblemDialog)

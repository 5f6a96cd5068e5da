"""Leaving and closing while jobs run: nothing is lost, nothing hidden, and the process ends cleanly."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QMessageBox

from llm_studio.errors import StorageError
from llm_studio.jobs import Job
from llm_studio.ui.dialogs.new_project import NewProjectDialog
from llm_studio.ui.tasks import BackgroundJob, Query
from llm_studio.ui.window.start_page import StartPage
from llm_studio.workflows.projects import new_project
from tests.ui.driver import LONG, Driver


def until_stopped(then: Callable[[], object] = lambda: None) -> Callable[[Job], object]:
    """Work that goes on until it is asked to stop, and ends with `then`."""

    def work(job: Job) -> object:
        while not job.stop_requested:
            threading.Event().wait(0.01)
        return then()

    return work


def quit_and_save(driver: Driver) -> None:
    assert not driver.window.close()
    driver.click("Save, stop and quit", driver.dialog(QMessageBox))


def test_a_second_close_waits_for_the_save_as_the_first_does(driver: Driver) -> None:
    saving, saved = threading.Event(), threading.Event()
    driver.session.start(BackgroundJob("training", until_stopped(lambda: (saving.set(), saved.wait(20))), "Training"))
    quit_and_save(driver)
    driver.qtbot.waitUntil(saving.is_set, timeout=LONG)
    for _again in range(3):
        assert not driver.window.close()
    assert driver.window.isVisible() and driver.window.closing.question is None
    saved.set()
    driver.qtbot.waitUntil(lambda: not driver.window.isVisible(), timeout=LONG)


def test_a_job_that_began_after_the_answer_is_requested_about(driver: Driver) -> None:
    saved = threading.Event()
    driver.session.start(BackgroundJob("training", until_stopped(lambda: saved.wait(20)), "Training"))
    quit_and_save(driver)
    driver.session.start(BackgroundJob("export", until_stopped(), "Export"))
    quit_and_save(driver)
    saved.set()
    driver.qtbot.waitUntil(lambda: not driver.window.isVisible(), timeout=LONG)


def test_a_save_that_failed_is_reported_before_the_window_closes(driver: Driver) -> None:
    def fail() -> None:
        raise StorageError("The disk is full.", "Make room.")

    driver.session.start(BackgroundJob("training", until_stopped(fail), "Training"))
    quit_and_save(driver)
    driver.settle()
    assert driver.problem().what.text() == "The disk is full."
    driver.qtbot.wait(50)
    assert driver.window.isVisible()
    driver.click("Close", driver.problem())
    driver.qtbot.waitUntil(lambda: not driver.window.isVisible(), timeout=LONG)


def test_all_threads_share_one_time_to_end(driver: Driver) -> None:
    gate = threading.Event()
    for number in range(4):
        driver.session.start(Query(f"deaf {number}", lambda job: gate.wait(30)))
    begun = time.monotonic()
    assert not driver.session.wait(300)
    assert time.monotonic() - begun < 0.9
    gate.set()


_DEAF = """
import sys, time
from PySide6.QtCore import QTimer
from llm_studio.ui.window import app, closing
from llm_studio.ui.tasks import Query
closing._PATIENCE = 100

def start(window, wanted, damage):
    window.session.start(Query("deaf", lambda job: time.sleep(60)))
    QTimer.singleShot(0, window, window.close)

app._start = start
sys.exit(app.main())
"""


def test_a_thread_that_does_not_end_never_aborts_the_process(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", _DEAF], capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 0, ended.stderr


def test_leaving_a_project_leaves_the_jobs_of_the_program_alone(opened: Driver) -> None:
    opened.session.start(
        BackgroundJob("gpu", until_stopped(), "Enabling the GPU", "diagnostics", outlives_project=True)
    )
    opened.window.closing.close_project()
    assert opened.session.project is None and opened.window.closing.question is None
    assert opened.session.is_running("gpu") and not opened.session.is_stopping("gpu")
    assert not opened.window.close()
    assert "Enabling the GPU" in opened.dialog(QMessageBox).text()
    opened.click("Cancel", opened.dialog(QMessageBox))


def test_stopping_the_jobs_of_a_project_stops_no_job_of_the_program(opened: Driver) -> None:
    opened.session.start(
        BackgroundJob("gpu", until_stopped(), "Enabling the GPU", "diagnostics", outlives_project=True)
    )
    opened.session.start(BackgroundJob("training", until_stopped(), "Training", "training"))
    opened.window.closing.close_project()
    assert "Enabling" not in opened.dialog(QMessageBox).text()
    opened.click("Save, stop and change project", opened.dialog(QMessageBox))
    opened.qtbot.waitUntil(lambda: opened.session.project is None, timeout=LONG)
    assert opened.session.is_running("gpu") and not opened.session.is_stopping("gpu")


def test_a_project_whose_drive_is_away_stays_among_the_recent_ones(driver: Driver, tmp_path: Path) -> None:
    away, gone = tmp_path / "drive" / "project", tmp_path / "gone"
    for root in (away, gone):
        driver.window.preferences.remember_project(root)
        driver.window.closing.open_folder(str(root))
        driver.click("Close", driver.problem())
        driver.qtbot.waitUntil(lambda: driver.window.problems.dialog is None)
    assert driver.window.preferences.recent == [str(away)]


def test_a_log_off_saves_at_once_and_asks_nothing(opened: Driver) -> None:
    saved: list[bool] = []
    opened.session.start(BackgroundJob("training", until_stopped(lambda: saved.append(True)), "Training"))
    opened.session.change_settings({"training.seed": 4321})
    opened.window.closing.log_off()
    assert saved and opened.session.project is not None
    assert opened.session.project.settings().training.seed == 4321
    assert opened.window.close() and opened.window.closing.question is None


def test_the_question_about_a_running_job_comes_before_a_new_project_is_created(opened: Driver, tmp_path: Path) -> None:
    def root() -> Path:
        assert opened.session.project is not None
        return opened.session.project.root

    before, created = root(), tmp_path / "projects" / "another"
    opened.session.start(BackgroundJob("training", until_stopped(), "Training"))
    opened.window.closing.new_project()
    dialog = opened.dialog(NewProjectDialog)
    dialog.name.setText("another")
    for answer in ("Stay in this project", "Save, stop and change project"):
        opened.click("Create the project", dialog)
        question = opened.dialog(QMessageBox)
        assert not (tmp_path / "projects").exists(), "nothing is created before the answer"
        opened.click(answer, question)
        if answer.startswith("Stay"):
            assert dialog.isVisible() and opened.session.is_running("training")
            assert root() == before
    opened.qtbot.waitUntil(lambda: root() == created, timeout=LONG)
    opened.settle()
    assert opened.window.preferences.recent[0] == str(created)
    assert opened.window.closing.question is None, "there is one question only"


def test_an_example_that_isnt_opened_is_among_the_recent_projects(opened: Driver, tmp_path: Path) -> None:
    made = new_project(tmp_path / "example", "nano", "en")
    opened.session.start(BackgroundJob("training", until_stopped(), "Training"))
    opened.session.start(BackgroundJob(StartPage.EXAMPLE, lambda job: made, "Example"))
    opened.click("Stay in this project", opened.dialog(QMessageBox))
    assert str(made.root) in opened.window.preferences.recent

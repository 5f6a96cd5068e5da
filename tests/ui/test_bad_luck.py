"""Bad luck: one dialog that says what to do, and the window goes on."""

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from llm_studio.jobs import Job
from llm_studio.runs import registry
from llm_studio.ui.tasks import BackgroundJob
from llm_studio.ui.window import app
from llm_studio.workflows.training import train
from tests.ui.driver import LONG, Driver


def works(driver: Driver) -> None:
    """The window goes on: the dialog closes, a job runs."""
    driver.click("Close", driver.problem())
    driver.qtbot.waitUntil(lambda: driver.window.problems.dialog is None)
    driver.session.start(BackgroundJob("again", lambda job: "done", "Again"))
    driver.settle()
    assert driver.results["again"] == "done"


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "full"), (errno.EROFS, "read-only")])
def test_a_disk_that_takes_nothing(opened: Driver, monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    before = opened.session.project.config_file.read_text(encoding="utf-8")  # type: ignore[union-attr]
    monkeypatch.setattr("os.fsync", refuse)
    opened.session.change_settings({"training.seed": 99})
    opened.settle()
    monkeypatch.undo()
    assert len(opened.summary) == 1
    said = f"{opened.problem().what.text()} {opened.problem().to_do.text()}"
    assert words in said.lower() or "written" in said
    assert opened.session.project.config_file.read_text(encoding="utf-8") == before  # type: ignore[union-attr]
    works(opened)


def test_memory_that_runs_out(opened: Driver) -> None:
    def eat(job: Job) -> None:
        raise MemoryError

    opened.session.start(BackgroundJob("eat", eat, "Eating"))
    opened.settle()
    assert "not enough memory" in opened.problem().what.text()
    works(opened)


def test_an_exception_in_a_slot_or_a_thread_is_reported_once(
    driver: Driver, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("threading.excepthook", lambda args: None)
    monkeypatch.setenv("LLM_STUDIO_QT_MESSAGES", "1")
    app.install_hooks(driver.window, driver.session)
    error = RuntimeError("a bug")
    for _again in range(50):  # a slot of a timer fails ten times a second
        sys.excepthook(RuntimeError, error, None)
    assert "not your fault" in driver.problem().what.text()
    works(driver)
    assert driver.window.problems.dialog is None


def test_a_project_deleted_while_its_training_runs(opened: Driver) -> None:
    opened.session.change_settings({"training.max_steps": 100_000})
    opened.settle()
    opened.page("training")
    opened.window.do_primary()
    opened.running("training")
    opened.qtbot.waitUntil(lambda: "step" in opened.window.shell.rail.item("training").toolTip(), timeout=LONG)
    shutil.rmtree(opened.session.project.root, ignore_errors=True)  # type: ignore[union-attr]
    opened.qtbot.waitUntil(lambda: opened.session.project is None or not opened.session.jobs(), timeout=LONG)
    opened.session.stop_all()
    opened.settle()
    opened.session.refresh()
    opened.settle()
    assert opened.session.project is None
    assert len({str(error) for error in opened.summary}) == len(opened.summary), "nothing is told twice"


def test_another_command_that_trains_at_the_same_time(opened: Driver) -> None:
    """It has taken the name run-1: the window's run is run-2."""
    project = opened.session.project
    assert project is not None
    opened.session.change_settings({"training.max_steps": 5, "training.warmup_steps": 1})
    opened.settle()
    with project.writing("run-run-1"):
        opened.page("training")
        opened.window.do_primary()
        opened.running("training")
        opened.settle()
        assert [run.name for run in registry.listed(project)] == ["run-2"]
        assert not opened.summary


def test_a_run_cut_off_is_offered_to_be_resumed(opened: Driver, tmp_path: Path) -> None:
    project = opened.session.project
    assert project is not None
    train.train(project, Job(), changes={"training.max_steps": 10})
    record = project.checkpoints / "run-1" / "run.json"
    record.write_text(record.read_text(encoding="utf-8").replace("finished", "running").replace(
        '"max_steps": 10', '"max_steps": 20'), encoding="utf-8")  # fmt: skip
    opened.session.refresh()
    opened.settle()
    page = opened.page("training")
    assert "stopped at step 10" in page.offer.accessibleName() or opened.button("Resume", page)
    opened.click("Resume", page)
    opened.running("training")
    opened.settle()

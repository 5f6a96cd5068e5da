"""What is on the screen right after a project was opened: nothing false, and the place where the user goes on."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import registry
from llm_studio.ui import tabs
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.window.main_window import MainWindow
from llm_studio.ui.window.shell import expect_project
from llm_studio.workflows import overview
from llm_studio.workflows.training import train
from tests.ui.driver import LONG, Driver


def said(window: QWidget) -> str:
    """All that is written on the page on the screen."""
    return " ".join(part.text() for part in window.findChildren(QLabel) if part.isVisible())


def test_nothing_false_is_shown_while_a_project_is_read(
    driver: Driver, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, read = threading.Event(), overview.overview

    def slowly(project: Project) -> object:
        assert go_on.wait(LONG / 1000)
        return read(project)

    monkeypatch.setattr(overview, "overview", slowly)
    driver.window.closing.open_project(project)
    for tab in tabs.TABS:
        if tab.needs_project:
            driver.window.go_to(tab.name)
            assert not driver.window.pages[tab.name].isVisible(), tab.name
            assert "Loading the project" in said(driver.window.shell.stack)
    driver.window.go_to(tabs.MACHINE.name)
    assert driver.window.pages[tabs.MACHINE.name].isVisible()
    driver.window.go_to("data")
    go_on.set()
    driver.settle()
    assert driver.window.pages["data"].isVisible()


def test_a_project_that_cannot_be_read_is_read_again_on_request(
    driver: Driver, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, broken = overview.overview, [True]

    def once(project: Project) -> object:
        if broken:
            broken.pop()
            raise OSError("the disk is slow")
        return read(project)

    monkeypatch.setattr(overview, "overview", once)
    driver.open(project)
    driver.click("Close", driver.problem())
    assert "could not be read" in said(driver.window.shell.stack)
    driver.click("Try again")
    driver.settle()
    assert driver.window.pages["data"].isVisible()


def test_a_project_is_opened_on_the_run_that_was_interrupted(driver: Driver, project: Project) -> None:
    run = train.train(project, Job(), changes={"training.max_steps": 4}).run
    registry.write(project, replace(run, state="running"))  # as a run that was killed has left it
    driver.open(project)
    page: Any = driver.window.pages["training"]
    assert page.offer.isVisible()
    assert driver.button("Resume").isEnabled()


def test_the_window_opens_on_the_tab_it_was_left_on_even_if_it_was_killed(
    opened: Driver, project: Project, qtbot: QtBot, tmp_path: Path
) -> None:
    opened.window.go_to("model")
    opened.window.go_to("understand")
    window = MainWindow(Preferences.load())  # the first window hasn't been closed
    qtbot.addWidget(window)
    second = Driver(window, qtbot)
    window.show()
    window.start(str(project.root))
    qtbot.waitUntil(lambda: window.session.overview is not None, timeout=LONG)
    second.settle()
    assert window.pages["model"].isVisible()
    second.end()
    window.close()


@pytest.mark.parametrize("exists", [True, False])
def test_the_start_offers_nothing_else_while_the_last_project_is_loaded(
    project: Project, qtbot: QtBot, tmp_path: Path, application: object, exists: bool
) -> None:
    window = MainWindow(Preferences(projects_folder=str(tmp_path)))
    qtbot.addWidget(window)
    driver = Driver(window, qtbot)
    root = project.root if exists else tmp_path / "gone"
    expect_project(window.shell, root.name)
    window.show()
    assert "Loading the project" in said(window.shell.stack)
    assert "Try the example" not in said(window.shell.stack)
    driver.button(f"Project: {root.name}", window.shell.header)
    window.start(str(root))
    qtbot.waitUntil(lambda: window.session.overview is not None or window.problems.dialog is not None, timeout=LONG)
    driver.settle()
    if exists:
        assert window.pages["data"].isVisible()
    else:
        driver.problem().reject()
        assert "Try the example" in said(window.shell.stack)
        driver.button("Project: none", window.shell.header)
    driver.end()
    window.close()

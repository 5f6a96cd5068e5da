"""Where the keyboard is when a page is shown."""

from typing import Any

import pytest
from PySide6.QtWidgets import QAbstractButton, QApplication, QWidget

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.ui import tabs
from llm_studio.workflows.projects import new_project
from llm_studio.workflows.training import train
from tests.ui.driver import Driver


def focus(opened: Driver) -> QWidget | None:
    """The widget that hears the keyboard."""
    opened.window.activateWindow()
    return QApplication.focusWidget()


def test_each_page_begins_with_its_first_useful_control(opened: Driver, project: Project) -> None:
    train.train(project, Job(), changes={"training.max_steps": 4})
    opened.session.refresh()
    opened.settle()

    def first(name: str) -> Any:
        page = opened.page(name)
        opened.settle()
        return page, focus(opened)

    for name, control in {
        "tokenizer": lambda page: page.columns.playground.input,
        "model": lambda page: page.form.fields["model.d_model"].editor,
        "training": lambda page: page.view.runs.table,
        "generation": lambda page: page.talk.box,
        "understand": lambda page: page.index.pages,
        "data": lambda page: page.sources.table,
    }.items():
        page, found = first(name)
        assert found is control(page), name


@pytest.mark.parametrize("with_texts", [True, False])
def test_no_page_begins_on_a_button(driver: Driver, project: Project, tmp_path: Any, with_texts: bool) -> None:
    driver.open(project if with_texts else new_project(tmp_path / "empty", "nano"))
    for name in (tab.name for tab in tabs.TABS):
        page = driver.page(name)
        driver.settle()
        found = focus(driver)
        assert found is not None and not isinstance(found, QAbstractButton), name
        assert page is found or page.isAncestorOf(found), name


def test_a_page_left_and_shown_again_has_the_focus_where_it_was(opened: Driver) -> None:
    field = opened.page("model").form.fields["model.n_layers"].editor
    field.setFocus()
    opened.page("data")
    opened.page("model")
    assert focus(opened) is field

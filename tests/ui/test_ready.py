"""What the window offers when something is missing or stale: the best model to write with, and what to do first."""

from dataclasses import replace

import pytest
from PySide6.QtWidgets import QLabel, QWidget

from llm_studio.i18n import short_number
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import registry
from llm_studio.ui.tasks import TRAINING
from llm_studio.workflows import projects
from llm_studio.workflows.training import runs, train
from tests.ui.driver import LONG, Driver


def shown(page: QWidget, text: str) -> bool:
    """Whether a visible label of the page says `text`."""
    return any(text in part.text() for part in page.findChildren(QLabel) if part.isVisible())


@pytest.fixture
def two_runs(project: Project) -> Project:
    """A good run, and a newer one of two steps."""
    for name, steps in (("good", 20), ("newer", 2)):
        train.train(project, Job(), run=name, changes={"training.max_steps": steps})
    return project


def test_generation_opens_with_the_best_run_not_with_the_newest(driver: Driver, two_runs: Project) -> None:
    driver.open(two_runs)
    assert "good" in driver.window.shell.rail.item("generation").toolTip()
    page = driver.page("generation")
    driver.qtbot.waitUntil(lambda: page.model.generator is not None, timeout=LONG)
    assert page.model.generator.name.startswith("good/")
    driver.settle()


def test_what_the_user_has_chosen_stays_when_there_are_other_runs(driver: Driver, two_runs: Project) -> None:
    driver.open(two_runs)
    page = driver.page("generation")
    page.choice.run_box.setCurrentIndex(page.choice.run_box.findData("newer"))
    page.choice.run_box.activated.emit(0)
    driver.page("data")
    train.train(two_runs, Job(), run="third", changes={"training.max_steps": 2})
    driver.session.refresh()
    driver.settle()
    assert page.choice.run_box.findData("third") >= 0
    assert page.choice.current()[0] == "newer"


def test_the_rail_calls_generation_ready_only_when_there_is_a_model(driver: Driver, project: Project) -> None:
    run = train.train(project, Job(), changes={"training.max_steps": 2}).run
    for path in registry.folder(project, run.name).glob("step-*"):
        path.rename(path.with_name("away"))
    registry.write(project, replace(run, state="stopped", step=0, best_loss=None))  # stopped before its first save
    driver.open(project)
    item = driver.window.shell.rail.item("generation")
    assert item.toolTip() == "no model yet"
    assert "to do" in item.accessibleName()


def test_a_stale_tokenizer_is_reported_before_the_start(opened: Driver, project: Project) -> None:
    page = opened.page("training")
    old = opened.session.overview
    assert old is not None and not page.offer.isVisible()
    vocabulary = old.settings.model.vocab_size + 320
    projects.change_settings(project, {"model.vocab_size": vocabulary, "training.max_steps": 2})
    opened.session.refresh()
    opened.settle()
    assert shown(page, "The tokenizer is out of date")
    here = opened.session.overview
    assert here is not None
    planned = short_number(here.cost.parts.total)
    assert shown(page, f"{short_number(old.cost.parts.total)} parameters instead of {planned}")
    model = opened.page("model")
    assert shown(model, planned)
    assert planned in opened.window.shell.rail.item("model").toolTip()
    page = opened.page("training")
    assert planned in page.subtitle.text()
    assert not page.buttons.start.isVisible()
    opened.click("Retrain the tokenizer", page)
    assert opened.window.shell.shown == "tokenizer"
    opened.click("Train anyway", opened.page("training"))
    opened.running(TRAINING)
    opened.settle()
    (run,) = runs.listed(project)
    assert run.parameters == old.cost.parts.total


def test_the_parameters_of_an_imported_tokenizer_are_counted(project: Project) -> None:
    vocabulary = projects.model_cost(project, project.settings()).vocab_size
    project.tokenizer_meta.unlink()  # as an import does
    assert (
        projects.model_cost(project, project.settings().replaced({"model.vocab_size": 9_000})).vocab_size == vocabulary
    )

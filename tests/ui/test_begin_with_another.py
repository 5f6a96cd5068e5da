"""Prepare and train: whoever has few texts can begin with the model of another project."""

from pathlib import Path

import pytest

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.training import runs
from llm_studio.workflows.training.train import train
from tests.ui.driver import LONG, Driver
from tests.ui.test_prepare_and_train import MINUTES, ask, choose_time


@pytest.fixture
def diary(driver: Driver, project: Project, tmp_path: Path) -> Project:
    """A project with few texts, open in the window; one with a model was open before."""
    train(project, Job(), changes={"training.max_steps": 20})
    driver.open(project)
    text = tmp_path / "diary.txt"
    text.write_text("".join(f"On day {n} the sea was calm. We saw {n} ships.\n\n" for n in range(400)), "utf-8")
    made = projects.new_project(tmp_path / "diary", "small", "en")
    projects.change_settings(made, {"training.threads": 1})
    sources.add_files(made, text, Job())
    driver.open(made)
    driver.page("data")
    return made


def test_a_run_begins_with_the_model_that_is_chosen(driver: Driver, diary: Project, project: Project) -> None:
    dialog = ask(driver)
    choose_time(driver, dialog, 600)
    assert dialog.few.isVisible()
    driver.click(dialog.few.model)
    assert dialog.origin.box.view().isVisible(), "the list of models is open"
    dialog.origin.box.hidePopup()
    assert dialog.origin.box.itemText(0) == "A new model"
    assert dialog.origin.box.itemText(1).startswith("“project”, run-1: ")
    choose_time(driver, dialog, MINUTES)
    driver.click(dialog.fold)
    dialog.hand.boxes["model.n_layers"].setValue(5)
    dialog.origin.box.setCurrentIndex(1)
    assert not dialog.start.isEnabled(), "another plan is made"
    driver.qtbot.waitUntil(dialog.start.isEnabled, timeout=LONG)
    enabled = [name for name, box in dialog.hand.boxes.items() if box.isEnabled()]
    assert enabled == ["training.batch_size"], "the shape is that of the model"
    assert dialog.hand.boxes["model.n_layers"].value() == 2
    assert dialog.figures.origin.isVisible()
    assert "It begins with the model project/run-1/step-0000" in dialog.figures.origin.text()
    driver.click(dialog.start)
    driver.qtbot.waitUntil(lambda: bool(runs.listed(diary)), timeout=LONG)
    driver.settle()
    run = runs.listed(diary)[0]
    assert run.state == "finished"
    assert Path(run.continued_from).is_relative_to(project.checkpoints)
    assert diary.tokenizer_file.read_bytes() == project.tokenizer_file.read_bytes()
    assert not driver.summary


def test_without_another_model_there_is_nothing_to_choose(driver: Driver, project: Project) -> None:
    train(project, Job(), changes={"training.max_steps": 20})
    driver.open(project)
    driver.page("data")
    dialog = ask(driver)
    choose_time(driver, dialog, 600)
    driver.settle()
    assert not dialog.origin.isVisible()
    assert dialog.few.isVisible() and not dialog.few.model.isVisible()
    dialog.reject()

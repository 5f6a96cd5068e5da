"""A long log: read to its end however often the runs are looked at meanwhile, and given up when it isn't wanted."""

import pytest

from llm_studio.events import StepDone, to_json
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.ui.tabs.training import tasks
from llm_studio.ui.tabs.training.page import TrainingPage
from llm_studio.ui.tasks import OVERVIEW
from llm_studio.workflows.training import train
from tests.ui.driver import LONG, Driver

STEPS = 60_000


@pytest.fixture
def page(opened: Driver, project: Project) -> TrainingPage:
    """The tab, with the short log of run-1 read, and the long one of run-2 not yet."""
    train.train(project, Job(), changes={"training.max_steps": 4})
    opened.session.refresh()
    opened.settle()
    page = opened.page("training")
    opened.settle()
    train.train(project, Job(), changes={"training.max_steps": 4})
    line = to_json(StepDone(7_777_777, 3.0, 1e-3, 0.5, 6400, 1000.0, 10.0)) + "\n"
    with project.log_file("run-2").open("a", encoding="utf-8") as log:
        log.writelines(line.replace("7777777", str(step), 1) for step in range(5, STEPS + 1))
    return page


def test_a_long_log_is_read_once_while_the_runs_are_looked_at(opened: Driver, page: TrainingPage) -> None:
    requested: list[str] = []
    opened.session.started.connect(lambda task: requested.append(task.key))
    page.curves.show_run("run-2")
    while not page.curves.store.has("run-2") and requested.count(tasks.CURVES) == 1:
        opened.session.refresh()
        opened.qtbot.waitUntil(lambda: not opened.session.is_running(OVERVIEW), timeout=LONG)
    assert requested.count(OVERVIEW) > 2
    assert page.view.card.curves is not None
    assert (page.view.card.curves.run, page.view.card.curves.last_step) == ("run-2", STEPS)


def test_another_run_is_shown_at_once_while_a_long_log_is_read(opened: Driver, page: TrainingPage) -> None:
    page.curves.store.forget("run-1")
    page.curves.show_run("run-2")
    page.curves.show_run("run-1")
    opened.qtbot.waitUntil(lambda: page.curves.store.has("run-1"), timeout=LONG)
    assert page.view.card.curves is page.curves.store.get("run-1")
    assert not page.curves.store.has("run-2")

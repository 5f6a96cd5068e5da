"""What stands in the tab Training before a start and under the curves: the forecast, the fit, and the doctor."""

from llm_studio.project import Project
from llm_studio.ui.tabs.training.page import TrainingPage
from llm_studio.ui.tasks import TRAINING
from llm_studio.workflows import projects
from llm_studio.workflows.training import runs
from tests.ui.driver import LONG, Driver
from tests.ui.test_training_tab import drawn, page, shown, trained

__all__ = ["page"]


def test_the_doctor_says_what_is_wrong_and_its_button_mends_it(
    opened: Driver, page: TrainingPage, project: Project
) -> None:
    trained(project, 260, **{"training.learning_rate": 1e-7})
    opened.session.refresh()
    drawn(opened, page)
    opened.qtbot.waitUntil(page.view.doctor.isVisible, timeout=LONG)
    assert shown(page, "Nothing is learned: after 260 steps")
    opened.click("Start over with a rate of 3e-4", page.view.doctor)
    opened.running(TRAINING)
    drawn(opened, page)
    first, second = runs.listed(project)
    assert first.state == "finished"
    assert second.settings["training"]["learning_rate"] == 3e-4
    assert second.step == 260  # all else is as in the run that it replaces
    assert not page.view.doctor.isVisible()


def test_a_training_that_goes_wrong_is_stopped_before_the_new_one_begins(
    opened: Driver, page: TrainingPage, project: Project
) -> None:
    projects.change_settings(
        project, {"training.max_steps": 100_000, "training.learning_rate": 1e-7, "training.eval_interval": 90_000}
    )
    opened.session.refresh()
    opened.settle()
    opened.click("Start training")
    opened.qtbot.waitUntil(page.view.doctor.isVisible, timeout=LONG)
    opened.click("Start over with a rate of 3e-4", page.view.doctor)
    opened.qtbot.waitUntil(lambda: len(runs.listed(project)) == 2, timeout=LONG)
    opened.qtbot.waitUntil(
        lambda: page.view.card.curves is not None and page.view.card.curves.run == "run-2", timeout=LONG
    )
    opened.click("Stop", page)
    drawn(opened, page)
    first, second = runs.listed(project)
    assert (first.state, second.state) == ("stopped", "stopped")
    assert second.settings["training"]["learning_rate"] == 3e-4


def test_what_a_training_will_take_is_reported_and_it_can_be_made_to_fit(
    opened: Driver, page: TrainingPage, project: Project
) -> None:
    opened.settle()
    assert shown(page, "7.68\u00a0k tokens") or shown(page, "7.7\u00a0k tokens")
    opened.click("Measure", page.plan)
    assert shown(page, "Measuring a few steps")
    opened.settle()
    assert shown(page, "for 30 steps")
    opened.click("Optimise for this computer", page.plan)
    opened.settle()
    assert shown(page, "Optimised for this computer")
    opened.click("Start training")
    opened.running(TRAINING)
    assert not page.plan.isVisible()
    drawn(opened, page)
    plan = runs.listed(project)[0].settings["training"]
    assert plan["batch_size"] * plan["gradient_accumulation_steps"] == 8
    opened.click("Close", page.ready)
    assert page.plan.isVisible()
    assert not opened.summary

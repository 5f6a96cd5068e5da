"""What the tab Training shows while a run gets ready, and of a run that trains for a time: nothing that isn't so."""

from PySide6.QtCore import Qt

from llm_studio.project import Project
from llm_studio.ui.tabs.training.page import TrainingPage
from llm_studio.ui.tasks import TRAINING
from llm_studio.workflows import projects
from tests.ui.driver import LONG, Driver
from tests.ui.test_ready import shown
from tests.ui.test_training_tab import drawn, page, trained

__all__ = ["page"]


def test_a_run_that_gets_ready_is_not_called_none(opened: Driver, page: TrainingPage) -> None:
    assert shown(page, "Nothing trained yet")
    opened.click("Start training")
    opened.running(TRAINING)
    assert not shown(page, "Nothing trained yet")
    assert shown(page, "Getting ready…")
    drawn(opened, page)


def test_a_run_that_is_resumed_is_not_called_finished(opened: Driver, page: TrainingPage, project: Project) -> None:
    trained(project, 10)
    opened.session.refresh()
    drawn(opened, page)
    assert shown(page.view.figures, "finished")
    opened.click("5 more minutes", page.ready)
    opened.running(TRAINING)
    for _time in range(3):  # the figures are drawn less often than the curves
        page.view.drawing.timeout.emit()
    assert not page.curves.live and not shown(page.view.figures, "finished")
    opened.qtbot.waitUntil(lambda: bool(page.curves.live), timeout=LONG)
    opened.click("Pause", page)
    opened.settle()


def test_the_steps_of_a_run_with_a_time_are_an_estimate(opened: Driver, page: TrainingPage, project: Project) -> None:
    projects.change_settings(project, {"training.minutes": 0.1})
    opened.session.refresh()
    opened.settle()
    opened.click("Start training")
    opened.qtbot.waitUntil(lambda: page.view.runs.table.rows.rowCount() > 0, timeout=LONG)
    steps = page.view.runs.table.rows.index(0, 5).data(Qt.ItemDataRole.DisplayRole)
    assert page.run.running and steps == "…"
    drawn(opened, page)
    assert "starts: about " in page.view.log.lines.toPlainText()

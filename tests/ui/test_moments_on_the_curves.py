"""The moments of a run on its curves: ticks, and the ways from a place on a curve to the model there."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QMenu

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.training import curves
from llm_studio.workflows.training.moments import read_moments
from llm_studio.workflows.training.train import train
from tests.ui.driver import LONG, Driver
from tests.ui.inside_page import computed


@pytest.fixture(scope="module")
def trained_once(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("curves") / "project"
    shutil.copytree(prepared, root)
    for name in ("a", "b"):
        train(Project.open(root), Job(), run=name, changes={"training.max_steps": 90})
    return root


@pytest.fixture
def page(driver: Driver, trained_once: Path, tmp_path: Path) -> Any:
    shutil.copytree(trained_once, tmp_path / "trained")
    driver.open(Project.open(tmp_path / "trained"))
    page = driver.page("training")
    driver.settle()
    driver.qtbot.waitUntil(lambda: page.view.card.plot is not None and not page.view.drawing.isActive(), timeout=LONG)
    return page


def on_curve(page: Any, step: float) -> QPoint:
    """Where the drawn curve of the main run is at a step, in pixels of the plot."""
    plot = page.view.card.plot
    _name, steps, values = plot.named_curves()[0]
    value = values[min(range(len(steps)), key=lambda n: abs(steps[n] - step))]
    return plot.mapFromScene(plot.view_box.mapViewToScene(QPointF(step, value)))


def click(driver: Driver, page: Any, point: QPoint) -> None:
    driver.qtbot.mouseClick(page.view.card.plot.viewport(), Qt.MouseButton.LeftButton, pos=point)


def nearest(page: Any, step: float) -> int:
    return min(page.view.card.curves.inside_steps(), key=lambda moment: abs(moment - step))


def opened_at(driver: Driver) -> tuple[str, int]:
    """The run and the step that Inside shows, once it is on the screen."""
    inside: Any = driver.window.pages["inside"]
    driver.qtbot.waitUntil(inside.isVisible, timeout=10_000)
    computed(driver, inside)
    return inside.runs.currentText(), inside.timeline.moment().step


def test_the_ticks_are_the_moments(page: Any) -> None:
    project = page.project
    for run in ("a", "b"):
        found = curves.read(project, run, Job())
        assert found.inside_steps() == [moment.step for moment in read_moments(project, run).moments]
    assert page.view.card.plot.foot._ticks == page.view.card.curves.inside_steps()


def test_a_click_on_the_curve_opens_the_nearest_moment(driver: Driver, page: Any) -> None:
    run = page.view.card.curves.run
    click(driver, page, on_curve(page, 41.3))
    assert opened_at(driver) == (run, nearest(page, 41.3))


def test_a_click_beside_the_curve_or_a_double_click_opens_nothing(driver: Driver, page: Any) -> None:
    plot, clicks = page.view.card.plot, page.view.card._clicks
    opened: list[object] = []
    clicks.opened.connect(lambda *place: opened.append(place))
    middle = plot.view_box.sceneBoundingRect()
    beside = plot.mapFromScene(QPointF(middle.right() - 40, middle.top() + 20))
    assert clicks.near(beside) is None
    click(driver, page, beside)
    assert not clicks._timer.isActive()
    click(driver, page, on_curve(page, 41.3))
    driver.qtbot.mouseDClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=on_curve(page, 41.3))
    assert not clicks._timer.isActive() and not opened and page.isVisible()


def test_the_mouse_shows_where_a_click_opens_something(driver: Driver, page: Any) -> None:
    viewport = page.view.card.plot.viewport()
    driver.qtbot.mouseMove(viewport, on_curve(page, 41.3))
    assert viewport.cursor().shape() == Qt.CursorShape.PointingHandCursor
    assert f"inside at step {nearest(page, 41)}" in page.view.card._box.text()
    right = page.view.card.plot.view_box.sceneBoundingRect()
    driver.qtbot.mouseMove(viewport, page.view.card.plot.mapFromScene(QPointF(right.right() - 40, right.top() + 20)))
    assert viewport.cursor().shape() == Qt.CursorShape.ArrowCursor


def test_enter_opens_the_moment_at_the_cross_hair(driver: Driver, page: Any) -> None:
    plot = page.view.card.plot
    plot.setFocus()
    driver.qtbot.keyClick(plot, Qt.Key.Key_Home)
    for _press in range(20):
        driver.qtbot.keyClick(plot, Qt.Key.Key_Right)
    step = plot.cross_step()
    driver.qtbot.keyClick(plot, Qt.Key.Key_Return)
    assert opened_at(driver) == (page.view.card.curves.run, nearest(page, step))


def test_the_context_menu_opens_a_moment(driver: Driver, page: Any) -> None:
    plot = page.view.card.plot
    point = on_curve(page, 70)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, point, plot.mapToGlobal(point))
    driver.qtbot.mouseMove(plot.viewport(), point)
    page.view.card._clicks.eventFilter(plot.viewport(), event)
    menu = plot.findChildren(QMenu)[-1]
    assert menu.actions()[0].text() == f"Look inside {page.view.card.curves.run} at step {nearest(page, 70)}"
    menu.actions()[0].trigger()
    menu.close()
    assert opened_at(driver) == (page.view.card.curves.run, nearest(page, 70))


def test_a_click_on_the_curve_of_another_run_opens_that_run(driver: Driver, page: Any) -> None:
    card = page.view.card
    other = next(run for run in ("a", "b") if run != card.curves.run)
    page.curves.show_overlays({other: "run_1"})
    driver.settle()
    driver.qtbot.waitUntil(lambda: len(card.overlays) == 1 and not page.view.drawing.isActive(), timeout=LONG)
    card._on_opened(other, 12.2)
    assert opened_at(driver)[0] == other


def test_runs_of_earlier_versions_have_their_samples(page: Any) -> None:
    log = page.project.log_file("a")
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(line for line in lines if '"moment"' not in line), encoding="utf-8")
    folder = page.project.root / "checkpoints" / "a"
    (folder / "moments.jsonl").unlink()
    shutil.rmtree(folder / "snapshots")
    found = curves.read(page.project, "a", Job())
    assert found.inside_steps() == [moment.step for moment in read_moments(page.project, "a").moments] != []


def test_of_a_run_that_was_resumed_later_moments_are_forgotten(page: Any) -> None:
    found = curves.read(page.project, "a", Job())
    found.cut_after(40)
    assert max(found.inside_steps()) <= 40

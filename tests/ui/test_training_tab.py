"""The tab Training, driven as a user does: a real window, a real session, a real tiny training."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QComboBox,
    QFileDialog,
    QInputDialog,
    QLabel,
    QMessageBox,
    QScrollBar,
    QWidget,
)  # fmt: skip

from llm_studio.errors import StudioError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs.registry import write
from llm_studio.ui.dialogs.compare_runs import CompareRuns
from llm_studio.ui.tabs.generation import CheckpointTarget
from llm_studio.ui.tabs.training.page import TrainingPage
from llm_studio.ui.tasks import TRAINING
from llm_studio.workflows import projects
from llm_studio.workflows.generation import favourites
from llm_studio.workflows.training import curves, runs, train
from tests.ui.driver import LONG, Driver


@pytest.fixture
def page(opened: Driver) -> TrainingPage:
    """The tab, with nothing trained."""
    return opened.page("training")


def trained(project: Project, steps: int = 30, **changes: object) -> None:
    train.train(project, Job(), changes={"training.max_steps": steps, **changes})


def go_long(opened: Driver, project: Project) -> None:
    """Plan a training that doesn't end by itself."""
    projects.change_settings(project, {"training.max_steps": 100_000})
    opened.session.refresh()
    opened.settle()


def drawn(opened: Driver, page: TrainingPage) -> None:
    """Wait until the page sleeps: all is drawn."""
    opened.settle()
    opened.qtbot.waitUntil(lambda: not page.view.drawing.isActive(), timeout=10_000)


def steps_drawn(page: TrainingPage) -> list[float]:
    assert page.view.card.curves is not None
    return page.view.card.curves.steps.column(0).tolist()


def shown(page: TrainingPage, text: str) -> bool:
    """Whether a visible label of the page says `text`."""
    return any(text in part.text() for part in page.findChildren(QLabel) if part.isVisible())


def test_a_training_from_the_first_click_to_the_last_step(opened: Driver, page: TrainingPage) -> None:
    assert shown(page, "Nothing trained yet")
    opened.click("Start training")
    opened.running(TRAINING)
    assert opened.button("Stop", page).isEnabled()
    drawn(opened, page)
    assert steps_drawn(page) == list(range(1, 31))
    assert page.view.card.curves is not None
    assert page.view.card.curves.checkpoints[-1] == 30
    assert shown(page, "finished")
    assert shown(page, "bits/byte")
    assert page.view.samples.list.model().rowCount() == 6  # at each checkpoint
    assert page.view.samples.current is not None
    assert page.view.samples.current.step == 30
    assert opened.button("Start a new run", page).isEnabled()
    assert not opened.summary
    assert "step 30: checkpoint saved" in page.view.log.lines.toPlainText()


def test_pause_saves_and_resume_goes_on_where_it_was(opened: Driver, page: TrainingPage, project: Project) -> None:
    go_long(opened, project)
    opened.click("Start training")
    opened.qtbot.waitUntil(
        lambda: page.view.card.curves is not None and page.view.card.curves.last_step > 3, timeout=LONG
    )
    opened.click("Pause", page)
    assert shown(page, "Saving and stopping")
    drawn(opened, page)
    (run,) = runs.listed(project)
    assert run.state == "stopped"
    assert shown(page, f"Paused at step {run.step}")
    last = steps_drawn(page)[-1]
    opened.click("Resume", page.offer)
    opened.qtbot.waitUntil(
        lambda: page.view.card.curves is not None and page.view.card.curves.last_step > last + 3, timeout=LONG
    )
    opened.click("Stop", page)
    drawn(opened, page)
    assert steps_drawn(page) == list(range(1, runs.listed(project)[0].step + 1))
    assert not page.offer.isVisible()  # who stops is offered a new one; the table can still resume it
    assert opened.button("Start a new run", page).isEnabled()
    assert opened.button("Resume", page.view.runs).isEnabled()


def test_save_now_writes_a_checkpoint_and_goes_on(opened: Driver, page: TrainingPage, project: Project) -> None:
    projects.change_settings(
        project,
        {"training.max_steps": 100_000, "training.checkpoint_interval": 90_000, "training.eval_interval": 90_000},
    )
    opened.click("Start training")
    opened.qtbot.waitUntil(
        lambda: page.view.card.curves is not None and page.view.card.curves.last_step > 2, timeout=LONG
    )
    opened.click("Save now", page)
    opened.qtbot.waitUntil(lambda: bool(page.view.card.curves and page.view.card.curves.checkpoints), timeout=LONG)
    assert opened.session.is_running(TRAINING)
    opened.click("Stop", page)
    drawn(opened, page)


def test_a_page_made_again_in_the_middle_of_a_training_misses_nothing(
    opened: Driver, page: TrainingPage, project: Project
) -> None:
    go_long(opened, project)
    opened.click("Start training")
    opened.qtbot.waitUntil(
        lambda: page.view.card.curves is not None and page.view.card.curves.last_step > 5, timeout=LONG
    )
    with opened.qtbot.waitSignal(opened.window.pages_made, timeout=LONG):
        opened.window.choose_language("fr")
    fresh = opened.page("training")
    assert fresh is not page
    opened.qtbot.waitUntil(lambda: fresh.view.card.curves is not None and fresh.curves.live == "run-1", timeout=LONG)
    before = fresh.view.card.curves.last_step
    opened.qtbot.waitUntil(lambda: fresh.view.card.curves.last_step > before + 5, timeout=LONG)
    opened.session.stop(TRAINING)
    drawn(opened, fresh)
    assert steps_drawn(fresh) == list(range(1, runs.listed(project)[0].step + 1))
    opened.window.choose_language("en")


def test_a_training_cut_off_is_offered_to_be_resumed(opened: Driver, page: TrainingPage, project: Project) -> None:
    trained(project, 12)
    write(project, replace(runs.read(project, "run-1"), state="running", max_steps=20))  # as a power cut leaves it
    opened.session.refresh()
    drawn(opened, page)
    assert shown(page, "Your training stopped at step 12")
    with project.log_file("run-1").open("a", encoding="utf-8") as log:  # steps after the last checkpoint
        log.write('{"v": 1, "event": "step", "step": 14}\n{"v": 1, "event": "step", "st')
    opened.session.refresh()
    drawn(opened, page)
    assert shown(page, "Your training stopped around step 14; it resumes at step 12")
    opened.click("Start over", page.offer)
    opened.running(TRAINING)
    drawn(opened, page)
    assert [run.name for run in runs.listed(project)] == ["run-1", "run-2"]
    assert not page.offer.isVisible()


def test_a_finished_run_is_trained_further(opened: Driver, page: TrainingPage, project: Project) -> None:
    trained(project, 10)
    opened.session.refresh()
    drawn(opened, page)
    opened.click("Keep training…", page)
    dialog = opened.dialog(QInputDialog)
    dialog.setIntValue(7)
    dialog.accept()
    opened.running(TRAINING)
    drawn(opened, page)
    assert runs.read(project, "run-1").step == 17
    assert steps_drawn(page) == list(range(1, 18))


def test_without_fresh_tokens_the_page_shows_the_way(opened: Driver, page: TrainingPage, project: Project) -> None:
    projects.change_settings(project, {"data.min_characters": 60})
    opened.session.refresh()
    opened.settle()
    assert shown(page, "The tokens are out of date")
    assert not page.buttons.start.isVisible()
    (project.processed / "meta.json").unlink()
    opened.session.refresh()
    opened.settle()
    assert shown(page, "The tokens are not prepared yet")
    opened.click("Prepare the tokens by hand", page)
    assert opened.window.shell.shown == "tokenizer"


def test_a_failure_is_reported_once_and_the_run_can_go_on(opened: Driver, page: TrainingPage, project: Project) -> None:
    obstacle = project.checkpoints / "run-1" / "snapshots"
    obstacle.parent.mkdir(parents=True)
    obstacle.write_text("a file where a folder must be")
    opened.click("Start training")
    opened.running(TRAINING)
    drawn(opened, page)
    assert len(opened.summary) == 1
    assert isinstance(opened.summary[0], StudioError)
    opened.problem().accept()
    assert shown(page, "“run-1” ended with a problem.")
    obstacle.unlink()
    opened.click("Resume", page.offer)
    opened.running(TRAINING)
    drawn(opened, page)
    assert runs.read(project, "run-1").state == "finished"
    assert steps_drawn(page) == list(range(1, 31))


def test_runs_are_drawn_over_each_other_renamed_compared_and_deleted(
    opened: Driver, page: TrainingPage, project: Project
) -> None:
    trained(project, 10)
    trained(project, 12, **{"training.seed": 3})
    opened.session.refresh()
    drawn(opened, page)
    table = page.view.runs.table
    opened.qtbot.mouseClick(
        table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualRect(table.model().index(1, 0)).center()
    )
    drawn(opened, page)
    assert [curves.run for curves, _color in page.view.card.overlays] == ["run-1"]
    table.selectRow(1)
    page.view.runs.rename_action.trigger()
    dialog = opened.dialog(QInputDialog)
    dialog.setTextValue("small one")
    dialog.accept()
    drawn(opened, page)
    assert {run.name for run in runs.listed(project)} == {"small one", "run-2"}
    opened.click("Compare", page)
    compared = opened.dialog(CompareRuns)
    names = [compared.table.model().index(row, 0).data() for row in range(compared.table.model().rowCount())]
    assert "training.seed" in names
    compared.accept()
    table.selectRow(1)
    page.view.runs.delete_action.trigger()
    box = opened.dialog(QMessageBox)
    assert "freeing" in box.informativeText()
    opened.click("Delete", box)
    drawn(opened, page)
    assert [run.name for run in runs.listed(project)] == ["run-2"]
    assert table.model().rowCount() == 1


def test_curves_are_exported_as_picture_and_as_table(
    opened: Driver, page: TrainingPage, project: Project, tmp_path: Path
) -> None:
    trained(project, 10)
    opened.session.refresh()
    drawn(opened, page)
    for kind, action in (("png", page.view.card.controls.png_action), ("csv", page.view.card.controls.csv_action)):
        action.trigger()
        dialog = opened.dialog(QFileDialog)
        dialog.selectFile(str(tmp_path / f"out.{kind}"))
        dialog.fileSelected.emit(str(tmp_path / f"out.{kind}"))
        dialog.reject()
        opened.settle()
        opened.qtbot.waitUntil(lambda: not opened.window.findChildren(QFileDialog), timeout=10_000)
    assert (tmp_path / "out.png").read_bytes()[1:4] == b"PNG"
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 11


def test_the_samples_are_scrubbed_and_kept(opened: Driver, page: TrainingPage, project: Project) -> None:
    trained(project, 30)
    opened.session.refresh()
    drawn(opened, page)
    page.view.samples.slider.setFocus()
    page.view.samples.slider.setValue(0)
    assert page.view.samples.current is not None
    assert page.view.samples.current.step == 5
    assert page.view.card.plot is not None
    assert page.view.card.plot.cross_x() is not None
    opened.click("Add this sample to the favourites", page)
    opened.settle()
    assert [kept.step for kept in favourites.listed(project)] == [5]
    requested: list[tuple[str, object]] = []
    page.context.target_requested.connect(lambda tab, target: requested.append((tab, target)))
    opened.click("Try this version", page)
    assert requested == [("generation", CheckpointTarget("run-1", 5))]
    assert opened.window.shell.shown == "generation"


def test_the_crosshair_follows_the_keys_and_zoom_can_be_undone(
    opened: Driver, page: TrainingPage, project: Project
) -> None:
    trained(project, 30)
    opened.session.refresh()
    drawn(opened, page)
    plot = page.view.card.plot
    assert plot is not None
    plot.setFocus()
    opened.qtbot.keyClick(plot, Qt.Key.Key_Home)
    assert "step 1," in plot.accessibleDescription()
    opened.qtbot.keyClick(plot, Qt.Key.Key_End)
    assert "step 30, 7.7\u00a0k tokens" in plot.accessibleDescription()
    assert "validation" in plot.accessibleDescription()
    whole = plot.getViewBox().viewRange()
    opened.qtbot.keyClick(plot, Qt.Key.Key_Plus)
    assert not plot.is_whole
    assert plot.getViewBox().viewRange() != whole
    opened.click("Show all again (double click)", page)
    assert plot.getViewBox().viewRange() == whole
    for quantity in ("Learning rate", "Gradient norm", "Throughput"):
        opened.click(quantity, page)
    assert "tokens per second" in plot.accessibleDescription()
    page.view.card.controls.logarithmic.setChecked(True)
    opened.click("Loss", page)
    drawn(opened, page)
    picture = plot.grab().toImage()
    accent = QColor("#2F5FDF")
    places = (QPointF(x, y).toPoint() for x in range(picture.width()) for y in range(0, picture.height(), 2))
    assert any(picture.pixelColor(place) == accent for place in places)


def test_everything_has_a_name_and_fits_into_a_small_window(
    opened: Driver, page: TrainingPage, project: Project
) -> None:
    trained(project, 12)
    opened.session.refresh()
    drawn(opened, page)
    assert page.minimumSizeHint().width() <= 780
    for kind in (QAbstractButton, QAbstractSlider, QComboBox):
        for control in page.findChildren(kind):
            if control.isVisible() and not isinstance(control, QScrollBar) and control.objectName()[:3] != "qt_":
                named: QWidget = control
                text = control.text() if isinstance(control, QAbstractButton) else ""
                assert text or named.accessibleName(), named


def test_a_training_stopped_before_its_first_step_leaves_nothing(
    opened: Driver, page: TrainingPage, project: Project
) -> None:
    opened.click("Start training")
    opened.click("Stop", page)
    drawn(opened, page)
    assert runs.listed(project) == []
    assert not opened.summary
    assert opened.button("Start training", page).isEnabled()


def test_another_project_shows_nothing_of_the_one_before(
    opened: Driver, page: TrainingPage, project: Project, tmp_path: Path
) -> None:
    trained(project, 10)
    opened.session.refresh()
    drawn(opened, page)
    assert page.view.runs.isVisible()
    opened.open(projects.new_project(tmp_path / "other", "nano", "en"))
    opened.page("training")
    drawn(opened, page)
    assert page.view.card.curves is None
    assert not page.view.runs.isVisible()
    assert shown(page, "This project has no texts yet")


def test_the_plot_follows_the_theme(opened: Driver, page: TrainingPage, project: Project) -> None:
    trained(project, 10)
    opened.session.refresh()
    drawn(opened, page)
    assert page.view.card.plot is not None
    corner = page.view.card.plot.grab().toImage().pixelColor(1, 1)
    opened.window.toggle_theme()
    drawn(opened, page)
    assert page.view.card.plot.grab().toImage().pixelColor(1, 1).lightness() < corner.lightness()


def test_a_run_that_another_program_trains_is_followed(opened: Driver, project: Project) -> None:
    page = opened.page("training")
    go_long(opened, project)
    command = [sys.executable, "-m", "llm_studio", "train", str(project.root), "--run", "far", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        try:
            opened.qtbot.waitUntil(lambda: curves.running_run(project) == "far", timeout=LONG)
            opened.session.refresh()
            opened.qtbot.waitUntil(
                lambda: page.view.card.curves is not None and page.view.card.curves.run == "far", timeout=LONG
            )
            first = page.view.card.curves
            assert first is not None
            seen = first.last_step
            opened.qtbot.waitUntil(lambda: first.last_step > seen and len(first.evaluations) > 1, timeout=LONG)
            assert page.view.card.curves is first, "they grow: what is zoomed into or pointed at stays"
        finally:
            other.kill()
    drawn(opened, page)
    assert steps_drawn(page) == list(range(1, first.last_step + 1))
    lines = page.view.log.lines.toPlainText().splitlines()
    assert len(lines) == len(set(lines)) > 2

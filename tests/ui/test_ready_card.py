"""The end of a run: its model is ready, what it writes is shown, and it can be trained for five more minutes."""

import pytest
from PySide6.QtWidgets import QPushButton

from llm_studio.errors import StudioError
from llm_studio.project import Project
from llm_studio.ui.tabs.training import tasks
from llm_studio.ui.tabs.training.page import TrainingPage
from llm_studio.ui.tabs.training.ready_card import shortened
from llm_studio.ui.tasks import TRAINING
from llm_studio.workflows import projects
from llm_studio.workflows.training import runs
from tests.ui.driver import LONG, Driver
from tests.ui.test_training_tab import drawn, go_long, page, shown, trained

__all__ = ["page"]


def primary(page: TrainingPage) -> list[str]:
    """What the visible main buttons of the page say."""
    made = page.findChildren(QPushButton)
    return [one.text() for one in made if one.isVisible() and one.property("role") == "primary"]


def test_a_run_ends_with_its_model_ready_to_write(opened: Driver, page: TrainingPage, project: Project) -> None:
    assert primary(page) == ["Start training"]
    opened.click("Start training")
    opened.running(TRAINING)
    assert not page.ready.isVisible()
    opened.qtbot.waitUntil(page.ready.isVisible, timeout=LONG)
    assert shown(page, "Your model is ready")
    assert primary(page) == ["Let it write"]
    drawn(opened, page)
    assert shown(page, "It writes letters") or shown(page, "It writes words")
    assert shown(page, "“run-1” trained for")
    assert shown(page, "bits/byte; only counting which token follows which gives")
    assert page.end.quality is not None
    assert shown(page, page.end.quality.samples[0].prompt.split()[0])
    assert not shown(page, "real words:")
    opened.click("Details", page)
    assert shown(page, "real words:")
    opened.window.do_primary()
    opened.settle()
    assert opened.window.shell.shown == "generation"
    generation = opened.window.pages["generation"]
    assert generation.model.generator is not None  # pyright: ignore[reportAttributeAccessIssue]  of that tab
    assert generation.model.generator.name.startswith("run-1/")  # pyright: ignore[reportAttributeAccessIssue]


def test_five_more_minutes_resume_the_same_run(opened: Driver, page: TrainingPage, project: Project) -> None:
    trained(project, 10)
    opened.session.refresh()
    drawn(opened, page)
    opened.click("5 more minutes", page.ready)
    opened.running(TRAINING)
    assert not page.ready.isVisible()
    opened.qtbot.waitUntil(lambda: bool(page.view.card.curves and page.view.card.curves.last_step > 12), timeout=LONG)
    opened.click("Stop", page)
    drawn(opened, page)
    (run,) = runs.listed(project)
    assert (run.name, run.state) == ("run-1", "stopped")
    assert run.settings["training"]["minutes"] == pytest.approx(5, abs=0.5)
    assert page.ready.isVisible()  # it was stopped, not paused
    assert primary(page) == ["Let it write"]
    assert page.end.quality is not None


def test_a_paused_run_is_offered_to_be_resumed_instead(opened: Driver, page: TrainingPage, project: Project) -> None:
    go_long(opened, project)
    opened.click("Start training")
    opened.qtbot.waitUntil(lambda: bool(page.view.card.curves and page.view.card.curves.last_step > 3), timeout=LONG)
    opened.click("Pause", page)
    drawn(opened, page)
    assert not page.ready.isVisible()
    assert primary(page) == ["Resume"]


def test_the_card_can_be_closed_and_shows_the_next_run(opened: Driver, page: TrainingPage, project: Project) -> None:
    trained(project, 10)
    opened.session.refresh()
    drawn(opened, page)
    assert not page.plan.isVisible()
    opened.click("Close", page.ready)
    assert not page.ready.isVisible()
    assert page.plan.isVisible()
    assert primary(page) == ["Start a new run"]
    opened.session.refresh()
    drawn(opened, page)
    assert not page.ready.isVisible()
    trained(project, 5)
    opened.session.refresh()
    drawn(opened, page)
    assert page.ready.isVisible()
    assert shown(page, "“run-2” trained for")


def test_a_model_that_cannot_be_measured_is_ready_all_the_same(
    opened: Driver, page: TrainingPage, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise StudioError("No memory is left.")

    monkeypatch.setattr(tasks, "_writing", full)
    trained(project, 10)
    opened.session.refresh()
    drawn(opened, page)
    assert shown(page, "Let it write, to see what it has learned.")
    assert not opened.summary
    assert opened.button("Let it write", page).isEnabled()


def test_a_run_that_ends_while_nobody_looks_is_measured_and_named(
    opened: Driver, page: TrainingPage, project: Project
) -> None:
    opened.page("data")
    page.run.start()
    opened.running(TRAINING)
    opened.settle()
    assert page.end.quality is not None


def test_stale_tokens_come_first(opened: Driver, page: TrainingPage, project: Project) -> None:
    trained(project, 5)
    projects.change_settings(project, {"data.min_characters": 60})
    opened.session.refresh()
    drawn(opened, page)
    assert not page.ready.isVisible()
    assert primary(page) == ["Prepare and train…"]


def test_a_sample_is_cut_at_a_space_and_after_a_few_lines() -> None:
    assert shortened("one two three", 100) == "one two three"
    assert shortened("one two three", 9) == "one two…"
    assert shortened("a\nb\nc\nd\ne", 100) == "a\nb\nc\nd…"
    assert shortened("x" * 30, 10) == "x" * 10 + "…"
    assert shortened("", 0) == ""

"""Whoever has texts and a time follows the primary buttons, and ends with a trained model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QLabel, QPushButton

from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.runs.registry import write
from llm_studio.ui.dialogs.prepare import PrepareDialog
from llm_studio.ui.tasks import PREPARING, TOKENIZER, TRAINING, Task
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.training import runs
from llm_studio.workflows.training.train import train
from tests.training.test_resume import StopAt
from tests.ui.driver import LONG, Driver

MINUTES = 0.05


@pytest.fixture
def texts(tmp_path: Path) -> Project:
    """A project with the settings of a large model, and six hundred stories."""
    made = projects.new_project(tmp_path / "texts", "small", "en")
    projects.change_settings(made, {"training.threads": 1})
    sources.add_stories(made, "en", 600, Job())
    return made


@pytest.fixture
def started(driver: Driver, texts: Project) -> Driver:
    """The window with that project open on the Data tab."""
    driver.open(texts)
    driver.page("data")
    return driver


def primary(driver: Driver) -> str:
    """What the primary button of the page on the screen says."""
    page = driver.window.shell.stack.currentWidget()
    assert page is not None
    found = [b.text() for b in page.findChildren(QPushButton) if b.property("role") == "primary" and b.isVisible()]
    assert len(found) == 1, found
    return found[0]


def ask(driver: Driver) -> PrepareDialog:
    """Open the dialog by the primary button of the page."""
    driver.window.do_primary()
    return driver.dialog(PrepareDialog)


def choose_time(driver: Driver, dialog: PrepareDialog, minutes: float) -> None:
    """Type a time and wait for its plan."""
    dialog.time.box.selectAll()
    driver.qtbot.keyClicks(dialog.time.box, f"{minutes:g}")
    driver.qtbot.keyClick(dialog.time.box, Qt.Key.Key_Return)
    assert dialog.isVisible(), "nothing is started that wasn't shown"
    assert not dialog.start.isEnabled(), "the figures of another time are no longer shown"
    assert dialog.figures.value("steps") == "…"
    driver.qtbot.waitUntil(dialog.start.isEnabled, timeout=LONG)


def test_the_primary_buttons_alone_lead_from_texts_to_a_trained_model(started: Driver, texts: Project) -> None:
    assert primary(started) == "Prepare and train…"
    dialog = ask(started)
    choose_time(started, dialog, MINUTES)
    figures = {key: dialog.figures.value(key) for key in ("parameters", "vocabulary", "steps", "memory", "end")}
    assert all(any(sign.isdigit() for sign in text) for text in figures.values()), figures
    assert "(timeline:" in dialog.figures.value("disk")
    begun: list[tuple[str, str, str]] = []
    seen: list[str] = []
    shell = started.window.shell
    data: Any = shell.pages["data"]
    training: Any = shell.pages["training"]

    def note(task: Task) -> None:
        begun.append((task.key, getattr(task, "title", ""), shell.shown))
        if task.key == TRAINING:
            seen.append(data.prepare.text())

    started.session.started.connect(note)
    started.click(dialog.start)
    started.qtbot.waitUntil(lambda: bool(seen), timeout=LONG)
    assert seen == ["Watch the progress →"], "no second chain can be started"
    assert shell.shown == "training"
    started.qtbot.waitUntil(lambda: training.view.card.curves is not None, timeout=LONG)
    started.settle()
    assert [(title, shown) for key, title, shown in begun if key in PREPARING] == [
        ("1/3 Training the tokenizer", "data"),
        ("2/3 Preparing the tokens", "tokenizer"),
        ("3/3 Training", "tokenizer"),
    ], "the window shows each job: it moves on just after this"
    run = runs.listed(texts)[0]
    assert run.state == "finished"
    assert run.settings["training"]["minutes"] == MINUTES
    assert training.view.card.curves.last_step == run.step
    assert projects.steps(texts).tokens is State.READY
    assert not started.summary


def test_another_language_in_the_middle_changes_nothing_of_the_course(started: Driver, texts: Project) -> None:
    dialog = ask(started)
    choose_time(started, dialog, MINUTES)
    before = started.window.shell

    def change(task: Task) -> None:
        if task.key == TOKENIZER and started.window.shell is before:
            QTimer.singleShot(0, started.window, lambda: started.window.choose_language("fr"))

    started.session.started.connect(change)
    started.click(dialog.start)
    started.qtbot.waitUntil(lambda: bool(runs.listed(texts)), timeout=LONG)
    started.settle()
    assert started.window.shell is not before
    assert runs.listed(texts)[0].state == "finished"
    assert not started.summary


def test_stopping_the_tokenizer_ends_the_whole(started: Driver, texts: Project) -> None:
    dialog = ask(started)
    choose_time(started, dialog, MINUTES)

    def stop(task: Task) -> None:
        if task.key == TOKENIZER:
            started.window.stop_current()

    started.session.started.connect(stop)
    started.click(dialog.start)
    started.qtbot.waitUntil(lambda: not started.window.preparation.chain.running, timeout=LONG)
    started.settle()
    assert not started.window.preparation.chain.running
    assert not runs.listed(texts)
    assert started.page("data").prepare.isEnabled()
    assert primary(started) == "Prepare and train…"


def test_a_step_that_fails_is_reported_once_and_nothing_follows(started: Driver, texts: Project) -> None:
    dialog = ask(started)
    choose_time(started, dialog, MINUTES)
    with texts.writing("tokens"):  # as another window would
        started.click(dialog.start)
        started.qtbot.waitUntil(lambda: bool(started.summary), timeout=LONG)
        started.settle()
    assert len(started.summary) == 1
    assert not runs.listed(texts)
    assert not started.window.preparation.chain.running
    started.problem().reject()
    assert started.session.overview and started.session.overview.tokenizer
    before = started.session.overview.settings.model
    started.page("data")
    dialog = ask(started)
    choose_time(started, dialog, MINUTES)
    other = int(dialog.figures.value("vocabulary").split()[0].replace(",", "")) != before.vocab_size
    begun: list[str] = []

    def note(task: Task) -> None:
        begun.append(task.key)

    started.session.started.connect(note)
    started.click(dialog.start)
    started.settle()
    assert (TOKENIZER in begun) == other, "what was done before is kept, unless a busy machine has changed the plan"
    assert runs.listed(texts)[0].state == "finished"


def test_planning_shows_how_far_it_is(started: Driver) -> None:
    parts: list[tuple[int, int]] = []

    def note(value: int) -> None:
        parts.append((value, dialog.progress.maximum()))

    dialog = ask(started)
    assert dialog.progress.isVisible()
    assert (dialog.progress.minimum(), dialog.progress.maximum()) == (0, 0), "nothing is known yet"
    dialog.progress.valueChanged.connect(note)
    choose_time(started, dialog, MINUTES)
    assert any(0 < value < most for value, most in parts)
    assert not dialog.progress.isVisible()
    dialog.reject()


def test_few_texts_are_reported_with_what_helps(started: Driver) -> None:
    dialog = ask(started)
    choose_time(started, dialog, 120)
    assert dialog.few.isVisible()
    assert not dialog.few.stories.isVisible(), "they are among the texts already"
    assert dialog.few.shorter.text() == "Only 30\u00a0min"
    started.click(dialog.few.shorter)
    assert dialog.time.minutes == 30
    assert not dialog.few.isVisible()
    dialog.reject()


def test_what_is_changed_by_hand_changes_the_plan(started: Driver) -> None:
    dialog = ask(started)
    choose_time(started, dialog, MINUTES)
    before = dialog.figures.value("parameters")
    started.click(dialog.fold)
    layers = dialog.hand.boxes["model.n_layers"]
    layers.setValue(layers.value() + 3)
    assert not dialog.start.isEnabled()
    started.qtbot.waitUntil(dialog.start.isEnabled, timeout=LONG)
    assert dialog.figures.value("parameters") != before
    started.click(dialog.hand.reset)
    started.qtbot.waitUntil(dialog.start.isEnabled, timeout=LONG)
    assert dialog.figures.value("parameters") == before
    dialog.reject()


def test_a_run_of_many_days_is_not_the_primary_action(opened: Driver, project: Project) -> None:
    projects.change_settings(project, {"training.max_steps": 10**9})
    opened.session.refresh()
    page = opened.page("training")
    opened.settle()
    opened.qtbot.waitUntil(page.buttons.plan.isVisible, timeout=LONG)
    assert primary(opened) == "Plan for a time…"
    assert page.buttons.start.isVisible(), "the expert's way stays"
    assert page.plan.text.startswith("Too long for this computer")
    dialog = ask(opened)
    dialog.reject()


def test_a_run_with_a_time_is_announced_by_it(opened: Driver, project: Project) -> None:
    projects.change_settings(project, {"training.max_steps": 10**9, "training.minutes": 30.0})
    opened.session.refresh()
    page = opened.page("training")
    opened.settle()
    opened.qtbot.waitUntil(lambda: page.plan.text.startswith("30\u00a0min (about "), timeout=LONG)
    assert primary(opened) == "Start training"
    assert "(timeline:" in page.plan.text
    assert "30\u00a0min" in page.subtitle.text()


def test_the_training_tab_leads_there_while_there_are_no_tokens(started: Driver) -> None:
    page = started.page("training")
    assert primary(started) == "Prepare and train…"
    dialog = ask(started)
    dialog.reject()
    started.click("Prepare the tokens by hand", page)
    assert started.window.shell.shown == "tokenizer", "the expert's way stays"


def interrupt(project: Project) -> str:
    """A run that was cut off after half of its steps; its name."""
    run = train(project, StopAt(15).job).run.name
    write(project, replace(runs.read(project, run), state="running"))  # as a power cut leaves it
    return run


def buttons(dialog: PrepareDialog) -> dict[str, str]:
    """The visible buttons at the foot of the dialog, with their roles."""
    found = (dialog.start, dialog.resume)
    return {made.text(): str(made.property("role") or "") for made in found if made.isVisible()}


def test_an_interrupted_run_is_resumed_by_the_primary_button(opened: Driver, project: Project) -> None:
    run = interrupt(project)
    opened.session.refresh()
    opened.page("data")
    opened.settle()
    dialog = ask(opened)
    opened.qtbot.waitUntil(dialog.resume.isVisible, timeout=LONG)
    assert buttons(dialog) == {"Start a new run": "", "Resume “run-1”": "primary"}
    assert dialog.resume.isDefault()
    assert "at step 15 of 30" in dialog.unfinished.findChildren(QLabel)[0].text()
    opened.click(dialog.resume)
    opened.settle()
    assert opened.window.shell.shown == "training"
    assert [(made.name, made.state, made.step) for made in runs.listed(project)] == [(run, "finished", 30)]
    assert not opened.summary
    opened.page("data")
    dialog = ask(opened)
    opened.qtbot.waitUntil(dialog.start.isEnabled, timeout=LONG)
    assert buttons(dialog) == {"Start": "primary"}, "nothing is left to be resumed"
    dialog.reject()


def test_a_new_run_can_be_started_beside_an_interrupted_one(opened: Driver, project: Project) -> None:
    run = interrupt(project)
    opened.session.refresh()
    opened.page("data")
    opened.settle()
    dialog = ask(opened)
    choose_time(opened, dialog, MINUTES)
    opened.click(dialog.start)
    opened.qtbot.waitUntil(lambda: len(runs.listed(project)) == 2, timeout=LONG)
    opened.settle()
    assert [(made.name, made.state) for made in runs.listed(project)] == [(run, "interrupted"), ("run-2", "finished")]


def test_texts_added_since_need_a_new_run(opened: Driver, project: Project, tmp_path: Path) -> None:
    """The run that was interrupted would never learn from them."""
    interrupt(project)
    opened.session.refresh()
    opened.page("data")
    opened.settle()
    dialog = ask(opened)
    opened.qtbot.waitUntil(dialog.resume.isVisible, timeout=LONG)
    (tmp_path / "more.txt").write_text("The sea was calm. " * 500, encoding="utf-8")
    sources.add_files(project, tmp_path / "more.txt", Job())
    opened.session.refresh()
    opened.qtbot.waitUntil(lambda: not dialog.resume.isVisible(), timeout=LONG)
    assert buttons(dialog) == {"Start": "primary"}
    dialog.reject()

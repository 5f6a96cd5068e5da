"""Generation, driven as a user does: write, stop, go on, write again, choose a model, move the sliders."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDoubleSpinBox, QFileDialog

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.ui.tasks import BackgroundJob
from llm_studio.ui.widgets.tinted_text import describe
from llm_studio.workflows.generation import chats
from llm_studio.workflows.training.train import PROMPTS, train
from tests.ui.driver import LONG, Driver


@pytest.fixture(scope="module")
def trained_once(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(prepared, root)
    project = Project.open(root)
    train(project, Job(), run="a")
    train(project, Job(), run="b", changes={"training.max_steps": 2})
    project.change_settings({"generation.max_tokens": 12})
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Project:
    shutil.copytree(trained_once, tmp_path / "trained")
    return Project.open(tmp_path / "trained")


def ready(driver: Driver, project: Project) -> Any:
    """The page of the opened project, its best model loaded, the next token shown."""
    driver.open(project)
    page = driver.page("generation")
    driver.qtbot.waitUntil(page.talk.go.isEnabled, timeout=LONG)
    next_token(driver, page)
    return page


def next_token(driver: Driver, page: Any, text: str | None = None) -> Any:
    """Wait until the candidates are those of what stands there now; give them."""

    def shown() -> bool:
        found = page.next.found
        return found is not None and found.turns == page.talk.upcoming() and text in (None, found.text)

    driver.qtbot.waitUntil(shown, timeout=LONG)
    return [bar.candidate() for bar in page.next.card.bars.bars if bar.isVisible()]


def write(driver: Driver, page: Any, text: str) -> chats.Turn:
    """Type a prompt, press Enter, wait for the answer."""
    driver.qtbot.keyClicks(page.talk.box, text)
    driver.qtbot.keyClick(page.talk.box, Qt.Key.Key_Return)
    return wait(driver, page)


def wait(driver: Driver, page: Any) -> chats.Turn:
    driver.qtbot.waitUntil(lambda: not page.talk.is_writing, timeout=LONG)
    driver.settle()
    return page.talk.chat.turns[-1]


def plain(text: str) -> str:
    """A text as a view gives it back: Qt shows every kind of line break as a new line."""
    return re.sub("[\r\n\u2028\u2029]+", "\n", text.lstrip(" ").replace("\xa0", " "))


def shown(page: Any) -> list[str]:
    return [plain(view.text.toPlainText()) for view in page.talk.turns.views]


def test_without_a_model_the_page_says_so_and_leads_to_training(opened: Driver) -> None:
    page = opened.page("generation")
    assert page.empty.isVisible() and not page.talk.isVisible() and not page.choice.isVisible()
    opened.click("Go to Training", page)
    assert opened.window.shell.shown == "training"


def test_a_prompt_is_gone_on_with_and_an_empty_one_goes_on_too(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    assert "Model a · step" in page.subtitle.text()
    first = write(driver, page, "Once upon")
    assert first.prompt == "Once upon" and 0 < first.count <= 12 and page.talk.box.toPlainText() == ""
    second = write(driver, page, "Then")
    assert second.prompt.strip() == "Then" and len(page.talk.turns.views) == 2
    written = [plain(turn.text) for turn in (first, second)]
    assert shown(page) == written
    assert chats.newest(trained) == page.talk.chat
    figures = page.talk.turns.views[-1]._figures.text()
    assert figures.startswith(f"{second.count} token") and f"seed {second.seed}" in figures
    assert next_token(driver, page, "Then" + second.text)
    page.talk.start_new()
    driver.qtbot.keyClicks(page.talk.box, "a")
    driver.qtbot.keyClick(page.talk.box, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert page.talk.box.toPlainText() == "a\n" and not page.talk.is_writing
    page.talk.box.clear()
    first = write(driver, page, "")
    assert first.prompt == "" and len(page.talk.chat.turns) == 1
    driver.click("Continue", page)
    longer = wait(driver, page)
    assert len(page.talk.chat.turns) == 1 and longer.text.startswith(first.text) and longer.count > first.count
    assert shown(page) == [plain(longer.text)]
    driver.click("Copy", page)
    assert QGuiApplication.clipboard().text() == longer.text.strip()


def test_a_new_prompt_is_another_text_unless_it_continues_the_one_above(driver: Driver, trained: Project) -> None:
    trained.change_settings({"generation.seed": 3})
    page = ready(driver, trained)
    assert not page.talk.asking.isVisible(), "there is nothing to continue yet"
    first = write(driver, page, "Once")
    second = write(driver, page, "Once")
    assert second.prompt == "\n\nOnce" and second.text == first.text, "the model read nothing but the prompt"
    assert chats.LIMIT in second.notes
    assert "maximum length" in page.talk.turns.views[-1]._notes.text()
    driver.click("Continue the text", page)
    third = write(driver, page, "Then")
    assert third.prompt == " Then"
    page.talk.turns.views[1]._edit.click()
    assert page.talk.box.toPlainText() == "Once" and not page.talk.asking.joins()
    page.talk.turns.views[2]._edit.click()
    assert page.talk.box.toPlainText() == "Then" and page.talk.asking.joins()


def test_a_beginning_is_taken_with_a_click(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    driver.click(PROMPTS["en"][0], page)
    assert page.talk.box.toPlainText() == PROMPTS["en"][0]
    driver.qtbot.keyClick(page.talk.box, Qt.Key.Key_Return)
    assert wait(driver, page).prompt == PROMPTS["en"][0]
    assert not page.talk.turns._beginnings.isVisible(), "the chat has begun"


def test_a_chat_is_saved_as_a_text(driver: Driver, trained: Project, tmp_path: Path) -> None:
    page = ready(driver, trained)
    write(driver, page, "Once")
    write(driver, page, "There was")
    driver.click("Save this chat as a text or a PDF…", page)
    dialog = driver.dialog(QFileDialog)
    assert dialog.selectedFiles()[0].endswith(".txt")
    dialog.fileSelected.emit(str(tmp_path / "out.txt"))
    dialog.fileSelected.emit(str(tmp_path / "out.pdf"))
    dialog.reject()
    driver.settle()
    assert (tmp_path / "out.pdf").read_bytes().startswith(b"%PDF-")
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == page.talk.chat.text.strip() + "\n"
    assert "\n\nThere was" in page.talk.chat.text


def test_stop_keeps_what_is_there(driver: Driver, trained: Project) -> None:
    trained.change_settings({"generation.max_tokens": 100_000, "generation.temperature": 5.0, "generation.top_k": 0,
                             "generation.seed": 1})  # fmt: skip
    page = ready(driver, trained)
    driver.qtbot.keyClicks(page.talk.box, "Once")
    driver.click("Generate", page)
    assert page.talk.stop.isVisible() and driver.session.is_running("generation/write")
    driver.qtbot.waitUntil(lambda: len(page.talk.turns.views[-1].text.toPlainText()) > 20, timeout=LONG)
    driver.click(page.talk.stop)
    stopped = wait(driver, page)
    assert 0 < stopped.count < 100_000 and shown(page) == [plain(stopped.text)] and not driver.summary
    assert page.talk.go.isVisible()


def test_an_answer_or_a_prompt_is_written_again_and_nothing_is_lost(driver: Driver, trained: Project) -> None:
    trained.change_settings({"generation.seed": 42, "generation.temperature": 2.0})
    page = ready(driver, trained)
    first = write(driver, page, "Once")
    assert first.seed == 42 and page.sampling.seed.text() == "42"
    driver.click("Regenerate", page)
    again = wait(driver, page)
    assert again.seed != 42 and again.prompt == "Once" and len(page.talk.chat.turns) == 1
    assert [again.tree.tokens(leaf) for leaf in again.tree.leaves] == [first.tokens, again.tokens]
    driver.click("Undo the last change", page)
    driver.settle()
    assert page.talk.chat.turns == (first,) and shown(page) == [plain(first.text)]
    page.talk.start_new()
    write(driver, page, "Once")
    write(driver, page, "Then")
    old = page.talk.chat
    driver.click("Edit and write again", page.talk.turns.views[0])
    assert page.talk.box.toPlainText() == "Once"
    driver.click("Cancel", page)
    assert page.talk.box.toPlainText() == ""
    driver.click("Edit and write again", page.talk.turns.views[0])
    page.talk.box.setPlainText("There was")
    driver.click("Generate", page)
    assert wait(driver, page).prompt == "There was"
    assert len(page.talk.chat.turns) == 1 and page.talk.chat.id != old.id
    assert chats.read(trained, old.id) == old
    driver.click("Edit and write again", page.talk.turns.views[0])
    page.talk.box.setPlainText("There is")
    driver.click("Generate", page)
    wait(driver, page)
    assert [turn.prompt for turn in page.talk.chat.turns] == ["There is"] and len(chats.listed(trained)) == 3


def test_chats_are_listed_opened_branched_marked_and_deleted_with_undo(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    write(driver, page, "Once")
    write(driver, page, "Then")
    first = page.talk.chat
    driver.click("Branch from here", page)
    driver.settle()
    assert page.talk.chat.turns == first.turns[:1] and page.talk.chat.id != first.id
    driver.click("Favourite", page)
    driver.settle()
    branch = page.talk.chat
    assert branch.turns[0].favourite
    driver.click(driver.button("New chat", page.talk.menu))
    assert not page.talk.turns.views
    page.talk.menu.menu.aboutToShow.emit()
    entries = {action.data(): action for action in page.talk.menu.menu.actions()}
    assert set(entries) == {first.id, branch.id} and entries[branch.id].text().startswith("★")
    entries[first.id].trigger()
    driver.settle()
    assert page.talk.chat == first and len(page.talk.turns.views) == 2
    driver.click("Delete this chat", page)
    driver.settle()
    assert [chat.id for chat in chats.listed(trained)] == [branch.id] and not page.talk.turns.views
    driver.click("Undo")
    driver.settle()
    assert chats.read(trained, first.id) == first == page.talk.chat


def test_a_chat_and_its_probabilities_come_back_with_the_project(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    turn = write(driver, page, "Once")
    driver.window.choose_language("fr")
    driver.qtbot.waitUntil(lambda: "generation" in driver.window.pages, timeout=LONG)
    driver.settle()
    page = driver.page("generation")
    driver.qtbot.waitUntil(lambda: bool(page.talk.turns.views), timeout=LONG)
    assert [t.text for t in page.talk.chat.turns] == [turn.text]
    driver.qtbot.waitUntil(page.talk.go.isEnabled, timeout=LONG)
    page.view._buttons["probabilities"].click()
    text = page.talk.turns.views[0].text
    token = next(t for t in turn.tokens if t.text.strip())
    index = [t.id for t in turn.tokens].index(token.id)
    cursor = text.textCursor()
    cursor.setPosition(text._ends[index])
    assert cursor.charFormat().background().style() != Qt.BrushStyle.NoBrush
    assert text.token_at(text.document().documentLayout().hitTest(
        text.cursorRect(cursor).center() - QPoint(3, 0), Qt.HitTestAccuracy.ExactHit)) is not None  # fmt: skip
    assert describe(token).count("%") == 1 + len(token.alternatives)
    assert text.token_at(text._ends[index] - 1) == page.talk.chat.turns[0].tokens[index]


def test_sliders_change_the_candidates_at_once_and_a_click_on_one_takes_it(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    driver.qtbot.keyClicks(page.talk.box, "Once upon a ")
    before = next_token(driver, page, "Once upon a")
    top_k = page.sampling.rows["top_k"]
    box = top_k.findChild(QDoubleSpinBox)
    box.setFocus()
    box.selectAll()
    driver.qtbot.keyClicks(box, "3")
    driver.qtbot.keyClick(box, Qt.Key.Key_Return)
    after = next_token(driver, page)
    assert [c.kept for c in after] == [True] * 3 + [False] * 7 and [c.model_prob for c in before][:3] == [
        c.model_prob for c in after
    ][:3]
    assert "3 possible tokens of 400" in page.next.card.caption.text()
    driver.qtbot.waitUntil(lambda: trained.settings().generation.top_k == 3, timeout=LONG)
    driver.settle()
    assert top_k.value() == 3 and page.sampling._preset.text() == "Custom"
    next(a for a in page.sampling._group.actions() if a.text() == "Precise").trigger()
    assert page.sampling._preset.text() == "Precise" and page.sampling.rows["temperature"].value() == 0.3
    driver.click("Another seed", page)
    driver.qtbot.waitUntil(lambda: trained.settings().generation.temperature == 0.3, timeout=LONG)
    driver.settle()
    assert str(trained.settings().generation.seed) == page.sampling.seed.text()
    assert page.sampling._preset.text() == "Precise"
    page.talk.box.clear()
    write(driver, page, "Once")
    text = page.talk.chat.text
    next_token(driver, page, text)
    bar = next(bar for bar in page.next.card.bars.bars if bar.isEnabled() and bar.candidate().text.isalpha())
    chosen = bar.candidate().text
    driver.click(bar)
    assert page.talk.chat.text == text + chosen and shown(page) == [plain(page.talk.chat.turns[0].text)]
    next_token(driver, page, text + chosen)
    driver.click("Generate", page)
    assert wait(driver, page).text.startswith(page.talk.chat.turns[0].text[: len(text) - len("Once")] + chosen)


def test_another_step_is_loaded_and_a_damaged_or_absent_one_is_reported_inline(
    driver: Driver, trained: Project
) -> None:
    page = ready(driver, trained)
    page.choice.run_box.setCurrentIndex(page.choice.run_box.findData("a"))
    page.choice.run_box.activated.emit(page.choice.run_box.currentIndex())
    driver.settle()
    assert "Model a · step" in page.subtitle.text() and "(best)" in page.subtitle.text()
    assert page.choice.step_box.findData("0") > 0  # a snapshot
    (trained.checkpoints / "a" / "step-000025" / "model.safetensors").write_bytes(b"broken")
    page.choice.step_box.setCurrentIndex(page.choice.step_box.findData("25"))
    page.choice.step_box.activated.emit(page.choice.step_box.currentIndex())
    driver.settle()
    assert page.notice.isVisible() and "step-000025 is damaged" in page.notice.text.text()
    assert not page.talk.go.isEnabled() and not driver.summary
    driver.click("Try again", page)
    driver.settle()
    assert page.notice.isVisible()
    page.choice.step_box.setCurrentIndex(page.choice.step_box.findData("last"))
    page.choice.step_box.activated.emit(page.choice.step_box.currentIndex())
    driver.settle()
    assert not page.notice.isVisible() and page.talk.go.isEnabled()
    assert write(driver, page, "Once").model == "a/step-000030"
    page.choice._fill_steps("last")
    for kept in (trained.checkpoints / "a").iterdir():
        if kept.is_dir():
            shutil.rmtree(kept)
    page.choice.step_box.setCurrentIndex(page.choice.step_box.findData("25"))
    page.choice.step_box.activated.emit(page.choice.step_box.currentIndex())
    driver.settle()
    assert "no checkpoint of step 25" in page.notice.text.text() and not driver.summary


def test_it_writes_while_a_training_runs_and_finds_its_checkpoints(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    driver.session.start(BackgroundJob("training", lambda job: train(trained, job, run="c", changes={
        "training.max_steps": 100_000, "training.checkpoint_interval": 3, "training.threads": 1}), "Training",
        tab="training", changes_project=True))  # fmt: skip
    driver.qtbot.waitUntil(lambda: page.choice.run_box.findData("c") >= 0, timeout=LONG)
    driver.qtbot.keyClicks(page.talk.box, "Once")
    driver.qtbot.keyClick(page.talk.box, Qt.Key.Key_Return)
    driver.qtbot.waitUntil(lambda: not page.talk.is_writing, timeout=LONG)
    assert page.talk.chat.turns[0].model.startswith("a/") and driver.session.is_running("training")
    driver.session.stop("training")
    driver.settle()
    assert not driver.summary


def test_what_can_not_be_kept_comes_back_and_another_project_forgets_all(
    driver: Driver, trained: Project, project: Project
) -> None:
    page = ready(driver, trained)
    with trained.writing("chats"):
        driver.qtbot.keyClicks(page.talk.box, "Once")
        driver.qtbot.keyClick(page.talk.box, Qt.Key.Key_Return)
        driver.qtbot.waitUntil(lambda: not page.talk.is_writing, timeout=LONG)
    assert page.talk.box.toPlainText() == "Once" and not page.talk.turns.views
    assert len(driver.summary) == 1
    driver.problem().accept()
    page.talk.box.clear()
    write(driver, page, "Once")
    driver.open(project)
    assert not page.talk.turns.views and page.talk.box.toPlainText() == "" and page.model.generator is None
    driver.page("generation")
    assert page.empty.isVisible()

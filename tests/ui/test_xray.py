"""The X-ray of the next token, driven as a user does: click candidates, go back, compare versions, move the sliders."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QDoubleSpinBox, QPlainTextEdit, QWidget

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.generation import chats
from llm_studio.workflows.training.train import train
from tests.ui.driver import LONG, Driver


@pytest.fixture(scope="module")
def trained_once(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("xray") / "project"
    shutil.copytree(prepared, root)
    project = Project.open(root)
    train(project, Job(), run="a")
    project.change_settings({"generation.max_tokens": 8, "generation.seed": 3, "generation.temperature": 1.5})
    return root


@pytest.fixture
def project(trained_once: Path, tmp_path: Path) -> Project:
    shutil.copytree(trained_once, tmp_path / "project")
    return Project.open(tmp_path / "project")


@pytest.fixture
def page(driver: Driver, project: Project) -> Any:
    """The page, its model loaded, the table in sight."""
    driver.open(project)
    made = driver.page("generation")
    driver.qtbot.waitUntil(made.talk.go.isEnabled, timeout=LONG)
    made.view._buttons["xray"].click()
    ready(driver, made)
    return made


def ready(driver: Driver, page: Any) -> Any:
    """Wait until the table is about the text as it is; give its rows."""

    def shown() -> bool:
        return page.next.found is not None and page.next.found.turns == page.talk.upcoming()

    driver.qtbot.waitUntil(shown, timeout=LONG)
    driver.settle()
    return page.next.xray.table.rows


def click(driver: Driver, page: Any, row: int) -> None:
    """Click a row of the table."""
    table = page.next.xray.table
    table.scrollTo(table.rows.index(row, 0))
    at = table.visualRect(table.rows.index(row, 0)).center()
    driver.qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=at)


def click_token(driver: Driver, page: Any, turn: int, token: int) -> None:
    """Click a token in what the model wrote."""
    text = page.talk.turns.views[turn].text
    cursor = QTextCursor(text.document())
    cursor.setPosition(text._ends[token])
    at = text.cursorRect(cursor)
    driver.qtbot.mouseClick(text.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(at.left() - 2, at.center().y()))


def generate(driver: Driver, page: Any, text: str) -> chats.Turn:
    page.talk.box.setPlainText(text)
    driver.click("Generate", page)
    return written(driver, page)


def written(driver: Driver, page: Any) -> chats.Turn:
    driver.qtbot.waitUntil(lambda: not page.talk.is_writing, timeout=LONG)
    ready(driver, page)
    return page.talk.chat.turns[-1]


def writable(rows: Any, after: int = 0) -> int:
    """A row with a token of letters."""
    return next(n for n, one in enumerate(rows.candidates.first) if n >= after and one.text.strip().isalpha())


def test_a_clicked_candidate_is_written_and_undo_is_as_before(driver: Driver, page: Any, project: Project) -> None:
    page.talk.box.setPlainText("Once upon")
    rows = ready(driver, page)
    before, shown_before = page.talk.chat, [one.token for one in rows.candidates.first]
    chosen = rows.candidates.first[writable(rows)]
    click(driver, page, writable(rows))
    (turn,) = page.talk.chat.turns
    assert (turn.prompt, turn.text) == ("Once upon", chosen.text) and page.talk.box.toPlainText() == ""
    assert turn.tokens[0].probability == pytest.approx(chosen.model_prob, rel=1e-3)
    rows = ready(driver, page)
    second = rows.candidates.first[writable(rows)]
    click(driver, page, writable(rows))
    assert page.talk.chat.turns[0].text == chosen.text + second.text
    ready(driver, page)
    after = page.talk.chat
    assert chats.read(project, after.id) == after
    driver.click("Undo the last change", page)
    ready(driver, page)
    assert page.talk.chat.turns == (turn,)
    driver.qtbot.keyClick(page.next.xray.table, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    rows = ready(driver, page)
    assert page.talk.chat == before and page.talk.box.toPlainText() == "Once upon"
    assert [one.token for one in rows.candidates.first] == shown_before and not page.talk.turns.views
    assert chats.listed(project) == [], "a chat of nothing isn't kept"
    for _again in range(2):
        driver.click("Redo the last change", page)
        ready(driver, page)
    assert page.talk.chat == after == chats.read(project, after.id) and page.talk.box.toPlainText() == ""


def test_any_written_token_is_chosen_again_and_every_version_stays(driver: Driver, page: Any, project: Project) -> None:
    first = generate(driver, page, "Once")
    click_token(driver, page, 0, 3)
    rows = ready(driver, page)
    assert page.talk.place == (0, 3) and rows.written == first.tokens[3].id
    assert "Here the text continues with" in page.next.xray.help.text()
    assert first.tokens[3].id in [one.token for one in rows.candidates.first]
    driver.click("Back to the end", page)
    rows = ready(driver, page)
    assert rows.written is None and page.next.xray.end.isHidden()
    for place in ((0, 3), None):
        click_token(driver, page, 0, 3)
        assert page.talk.place == place, "a second click goes back"
    text = page.talk.turns.views[0].text
    text.setFocus()
    cursor = text.textCursor()
    cursor.setPosition(text._ends[2])
    text.setTextCursor(cursor)
    driver.qtbot.keyClick(text, Qt.Key.Key_Return)
    rows = ready(driver, page)
    assert page.talk.place == (0, 3), "Return chooses the token after the cursor"
    other = next(n for n, one in enumerate(rows.candidates.first) if one.text.isalpha() and one.token != rows.written)
    token = rows.candidates.first[other].token
    table = page.next.xray.table
    table.setFocus()
    table.setCurrentIndex(rows.index(other, 0))
    driver.qtbot.keyClick(table, Qt.Key.Key_Return)
    (turn,) = page.talk.chat.turns
    assert [one.id for one in turn.tokens] == [*(one.id for one in first.tokens[:3]), token]
    ready(driver, page)
    longer = generate(driver, page, "")
    assert longer.tokens[:4] == turn.tokens and longer.count == 12
    card = page.choosing.card
    assert card.isVisible() and card.list.count() == 2 and card.list.currentRow() == 1
    bits = longer.tree.surprise()
    assert f"{bits.bits:.1f}\u00a0bits · {bits.per_token:.1f} per token" in card.list.currentItem().text()
    card.list.setCurrentRow(0)
    driver.qtbot.keyClick(card.list, Qt.Key.Key_Return)
    ready(driver, page)
    assert page.talk.chat.turns[0].tokens == first.tokens and page.talk.chat.turns[0].notes == first.notes
    assert len(chats.read(project, page.talk.chat.id).turns[0].tree.leaves) == 2
    driver.click("Undo the last change", page)
    ready(driver, page)
    assert page.talk.chat.turns == (longer,)


def test_generate_writes_on_from_a_token_that_was_clicked(driver: Driver, page: Any) -> None:
    first = generate(driver, page, "Once")
    page.sampling.seed.setText("9")
    page.sampling.seed.textEdited.emit("9")
    click_token(driver, page, 0, 3)
    driver.click("Generate", page)
    second = written(driver, page)
    assert second.tokens[:3] == first.tokens[:3] and second.count == 11
    assert {first.tokens, second.tokens} == {second.tree.tokens(leaf) for leaf in second.tree.leaves}


def test_a_token_of_an_earlier_answer_begins_another_chat(driver: Driver, page: Any, project: Project) -> None:
    generate(driver, page, "Once")
    generate(driver, page, "Then")
    old = page.talk.chat
    click_token(driver, page, 0, 2)
    rows = ready(driver, page)
    click(driver, page, writable(rows))
    ready(driver, page)
    assert page.talk.chat.id != old.id and len(page.talk.chat.turns) == 1
    assert chats.read(project, old.id) == old


def test_sliders_change_the_table_at_once(driver: Driver, page: Any) -> None:
    generate(driver, page, "Once upon")
    rows = page.next.xray.table.rows

    def move(name: str, value: float) -> None:
        box = page.sampling.rows[name].findChild(QDoubleSpinBox)
        box.setValue(value)

    move("top_k", 4)
    assert rows.candidates.left[3] == 4 and rows.candidates.removed[3] == 396
    assert rows.headerData(5, Qt.Orientation.Horizontal) == "Top-k\n−396"
    removed = rows.candidates.first[6]
    assert removed.removed_by == "top_k" and not removed.kept
    assert rows.data(rows.index(6, 5)) == "✕" and rows.data(rows.index(6, 8)) == "–"
    assert rows.data(rows.index(6, 0), Qt.ItemDataRole.FontRole).strikeOut()
    assert "removed by Top-k" in rows.data(rows.index(6, 0), Qt.ItemDataRole.AccessibleTextRole)
    kept = rows.candidates.kept
    total = sum(one.sampling_prob for one in rows.candidates.first[:kept])
    assert total == pytest.approx(1) and "4 possible tokens of 400" in page.next.xray.caption.text()
    model = [one.model_prob for one in rows.candidates.first]
    move("temperature", 0)
    assert rows.candidates.kept == 1 and rows.candidates.first[1].removed_by == "temperature"
    assert [one.model_prob for one in rows.candidates.first] == model
    move("repetition_penalty", 2)
    assert any(one.probs[1] != one.probs[0] for one in rows.candidates.first)
    table = page.next.xray.table
    table.verticalScrollBar().setValue(table.verticalScrollBar().maximum())
    driver.qtbot.waitUntil(lambda: len(rows.candidates.first) > 50, timeout=LONG)


def test_a_drawn_token_is_one_that_can_be_drawn(driver: Driver, page: Any) -> None:
    page.talk.box.setPlainText("Once")
    ready(driver, page)
    page.sampling.rows["top_k"].findChild(QDoubleSpinBox).setValue(1)
    best = page.next.xray.table.rows.candidates.first[0].token
    driver.click("Draw a token", page)
    assert page.talk.chat.turns[0].tokens[0].id == best


def test_a_text_that_was_ended_continues_past_its_end(driver: Driver, page: Any, project: Project) -> None:
    generate(driver, page, "Once")
    table, rows = page.next.xray.table, page.next.xray.table.rows

    def all_shown() -> bool:
        table.verticalScrollBar().setValue(table.verticalScrollBar().maximum())
        return len(rows.candidates.first) == 400

    driver.qtbot.waitUntil(all_shown, timeout=LONG)
    end = next(n for n, one in enumerate(rows.candidates.first) if one.text == "(end)")
    click(driver, page, end)
    ready(driver, page)
    turn = page.talk.chat.turns[0]
    assert (
        turn.notes == (chats.FINISHED,) and "The model ended the text here." in page.talk.turns.views[0]._notes.text()
    )
    driver.click("Continue past the end", page)
    longer = written(driver, page)
    assert longer.text.startswith(turn.text) and longer.count > turn.count
    assert driver.button("Continue", page)


def test_the_users_own_text_is_tinted_by_its_surprise(driver: Driver, page: Any) -> None:
    box = page.talk.box
    box.setPlainText("Once upon \U0001f408 a time")
    driver.qtbot.waitUntil(lambda: bool(box.extraSelections()), timeout=LONG)
    tinted = [selection.cursor.selectedText() for selection in box.extraSelections()]
    assert "".join(tinted) == "Once upon \U0001f408 a time" and len(tinted) > 4
    generate(driver, page, "Once upon a time")
    view = page.talk.turns.views[0]
    driver.qtbot.waitUntil(lambda: bool(view._prompt_tokens), timeout=LONG)
    driver.settle()
    assert view.prompt.toPlainText() == "Once upon a time" and not view._bubble.isVisible()
    total = sum(token.bits for token in view._prompt_tokens)
    assert f"{total:.1f}\u00a0bits" in view._prompt_figures.text()
    cursor = view.prompt.textCursor()
    cursor.setPosition(view.prompt._ends[0])
    assert cursor.charFormat().background().style() != Qt.BrushStyle.NoBrush
    page.view._buttons["text"].click()
    assert view._bubble.isVisible() and not view.prompt.isVisible() and not box.extraSelections()


def test_stop_strings_are_typed_one_per_line(driver: Driver, page: Any, project: Project) -> None:
    (box,) = [box for box in page.sampling.findChildren(QPlainTextEdit) if box.accessibleName() == "Stop strings"]
    driver.qtbot.keyClicks(box, "\\n\\n")
    driver.qtbot.keyClick(box, Qt.Key.Key_Return)
    driver.qtbot.keyClicks(box, "THE END")
    driver.qtbot.waitUntil(lambda: project.settings().generation.stop == ("\n\n", "THE END"), timeout=LONG)
    driver.settle()
    assert box.toPlainText() == "\\n\\n\nTHE END"
    whole = generate(driver, page, "Once")
    stop = whole.text[3:5]
    box.setPlainText(stop.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t"))
    stopped = generate(driver, page, "Once")
    assert stopped.text == whole.text[: whole.text.index(stop)] and chats.STOPPED in stopped.notes


def test_everything_is_reached_by_keyboard(page: Any) -> None:
    named: list[QWidget] = [page.next.xray.table, page.choosing.card.list, page.next.xray.draw, page.next.xray.end]
    for widget in (*named, page.talk.menu._undo, page.talk.menu._redo):
        assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        assert widget.accessibleName() or widget.text()  # type: ignore[attr-defined]

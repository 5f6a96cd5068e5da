"""The tab Tokenizer, driven as a user does: trying texts, training, preparing, importing, and what goes wrong."""

import time
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel, QPushButton

from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tabs.tokenizer.controller import PREPARE, TRAIN
from llm_studio.ui.tabs.tokenizer.page import TokenizerPage
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer.train import train_tokenizer
from tests.tiny import SETTINGS
from tests.ui.driver import LONG, Driver


def shown(driver: Driver) -> Any:
    """The page, settled. Its parts are looked into where no accessor would serve anything but a test."""
    page: Any = driver.page("tokenizer")
    assert isinstance(page, TokenizerPage)
    driver.settle()
    return page


def primary(page: Any) -> str:
    """The text of the one primary button that is on the page."""
    found = [b for b in page.findChildren(QPushButton) if b.property("role") == "primary" and b.isVisible()]
    assert len(found) == 1
    return found[0].text()


def type_text(driver: Driver, page: Any, text: str) -> None:
    page.columns.playground.input.setFocus()
    page.columns.playground.input.selectAll()
    driver.qtbot.keyClicks(page.columns.playground.input, text)


def lab(page: Any) -> Any:
    assert page.inspection.bench is not None
    assert page.inspection.bench.lab is not None
    return page.inspection.bench.lab


def test_a_ready_project_shows_tokens_vocabulary_and_figures(opened: Driver) -> None:
    page = shown(opened)
    assert primary(page) == "Continue to the model →"
    assert page.columns.playground.text().startswith("Once upon a time")
    count = len(lab(page).tokens(page.columns.playground.text()))
    assert page.columns.playground.count.text().startswith(f"{count} tokens · ")
    assert "is built" in page.columns.merges.heading.text()
    assert len(page.columns.vocabulary.ids()) == lab(page).vocab_size
    assert page.columns.quality.values._values["exact"].text() == "100\u00a0%"
    assert page.columns.quality.values._values["tokens"].text() != "–"
    assert page.columns.curve.curve._points[-1][0] == lab(page).vocab_size
    opened.click("Continue to the model →")
    assert opened.window.pages["model"].isVisible()


def test_tokens_follow_the_typing_and_the_word_at_the_cursor_is_built(opened: Driver) -> None:
    page = shown(opened)
    type_text(opened, page, "the dragon")
    assert page.columns.playground.count.text().startswith(
        f"{len(lab(page).tokens('the dragon'))} tokens · 10 characters"
    )
    assert page.columns.merges.heading.text() == "How “dragon” is built"
    assert page.columns.merges.steps.toPlainText().replace("\xa0", " ").startswith("␣ d r a g o n  →")
    opened.qtbot.keyClick(page.columns.playground.input, Qt.Key.Key_Home)
    assert page.columns.merges.heading.text() == "How “the” is built"
    type_text(opened, page, " ")
    opened.qtbot.keyClick(page.columns.playground.input, Qt.Key.Key_Backspace)
    assert page.columns.playground.count.text() == "0 tokens · 0 characters"


def test_each_token_tells_its_id_bytes_and_merges(opened: Driver) -> None:
    page = shown(opened)
    type_text(opened, page, "a the")
    view = page.columns.playground.pane.view
    tokens = lab(page).tokens("a the")
    last = len(tokens) - 1
    view.setFocus()
    opened.qtbot.keyClick(view, Qt.Key.Key_End)
    summary = page.columns.playground.hint.text()
    assert f"id {tokens[last].id}" in summary
    assert tokens[last].bytes.hex(" ").upper() in summary
    opened.qtbot.keyClick(view, Qt.Key.Key_Home)
    assert "“a”" in page.columns.playground.hint.text()
    assert "no merge" in page.columns.playground.hint.text()
    opened.qtbot.mouseMove(view, view.place(last).center().toPoint())
    view._look(view.at(view.place(last).center().x(), view.place(last).center().y()))
    assert f"id {tokens[last].id}" in page.columns.playground.hint.text()
    opened.qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.place(last).center().toPoint())
    assert page.columns.merges.heading.text() == "How “the” is built"
    opened.qtbot.keyClick(view, Qt.Key.Key_Home)
    opened.qtbot.keyClick(view, Qt.Key.Key_Return)
    assert page.columns.merges.heading.text() == "How “a” is built"
    assert view.at(-5, -5) == -1


def test_arrow_keys_go_through_the_lines_of_tokens(opened: Driver) -> None:
    page = shown(opened)
    page.columns.playground.input.setPlainText("Once upon a time there was a little dragon. " * 8)
    view = page.columns.playground.pane.view
    opened.qtbot.keyClick(view, Qt.Key.Key_Home)
    opened.qtbot.keyClick(view, Qt.Key.Key_Down)
    below = view.current()
    assert view.place(below).top() > view.place(0).top()
    opened.qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.current() == below + 1
    opened.qtbot.keyClick(view, Qt.Key.Key_Up)
    opened.qtbot.keyClick(view, Qt.Key.Key_Left)
    assert view.place(view.current()).top() == view.place(0).top()


def test_merges_are_replayed_step_by_step(opened: Driver) -> None:
    page = shown(opened)
    type_text(opened, page, "the")
    merges = page.columns.merges
    arrows = merges.steps.toPlainText().count("→")
    assert arrows == 3 - len(lab(page).tokens("the"))
    assert merges.said.text().startswith(f"Step {arrows} of {arrows}: ")
    opened.click(merges.back)
    assert merges.steps.toPlainText().count("→") == arrows - 1
    opened.click(merges.forward)
    assert not merges.forward.isEnabled()
    merges._timer.setInterval(1)
    opened.click(merges.play)
    assert merges.said.text() == "It starts as single bytes."
    opened.qtbot.waitUntil(lambda: not merges._timer.isActive())
    assert merges.steps.toPlainText().count("→") == arrows
    type_text(opened, page, "x" * 100)
    assert "too long" in merges.said.text()
    assert not merges.play.isEnabled()


def test_halves_of_characters_and_emoji_do_no_harm(opened: Driver) -> None:
    page = shown(opened)
    page.columns.playground.input.setFocus()
    page.columns.playground.input.setPlainText("a 👩\u200d👧 \ud83d b\n\n\tc")
    page.columns.playground.input.moveCursor(page.columns.playground.input.textCursor().MoveOperation.End)
    assert page.columns.merges.heading.text() == "How “c” is built"
    assert "⏎" in "".join(chip.text for chip in page.columns.playground.pane.view._chips)
    page.grab()


@pytest.mark.parametrize("text", ["Once upon a time, 12 dragons. ", "x", "漢👧é"])
def test_the_work_of_a_key_grows_no_faster_than_the_text(opened: Driver, text: str) -> None:
    page = shown(opened)

    def work(characters: int) -> float:
        """Seconds of the processor that a key takes, over as many as its clock needs (64 ticks a second on Windows)."""
        page.columns.playground.input.setPlainText((text * characters)[:characters])
        page.columns.playground.input.setFocus()
        page.columns.playground.pane.view.grab()
        begun, keys = time.thread_time(), 0
        while keys < 10 or time.thread_time() - begun < 0.3:
            opened.qtbot.keyClicks(page.columns.playground.input, "e" if keys % 2 else "h")
            page.columns.playground.repaint()
            keys += 1
        return (time.thread_time() - begun) / keys

    assert work(6000) < 10 * work(1500)  # at most 4 times, where it is in proportion; 16 times, were it quadratic


def test_the_vocabulary_is_searched_sorted_and_explained(opened: Driver) -> None:
    page = shown(opened)
    card = page.columns.vocabulary
    counts = page.inspection.counts
    assert counts is not None
    often = [int(counts.frequencies[token]) for token in card.ids()]
    assert often == sorted(often, reverse=True)
    opened.click("Id", card)
    assert card.ids() == list(range(lab(page).vocab_size))
    opened.qtbot.keyClicks(card.search, "the")
    opened.qtbot.waitUntil(lambda: len(card.ids()) < 50)
    assert all("the" in lab(page).shown(token).casefold() for token in card.ids())
    card.table.selectRow(0)
    assert lab(page).shown(card.ids()[0]).strip("␣") in page.columns.merges.heading.text()
    card.search.setText("nothing holds this")
    opened.qtbot.waitUntil(lambda: not card.ids())
    assert card.said.text() == "No token contains this."


def test_settings_are_kept_and_make_the_training_the_next_thing(opened: Driver) -> None:
    page = shown(opened)
    assert opened.session.project is not None
    page.columns.settings.frequency.setValue(5)
    opened.click(page.columns.settings.digits)
    page.columns.settings.vocabulary._slider.setValue(200)
    opened.settle()
    settings = opened.session.project.settings()
    assert settings.tokenizer.min_frequency == 5
    assert not settings.tokenizer.split_digits
    assert settings.model.vocab_size == page.columns.settings.vocabulary.value() > 512
    assert settings.model.vocab_size % 64 == 0
    assert page.columns.settings.waiting() == {}
    assert page.note.said.text() == "The settings have changed since the tokenizer was trained."
    assert page.note.isVisible()
    assert primary(page) == "Train the tokenizer"


def test_training_and_preparing_by_the_primary_button_make_all_ready(opened: Driver) -> None:
    toasts: list[Toast] = []
    page = shown(opened)
    page.context.toast_requested.connect(toasts.append)
    page.columns.settings.vocabulary._box.setValue(300)
    opened.click("Train the tokenizer")  # the setting is not even written yet
    opened.running(TRAIN)
    assert page.job.isVisible()
    assert not page.train.isEnabled()
    primary(page)
    opened.settle()
    assert "300 tokens" in toasts[-1].text
    assert len(page.columns.vocabulary.ids()) == 300
    assert page.note.said.text() == "The tokens were prepared with another tokenizer."
    assert primary(page) == "Prepare the tokens →"
    assert page.columns.quality.values._values["tokens"].text() == "–"
    opened.click("Prepare the tokens →")
    opened.running(PREPARE)
    opened.settle()
    assert primary(page) == "Continue to the model →"
    assert not page.note.isVisible()
    assert page.columns.quality.values._values["tokens"].text() != "–"
    assert not opened.summary


def test_a_training_that_is_stopped_changes_nothing(opened: Driver) -> None:
    page = shown(opened)
    assert opened.session.project is not None
    before = opened.session.project.tokenizer_file.read_bytes()
    opened.click("Train the tokenizer")
    opened.running(TRAIN)
    opened.click(page.job.stop)
    opened.settle()
    assert opened.session.project.tokenizer_file.read_bytes() == before
    assert not page.job.isVisible()
    assert page.train.isEnabled()
    assert not opened.summary


def test_a_project_without_a_tokenizer_offers_to_train_one(driver: Driver, project: Project) -> None:
    project.tokenizer_file.unlink()
    project.tokenizer_meta.unlink()
    driver.open(project)
    page = shown(driver)
    assert page.columns.no_tokenizer.isVisible()
    assert not page.columns.playground.isVisible()
    assert primary(page) == "Train the tokenizer"
    driver.click(page.train)
    driver.settle()
    assert page.columns.playground.isVisible()
    assert page.columns.playground.count.text()


def test_a_project_without_texts_leads_to_the_data(driver: Driver, tmp_path: Path) -> None:
    driver.open(projects.new_project(tmp_path / "new", "nano", "fr"))
    page = shown(driver)
    assert primary(page) == "Add texts →"
    assert not page.train.isEnabled()
    driver.click("Add texts →")
    assert driver.window.pages["data"].isVisible()


def test_the_example_is_in_the_language_of_the_texts(driver: Driver, tmp_path: Path) -> None:
    french = projects.new_project(tmp_path / "new", "nano", "fr")
    projects.change_settings(french, SETTINGS)
    sources.add_stories(french, "fr", 100, Job())
    train_tokenizer(french, Job())
    driver.open(french)
    page = shown(driver)
    assert page.columns.playground.text().startswith("Il était une fois")
    assert primary(page) == "Prepare the tokens →"
    assert page.columns.merges.heading.text() == "How “crachait” is built"


def test_an_import_is_taken_and_can_be_taken_back(opened: Driver, tmp_path: Path, project: Project) -> None:
    page = shown(opened)
    size = lab(page).vocab_size
    other = tmp_path / "other"
    other_project = projects.new_project(other, "nano", "en")
    projects.change_settings(other_project, {**SETTINGS, "model.vocab_size": 290})
    sources.add_stories(other_project, "en", 50, Job())
    train_tokenizer(other_project, Job())
    page.jobs.import_file(str(other_project.tokenizer_file))
    opened.settle()
    assert len(page.columns.vocabulary.ids()) == 290
    assert projects.steps(project).tokenizer is State.READY
    assert primary(page) == "Prepare the tokens →"
    opened.click("Undo")
    opened.settle()
    assert len(page.columns.vocabulary.ids()) == size
    assert primary(page) == "Continue to the model →"


def test_a_file_that_is_no_tokenizer_is_refused_with_one_dialog(opened: Driver, tmp_path: Path) -> None:
    page = shown(opened)
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[]", encoding="utf-8")
    page.jobs.import_file(str(wrong))
    opened.settle()
    assert len(opened.summary) == 1
    assert "can't be used" in opened.problem().what.text()
    assert primary(page) == "Continue to the model →"


def test_another_project_forgets_the_text_and_the_tokenizer(opened: Driver, tmp_path: Path) -> None:
    page = shown(opened)
    type_text(opened, page, "a secret")
    opened.open(projects.new_project(tmp_path / "new", "nano", "fr"))
    assert "secret" not in page.columns.playground.text()
    assert page.columns.vocabulary.ids() == []
    assert page.inspection.bench is None or page.inspection.bench.lab is None


def test_what_the_user_does_survives_a_new_look_at_the_project(opened: Driver) -> None:
    page = shown(opened)
    type_text(opened, page, "the dragon")
    page.columns.vocabulary.search.setText("the")
    opened.qtbot.waitUntil(lambda: len(page.columns.vocabulary.ids()) < 50, timeout=LONG)
    page.columns.vocabulary.table.selectRow(1)
    heading = page.columns.merges.heading.text()
    opened.session.refresh()
    opened.settle()
    assert page.columns.playground.text() == "the dragon"
    assert page.columns.vocabulary.search.text() == "the"
    assert page.columns.vocabulary.table.chosen() == 1
    assert page.columns.merges.heading.text() == heading


def test_the_curve_says_its_points(opened: Driver) -> None:
    page = shown(opened)
    curve = page.columns.curve.curve
    assert "characters per token" in curve.accessibleDescription()
    opened.qtbot.mouseMove(curve, QPoint(curve.width() - 20, curve.height() // 2))
    page.grab()
    assert curve.toolTip().startswith(f"{lab(page).vocab_size} tokens: ")


def test_a_damaged_tokenizer_is_said_and_can_be_trained_again(driver: Driver, project: Project) -> None:
    driver.open(project)
    page = shown(driver)
    project.tokenizer_file.write_text("{}", encoding="utf-8")
    driver.session.refresh()
    driver.settle()
    assert "can't be used" in page.columns.untrained.findChildren(QLabel)[1].text()
    assert primary(page) == "Train the tokenizer"
    driver.click(page.train)
    driver.settle()
    assert page.columns.playground.isVisible()


def test_the_page_fits_into_a_small_window(opened: Driver) -> None:
    page = shown(opened)
    opened.window.resize(1024, 700)
    opened.qtbot.waitUntil(lambda: opened.window.width() == 1024)
    assert page.minimumSizeHint().width() <= 780


def test_tab_goes_through_the_page_as_it_is_read(opened: Driver) -> None:
    page = shown(opened)
    opened.window.activateWindow()
    page.bring.setFocus()
    seen: list[Any] = []
    for _ in range(20):
        seen.append(opened.window.focusWidget())
        opened.qtbot.keyClick(seen[-1], Qt.Key.Key_Tab)
    wanted = [
        page.bring,
        page.train,
        page.go,
        page.columns.playground.input,
        page.columns.playground.pane.view,
        page.columns.vocabulary.search,
        page.columns.vocabulary.table,
        page.columns.settings.frequency,
    ]
    places = [seen.index(widget) for widget in wanted]
    assert places == sorted(places)
    assert all(widget.accessibleName() or widget.text() for widget in seen[:14])

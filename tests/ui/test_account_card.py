"""What was left out when a source was added: a card, opened in one click."""

from pathlib import Path

import pytest

from llm_studio.jobs import Job
from llm_studio.ui.dialogs.add_texts import AddTextsDialog
from llm_studio.ui.dialogs.notes import NotesDialog
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from tests.data.making import discord, telegram, written
from tests.data.test_chats import WHATSAPP
from tests.ui.driver import Driver
from tests.ui.test_data_tab import cell, drag, mime


def mixed(folder: Path) -> Path:
    for name in ("picture.png", "notes.doc", "song.mp3"):
        written(folder, f"mixed/{name}", "not read")
    written(folder, "mixed/a.txt", "A text that is read.")
    written(folder, "mixed/b.jsonl", '{"text": "good"}\n{"text"\n')
    return folder / "mixed"


def test_what_was_left_out_is_a_card_and_one_click_away(driver: Driver, tmp_path: Path) -> None:
    project = projects.new_project(tmp_path / "p", "nano", "en")
    sources.add_files(project, mixed(tmp_path), Job())
    sources.add_files(project, written(tmp_path, "whole.txt", "All of it is read."), Job())
    driver.open(project)
    page = driver.page("data")
    assert page.sources.current() == "mixed"
    assert page.account.isVisible()
    assert page.account.summary.text() == "3 of 5 files left out · 1 record left out"
    driver.click(page.account.show_list)
    text = driver.dialog(NotesDialog).text.toPlainText()
    assert all(name in text for name in ("picture.png", "notes.doc", "song.mp3", "b.jsonl, line 2"))
    driver.dialog(NotesDialog).accept()
    page.sources.table.selectRow(1)
    assert page.sources.current() == "whole"
    assert not page.account.isVisible()


def test_a_look_before_adding_names_what_will_be_left_out(driver: Driver, tmp_path: Path) -> None:
    driver.open(projects.new_project(tmp_path / "p", "nano", "en"))
    page = driver.page("data")
    data = mime([mixed(tmp_path)])
    drag(page, data)
    page.own_files.take([tmp_path / "mixed"])
    driver.settle()
    dialog = driver.dialog(AddTextsDialog)
    assert "3 files left out: of a kind that isn’t read (notes.doc, picture.png, song.mp3)" in dialog.problem.text()
    dialog.reject()


def test_an_encoding_that_was_guessed_can_be_changed_in_the_preview(driver: Driver, tmp_path: Path) -> None:
    driver.open(projects.new_project(tmp_path / "p", "nano", "en"))
    page = driver.page("data")
    text = "Kartą gyveno senelė"
    path = written(tmp_path, "a.csv", f"id,text\n1,{text}\n2,{text}\n".encode("cp1257"))
    page.own_files.take([path])
    driver.settle()
    dialog = driver.dialog(AddTextsDialog)
    assert dialog.encoding.isVisible() and text not in dialog.preview.toPlainText()
    dialog.encoding.setCurrentIndex(dialog.encoding.findData("cp1257"))
    dialog.encoding.activated.emit(dialog.encoding.currentIndex())
    driver.settle()
    assert text in dialog.preview.toPlainText()
    assert dialog.encoding.isVisible() and dialog.encoding.currentData() == "cp1257"
    driver.click(dialog.add)
    driver.settle()
    driver.qtbot.waitUntil(lambda: page.preview.text.toPlainText() == text)


TALK = [("Zoé", "Tu viens demain ?"), ("Max", "Oui !")]


@pytest.mark.parametrize(("name", "content", "left_out"), [
    ("chat.txt", WHATSAPP, True), ("result.json", telegram(TALK), False), ("result.json", discord(TALK), False),
], ids=["whatsapp", "telegram", "discord"])  # fmt: skip
def test_a_personal_chat_is_shown_before_it_is_taken_and_its_names_replaced_in_one_click(
    driver: Driver, tmp_path: Path, name: str, content: str, left_out: bool
) -> None:
    driver.open(projects.new_project(tmp_path / "p", "nano", "en"))
    page = driver.page("data")
    page.own_files.take([written(tmp_path, name, content)])
    driver.settle()
    dialog = driver.dialog(AddTextsDialog)
    assert dialog.reading.isVisible() and dialog.reading.currentData() == "text"
    assert "Max" in dialog.preview.toPlainText()
    dialog.reading.setCurrentIndex(dialog.reading.findData("conversations"))
    dialog.reading.activated.emit(0)
    driver.settle()
    assert dialog.preview.toPlainText().startswith("<|user|>Tu viens demain ?<|assistant|>Oui !")
    assert "Max" not in dialog.preview.toPlainText()
    driver.click(dialog.add)
    driver.settle()
    assert cell(page, 0, 4) == "Ready · conversations"
    assert page.account.isVisible() == left_out


def test_an_encoding_can_be_chosen_for_plain_texts_among_the_options(driver: Driver, tmp_path: Path) -> None:
    driver.open(projects.new_project(tmp_path / "p", "nano", "en"))
    page = driver.page("data")
    options = page.cards.options
    options.code.setCurrentIndex(options.code.findData("cp1257"))
    page.own_files.take([written(tmp_path, "a.txt", "Kartą gyveno senelė".encode("cp1257"))])
    driver.settle()
    driver.qtbot.waitUntil(lambda: page.preview.text.toPlainText() == "Kartą gyveno senelė")

"""Datasets of the hub in the window: found, looked at, downloaded, stopped and gone on with; a look at own files."""

import os
from pathlib import Path

import pytest

from llm_studio.ui.dialogs.add_texts import AddTextsDialog
from llm_studio.ui.dialogs.hub import HubDialog
from llm_studio.ui.dialogs.notes import NotesDialog
from llm_studio.workflows import projects
from tests.hub import shards
from tests.hub.conftest import hub as hub
from tests.hub.server import Hub
from tests.ui.driver import Driver
from tests.ui.test_data_tab import drop, names, toast


@pytest.fixture
def fresh(driver: Driver, tmp_path: Path) -> Driver:
    """The window with a new, empty project."""
    driver.open(projects.new_project(tmp_path / "fresh", "nano", "en"))
    return driver


def opened(driver: Driver) -> HubDialog:
    driver.page("data")
    driver.click("Search for datasets")
    return driver.dialog(HubDialog)


def found(driver: Driver, dialog: HubDialog, words: str) -> list[str]:
    """Type words as a user does, and what is listed then."""
    driver.qtbot.keyClicks(dialog.words, words)
    driver.qtbot.waitUntil(lambda: dialog.results.rows.rowCount() > 0, timeout=20_000)
    driver.settle()
    rows = dialog.results.rows
    return [rows.data(rows.index(row, 0)) for row in range(rows.rowCount())]


def test_a_data_set_is_found_looked_at_and_a_part_of_it_downloaded(fresh: Driver, hub: Hub) -> None:
    hub.add("me/tales", shards.tales())
    hub.add("me/poems", {"train.parquet": shards.parquet(shards.stories(0, 50)), "README.md": shards.readme()})
    dialog = opened(fresh)
    assert dialog.catalogue.rows.rowCount() > 14
    assert found(fresh, dialog, "tale") == ["me/tales"]
    dialog.results.selectRow(0)
    fresh.settle()
    choice = dialog.choice
    assert choice.field.currentText() == "text"
    assert [choice.split.itemText(n) for n in range(choice.split.count())] == ["train", "test"]
    assert "Story 0: once upon a time" in choice.preview.toPlainText()
    assert "mit" in choice.facts.text()
    choice.documents.setValue(350)
    fresh.click("Download", dialog)
    fresh.settle()
    page = fresh.page("data")
    assert names(page) == ["tales"]
    assert page.overview.sources[0].documents == 350
    assert page.sources.resume.text() == "More"
    fresh.click(page.sources.resume)
    fresh.settle()
    assert page.overview.sources[0].documents == 700


def test_the_column_can_be_changed_and_the_preview_follows(fresh: Driver, hub: Hub) -> None:
    hub.add("me/tales", shards.tales())
    dialog = opened(fresh)
    found(fresh, dialog, "tales")
    dialog.results.selectRow(0)
    fresh.settle()
    dialog.choice.field.setCurrentText("id")
    dialog.choice.field.activated.emit(dialog.choice.field.currentIndex())
    assert dialog.choice.preview.toPlainText().startswith("0" * 20)


def test_a_download_that_is_stopped_keeps_what_came_and_goes_on(fresh: Driver, hub: Hub) -> None:
    tales = [os.urandom(10_000).hex() for _ in range(60)]
    hub.add("me/tales", {"train.parquet": shards.parquet(tales, 5), "README.md": shards.readme()})
    hub.faults.stall_after = 400_000
    page = fresh.page("data")
    page.downloads.begin({"name": "hf:me/tales", "max_documents": 50})
    fresh.running("data/add")
    fresh.qtbot.waitUntil(lambda: bool(list(page.project.raw.rglob("0*.parquet"))), timeout=20_000)
    page.sources.stop_requested.emit()
    fresh.settle()
    hub.faults.stall_after = None
    kept = page.overview.sources[0].documents
    assert 0 < kept < 50 and "can be resumed" in toast(fresh)
    assert page.sources.resume.text() == "Continue"
    fresh.click(page.sources.resume)
    fresh.settle()
    assert page.overview.sources[0].documents == 50, "as many as were asked for, and no more"
    assert page.sources.resume.text() == "More"


def test_without_a_network_the_dialog_says_so(fresh: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    dialog = opened(fresh)
    fresh.qtbot.keyClicks(dialog.words, "tales")
    fresh.qtbot.waitUntil(lambda: "reached" in dialog.state.text() or "offline" in dialog.state.text(), timeout=20_000)
    fresh.settle()
    dialog.reject()


def test_a_table_is_looked_at_and_another_column_taken(fresh: Driver, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [f"{n},A title {n},Once upon a time there was a story number {n}." for n in range(80)]
    table.write_text("\n".join(["id,title,story", *rows]), encoding="cp1252")
    page = fresh.page("data")
    page.own_files.take([table])
    dialog = fresh.dialog(AddTextsDialog)
    fresh.settle()
    assert dialog.field.currentText() == "story"
    assert "story number 0" in dialog.preview.toPlainText()
    dialog.field.setCurrentText("title")
    dialog.field.activated.emit(dialog.field.currentIndex())
    fresh.settle()
    assert dialog.preview.toPlainText().startswith("A title 0")
    fresh.click("Add", dialog)
    fresh.settle()
    assert page.overview.sources[0].documents == 80
    assert page.overview.sources[0].characters == sum(len(f"A title {n}") for n in range(80))


def test_what_was_left_out_of_a_folder_can_be_read(fresh: Driver, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "good.txt").write_text("A good text that is long enough to stay.", encoding="utf-8")
    (folder / "bad.txt").write_bytes(b"\x00\x01\x02")
    (folder / "bad.docx").write_bytes(b"PK\x03\x04 no archive")
    page = fresh.page("data")
    drop(fresh, page, [folder])
    assert names(page) == ["mixed"]
    fresh.click(page.sources.notes)
    text = fresh.dialog(NotesDialog).text.toPlainText()
    assert "bad.txt" in text and "bad.docx" in text

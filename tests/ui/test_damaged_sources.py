"""A damaged source in the window: the rest of the project is shown, and it can be made again, replaced or removed."""

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QLabel

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data import sources
from llm_studio.workflows.generation import chats
from llm_studio.workflows.training.train import train
from tests.test_damaged_sources import STORIES, TEXTS, truncated, with_a_torn_manifest
from tests.training.test_resume import StopAt
from tests.ui.driver import Driver
from tests.ui.test_data_tab import cell, names, toast


def two_sources(project: Project, folder: Path) -> None:
    (folder / "mine.txt").write_text(TEXTS)
    sources.add_files(project, folder / "mine.txt", Job(), separator="blank")


def test_the_project_is_shown_with_its_damaged_source_and_can_be_resumed(
    driver: Driver, project: Project, tmp_path: Path
) -> None:
    train(project, StopAt(10).job, run="a")
    two_sources(project, tmp_path)
    truncated(project.raw / f"{STORIES}.parquet")
    driver.open(project)
    assert not driver.summary
    page = driver.page("data")
    assert names(page) == ["mine", "Built-in stories (English)"]
    assert [cell(page, row, 4) for row in range(2)] == ["Ready", "Damaged"]
    assert [cell(page, row, 3) for row in range(2)] == ["100\u00a0%", "–"]
    assert page.preview.isVisible() and page.preview.text.toPlainText().startswith("My text")  # of the whole one
    assert page.damage.isVisible() and page.damage.again.isVisible()
    assert not page.prepare.isEnabled() and page.prepare.property("role") != "primary"
    training = driver.page("training")
    assert training.offer.offer is not None and training.offer.offer.run == "a"
    driver.click("Resume", training)
    driver.settle()
    assert not driver.summary


def test_one_click_makes_it_again(driver: Driver, project: Project) -> None:
    truncated(project.raw / f"{STORIES}.parquet")
    driver.open(project)
    page = driver.page("data")
    assert page.damage.isVisible() and not page.sources.empty.isVisible()
    driver.click(page.damage.again)
    driver.settle()
    assert not page.damage.isVisible() and cell(page, 0, 4) == "Ready" and "300 documents" in toast(driver)
    assert page.prepare.isEnabled() and page.prepare.property("role") == "primary"
    assert driver.session.overview is not None and driver.session.overview.steps.tokens.value == "ready"


def test_the_path_that_is_read_again_is_shown_before(driver: Driver, project: Project, tmp_path: Path) -> None:
    two_sources(project, tmp_path)
    truncated(project.raw / "mine.parquet")
    driver.open(project)
    shown = [label.text() for label in driver.page("data").damage.findChildren(QLabel) if label.isVisible()]
    assert any(str(tmp_path / "mine.txt") in text for text in shown)


def test_one_of_unknown_origin_is_replaced_by_a_file_or_removed(
    driver: Driver, project: Project, tmp_path: Path
) -> None:
    two_sources(project, tmp_path)
    with_a_torn_manifest(project.raw / "mine.parquet")
    driver.open(project)
    page = driver.page("data")
    assert page.sources.current() == STORIES and page.preview.isVisible()
    page.sources.table.selectRow(0)
    assert page.sources.current() == "mine" and not page.preview.isVisible()
    assert not page.damage.again.isVisible() and page.damage.replace.property("role") == "primary"
    driver.click(page.damage.replace)
    chooser = next(d for d in driver.window.findChildren(QFileDialog) if d.isVisible())
    (tmp_path / "new.txt").write_text("A new text.")
    chooser.filesSelected.emit([str(tmp_path / "new.txt")])
    chooser.reject()
    driver.settle()
    assert names(page) == ["mine", "Built-in stories (English)"] and not page.damage.isVisible()
    assert page.preview.text.toPlainText() == "A new text."
    truncated(project.raw / "mine.parquet")
    driver.session.refresh()
    driver.settle()
    driver.click(page.damage.remove)
    driver.settle()
    assert names(page) == ["Built-in stories (English)"] and "“mine” removed" in toast(driver)


def test_the_tokenizer_tab_leads_to_the_sources(driver: Driver, project: Project, tmp_path: Path) -> None:
    two_sources(project, tmp_path)  # the tokens are out of date now
    truncated(project.raw / "mine.parquet")
    driver.open(project)
    page = driver.page("tokenizer")
    assert not page.train.isEnabled() and "“mine” is damaged" in page.note.said.text()
    driver.click("Go to the sources →", page)
    assert driver.window.pages["data"].isVisible()
    offer = driver.page("training").offer.offer
    assert offer is not None and offer.tab == "data" and "“mine” is damaged" in offer.text


def test_a_damaged_chat_is_reported_once(driver: Driver, project: Project) -> None:
    chats.write(project, chats.new().followed_by(chats.Turn("Once")))
    (project.root / "chats" / "chat-20300101-000000-000000.json").write_text('{"version": 1, "tur')
    said: list[str] = []
    page = driver.window.pages["generation"]
    page.context.toast_requested.connect(lambda toast: said.append(toast.text))
    driver.open(project)
    driver.session.refresh()
    driver.settle()
    assert [text for text in said if "chats/chat-20300101-000000-000000.json is damaged" in text] == said[:1] and said
    assert driver.page("generation").talk.chat.turns[0].prompt == "Once"

"""What cleaning does, what the texts are made of, and the weights, in the window."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from llm_studio.jobs import Job
from llm_studio.ui import theme
from llm_studio.ui.dialogs.cleaning import CleaningDialog
from llm_studio.ui.dialogs.statistics import StatisticsDialog
from llm_studio.ui.widgets.changes import Change, Changes
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from tests.ui.driver import LONG, Driver


@pytest.fixture
def mixed(driver: Driver, tmp_path: Path) -> Driver:
    """A project with stories and with pages full of what a model should not learn."""
    project = projects.new_project(tmp_path / "mixed", "nano", "en")
    sources.add_stories(project, "en", 200, Job())
    pages = tmp_path / "pages"
    pages.mkdir()
    for n in range(12):
        (pages / f"{n}.txt").write_text(
            f"<p>The fox number {n} went   home &amp; slept. It was a long and quiet night.</p>\n", encoding="utf-8"
        )
    (pages / "again.txt").write_text((pages / "3.txt").read_text(encoding="utf-8"), encoding="utf-8")
    sources.add_files(project, pages, Job())
    driver.open(project)
    return driver


def cell(dialog: CleaningDialog, rule: str, column: int) -> str:
    rows = dialog.table.rows
    names = [rows.data(rows.index(row, 0)) for row in range(rows.rowCount())]
    return str(rows.data(rows.index(names.index(rule), column)))


def test_each_rule_tells_what_it_would_do_before_it_is_switched_on(mixed: Driver) -> None:
    page = mixed.page("data")
    mixed.click("What each rule does…")
    dialog = mixed.dialog(CleaningDialog)
    mixed.settle()
    assert (cell(dialog, "Remove leftover HTML", 1), cell(dialog, "Remove leftover HTML", 2)) == ("–", "13")
    assert cell(dialog, "Remove exact duplicates", 2) == "1"
    names = [dialog.table.rows.data(dialog.table.rows.index(row, 0)) for row in range(dialog.table.rows.rowCount())]
    dialog.table.selectRow(names.index("Remove leftover HTML"))
    assert "<p>The fox number" in dialog.examples.toPlainText()
    mixed.click("Switch on", dialog)
    mixed.settle()
    assert page.project.settings().data.remove_html
    assert cell(dialog, "Remove leftover HTML", 1) == "✓"
    mixed.click("Switch off", dialog)
    mixed.settle()
    assert not page.project.settings().data.remove_html


def test_below_a_rule_stands_what_it_does_and_a_click_shows_examples(mixed: Driver) -> None:
    page = mixed.page("data")
    rules = page.cleaning.rules
    mixed.settle()
    html, short = rules._effects["remove_html"], rules._effects["min_characters"]
    assert html.text() == "would change 13 documents" and html.isVisible()
    assert not short.isVisible(), "a rule that does nothing says nothing"
    mixed.click(html)
    dialog = mixed.dialog(CleaningDialog)
    mixed.settle()
    assert dialog.heading.text() == "Remove leftover HTML" and "<p>" in dialog.examples.toPlainText()
    dialog.accept()
    rules._parts["remove_html"].click()
    mixed.qtbot.waitUntil(lambda: html.text() == "changes 13 documents" and html.isEnabled(), timeout=LONG)
    assert page.project.settings().data.remove_html
    mixed.settle()
    rules.least.setValue(10_000)
    mixed.qtbot.waitUntil(lambda: short.text().startswith("removes 2") and short.isEnabled(), timeout=LONG)


def test_what_goes_and_what_comes_is_tinted(qtbot: QtBot, qapp: QApplication) -> None:
    del qapp
    parent = QWidget()
    qtbot.addWidget(parent)
    shown = Changes(parent, "Examples")
    shown.show_changes("", [Change("pages", "<p>The 🦊 fox &amp; home", "The 🦊 fox & home")])
    tinted = _tinted(shown)
    assert tinted[theme.color("token_4").name()] == "<p>amp;"
    assert theme.color("token_3").name() not in tinted, "nothing comes in"


def test_a_beginning_that_goes_is_tinted_as_a_whole(qtbot: QtBot, qapp: QApplication) -> None:
    del qapp
    parent = QWidget()
    qtbot.addWidget(parent)
    shown = Changes(parent, "Examples")
    head = "The Project Gutenberg eBook of The Fox. This ebook is for the use of anyone anywhere."
    shown.show_changes("", [Change("fox", head, "The fox lived at the edge of the wood, and every evening it came.")])
    tinted = _tinted(shown)
    assert tinted[theme.color("token_4").name()] == head
    assert theme.color("token_3").name() not in tinted


def _tinted(shown: Changes) -> dict[str, str]:
    """The text on each colour."""
    tinted = {"": ""}
    cursor = QTextCursor(shown.document())
    while cursor.movePosition(QTextCursor.MoveOperation.NextCharacter, QTextCursor.MoveMode.KeepAnchor):
        brush = cursor.charFormat().background()
        name = brush.color().name() if brush.style() != Qt.BrushStyle.NoBrush else ""
        tinted[name] = tinted.get(name, "") + cursor.selectedText()
        cursor.clearSelection()
    return tinted


def test_a_switch_in_the_card_is_written_and_shown_again(mixed: Driver) -> None:
    page = mixed.page("data")
    rules = page.cleaning.rules
    mixed.click(rules.more)
    assert rules.languages.isVisible()
    rules.languages.setText("en, fr")
    rules.languages.editingFinished.emit()
    mixed.settle()
    assert list(page.project.settings().data.languages) == ["en", "fr"]
    rules.languages.setText("klingon")
    rules.languages.editingFinished.emit()
    mixed.settle()
    assert list(page.project.settings().data.languages) == ["en", "fr"]
    assert mixed.summary, "an unknown language is told"


def test_a_weight_changes_the_share_in_training(mixed: Driver) -> None:
    page = mixed.page("data")
    table = page.sources.table
    names = [table.rows.data(table.rows.index(row, 0)) for row in range(2)]
    table.selectRow(names.index("Built-in stories (English)"))
    page.sources.weighing.weight.setValue(0)
    mixed.settle()
    assert page.project.settings().data.weights == {"stories-en": 0}
    assert [table.rows.data(table.rows.index(row, 3)) for row in range(2)] == ["100\u00a0%", "0\u00a0%"]
    mixed.click("Statistics…")
    dialog = mixed.dialog(StatisticsDialog)
    assert dialog.which.currentText() == dialog.lengths.text() == "counting…"
    assert dialog.counting.isVisible() and dialog.counting.text() == "Counting the words…"
    assert not dialog.words.isVisible(), "no empty box meanwhile"
    mixed.settle()
    assert dialog.which.currentText() == "all sources"
    rows = dialog.mixture.rows
    assert {rows.data(rows.index(row, 0)): rows.data(rows.index(row, 3)) for row in range(2)} == {
        "pages": "100.0\u00a0%", "Built-in stories (English)": "0.0\u00a0%",
    }  # fmt: skip
    assert dialog.words.isVisible() and not dialog.counting.isVisible()
    assert dialog.words.rows.rowCount() > 30
    dialog.which.setCurrentIndex(dialog.which.findData("pages"))
    assert dialog.words.rows.data(dialog.words.rows.index(0, 1)) != ""

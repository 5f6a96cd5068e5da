"""The Data tab, driven as a user does: add, drop, read, search, clean, remove and undo."""

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QToolButton, QWidget

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.ui.dialogs.add_texts import AddTextsDialog
from llm_studio.ui.widgets.toast import ToastBar
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from tests.ui.driver import LONG, Driver

COPY = Qt.DropAction.CopyAction
LEFT, NO_KEYS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def fresh(driver: Driver, tmp_path: Path) -> Driver:
    """The window with a new, empty project."""
    driver.open(projects.new_project(tmp_path / "fresh", "nano", "en"))
    return driver


def files(folder: Path, **contents: str) -> list[Path]:
    paths = [folder / f"{name}.txt" for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_text(content, encoding="utf-8")
    return paths


def mime(paths: list[Path]) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def drag(page: QWidget, data: QMimeData) -> QDragEnterEvent:
    event = QDragEnterEvent(QPoint(50, 50), COPY, data, LEFT, NO_KEYS)
    QApplication.sendEvent(page, event)
    return event


def drop(driver: Driver, page: QWidget, paths: list[Path]) -> None:
    data = mime(paths)
    drag(page, data)
    QApplication.sendEvent(page, QDropEvent(QPointF(50, 50), COPY, data, LEFT, NO_KEYS))
    confirm(driver)


STORIES = "Built-in stories (English)"


def confirm(driver: Driver) -> None:
    """Press "Add" where a look at the files comes first."""
    driver.settle()
    for dialog in driver.window.findChildren(AddTextsDialog):
        if dialog.isVisible():
            driver.click("Add", dialog)
            driver.settle()


def toast(driver: Driver) -> str:
    return next(bar.accessibleName() for bar in driver.window.findChildren(ToastBar) if bar.isVisible())


def names(page: Any) -> list[str]:
    rows = page.sources.table.rows
    return [rows.data(rows.index(row, 0)) for row in range(rows.rowCount())]


def cell(page: Any, row: int, column: int) -> str:
    return page.sources.table.rows.data(page.sources.table.rows.index(row, column))


def test_an_empty_project_says_what_to_do_and_one_click_does_it(fresh: Driver) -> None:
    page = fresh.page("data")
    assert page.sources.empty.isVisible()
    assert not page.preview.isVisible()
    assert not page.hint.isVisible()
    page.cards.count.setValue(40)
    page.cards.language.setCurrentIndex(page.cards.language.findData("fr"))
    fresh.click(page.cards.add)
    fresh.settle()
    assert names(page) == ["Built-in stories (French)"]
    assert cell(page, 0, 1) == "40"
    assert cell(page, 0, 4) == "Ready"
    assert page.preview.text.toPlainText()
    assert page.hint.isVisible()
    assert "40 documents" in toast(fresh)
    fresh.click("Continue to Tokenizer")
    assert fresh.window.pages["tokenizer"].isVisible()


def test_files_and_folders_dropped_anywhere_are_added_in_one_job(fresh: Driver, tmp_path: Path) -> None:
    page = fresh.page("data")
    first, second = files(tmp_path, first="A first text.", second="A second, longer text.")
    folder = tmp_path / "more"
    folder.mkdir()
    files(folder, third="A third text.", fourth="A fourth text.")
    started: list[str] = []
    fresh.session.started.connect(lambda task: started.append(task.key))
    assert drag(page, mime([first])).isAccepted()
    assert page.drop_zone.veil.isVisible()
    QApplication.sendEvent(page, QDragLeaveEvent())
    assert not page.drop_zone.veil.isVisible()
    drop(fresh, page, [first, second, folder])
    assert not page.drop_zone.veil.isVisible()
    assert names(page) == ["first", "more", "second"]
    assert started.count("data/add") == 1
    assert page.sources.current() == "first"
    assert page.preview.text.toPlainText() == "A first text."


def test_what_is_no_file_of_this_computer_is_not_taken(fresh: Driver) -> None:
    page = fresh.page("data")
    words, far = QMimeData(), QMimeData()
    words.setText("some words")
    far.setUrls([QUrl("https://example.org/text.txt")])
    for data in (words, far):
        assert not drag(page, data).isAccepted()
        assert not page.drop_zone.veil.isVisible()
    assert all(not part.acceptDrops() for part in (page.preview.words, page.cards.count, page.cards.options.field))


def test_files_are_chosen_in_a_dialog_with_their_options(fresh: Driver, tmp_path: Path) -> None:
    page = fresh.page("data")
    path = files(tmp_path, verses="one\n***\ntwo\n***\nthree")[0]
    fresh.click(page.cards.more)
    assert page.cards.options.isVisible()
    page.cards.options.between.setCurrentIndex(3)
    page.cards.options.mark.setText("***")
    fresh.click("+ Add texts")
    chooser = fresh.dialog(QFileDialog)
    chooser.selectFile(str(path))
    chooser.filesSelected.emit([str(path)])
    chooser.reject()
    fresh.settle()
    assert cell(page, 0, 1) == "3"
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"body": "first"}\n{"body": "second"}\n', encoding="utf-8")
    page.cards.options.field.setText("body")
    drop(fresh, page, [lines])
    assert names(page) == ["lines", "verses"]
    fresh.qtbot.waitUntil(lambda: page.preview.text.toPlainText() == "first")


def test_a_source_being_added_is_a_row_with_its_progress_and_can_be_stopped(fresh: Driver) -> None:
    page = fresh.page("data")
    page.cards.count.setValue(1_000_000)
    fresh.click(page.cards.add)
    fresh.qtbot.waitUntil(lambda: page.sources._progress is not None, timeout=LONG)
    assert names(page) == ["Adding the built-in stories"]
    assert not page.add.isEnabled()
    assert not page.sources.remove.isEnabled()
    drop_now = mime([Path("/somewhere.txt")])
    drag(page, drop_now)
    assert "Wait" in page.drop_zone.veil.accessibleName()
    QApplication.sendEvent(page, QDragLeaveEvent())
    fresh.click(fresh.button("Stop adding", page))
    fresh.settle()
    assert names(page) == []
    assert page.sources.empty.isVisible()
    assert page.add.isEnabled()
    assert not fresh.summary


def test_a_page_made_again_while_texts_are_added_shows_it(fresh: Driver) -> None:
    page = fresh.page("data")
    page.cards.count.setValue(1_000_000)
    fresh.click(page.cards.add)
    fresh.running("data/add")
    with fresh.qtbot.waitSignal(fresh.window.pages_made, timeout=LONG):
        fresh.window.choose_language("fr")
    page = fresh.page("data")
    assert len(names(page)) == 1
    assert not page.add.isEnabled()
    fresh.session.stop("data/add")
    fresh.settle()
    assert page.add.isEnabled()


@pytest.mark.parametrize(
    ("content", "said"), [(b"\0\1" * 50, "is not a text file"), (b"", "is empty"), (b"%PDF-1.7", "PDF")]
)
def test_a_file_that_holds_no_text_is_refused_in_one_sentence(
    fresh: Driver, tmp_path: Path, content: bytes, said: str
) -> None:
    page = fresh.page("data")
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    drop(fresh, page, [path])
    assert len(fresh.summary) == 1
    assert said in str(fresh.summary[0]) or said == "is empty"
    assert str(path) in fresh.problem().what.text()
    assert page.sources.empty.isVisible()
    assert page.add.isEnabled()


def test_a_folder_that_cant_be_written_to_is_reported(fresh: Driver, tmp_path: Path) -> None:
    page = fresh.page("data")
    raw = fresh.session.project.raw  # type: ignore[union-attr]
    raw.rmdir()
    raw.write_text("a file where the folder belongs", encoding="utf-8")
    drop(fresh, page, files(tmp_path, a="A text."))
    assert str(raw) in fresh.problem().what.text()
    assert len(fresh.summary) == 1
    assert page.add.isEnabled()


def test_a_guessed_encoding_is_reported_in_the_row(fresh: Driver, tmp_path: Path) -> None:
    page = fresh.page("data")
    path = tmp_path / "old.txt"
    path.write_bytes("Déjà vu, très élégant, à côté de la forêt.".encode("cp1252"))
    drop(fresh, page, [path])
    assert cell(page, 0, 4) == "Ready · 1 warning"
    rows = page.sources.table.rows
    assert rows.data(rows.index(0, 4), Qt.ItemDataRole.ToolTipRole) == "old.txt was read as Windows-1252."


def test_a_removed_source_comes_back_by_undo(opened: Driver, tmp_path: Path) -> None:
    page = opened.page("data")
    drop(opened, page, files(tmp_path, mine="My own text."))
    assert names(page) == ["mine", STORIES]
    page.sources.table.setFocus()
    opened.qtbot.keyClick(page.sources.table, Qt.Key.Key_Delete)
    opened.settle()
    assert names(page) == [STORIES]
    assert "“mine” removed." in toast(opened)
    opened.click("Undo")
    opened.settle()
    assert names(page) == ["mine", STORIES]
    assert page.preview.text.toPlainText() == "My own text."
    opened.click(page.sources.remove)
    opened.settle()
    assert names(page) == [STORIES]
    assert not opened.summary


@pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing)", extend=True)
def test_the_menu_of_a_row_removes_it(opened: Driver) -> None:
    page = opened.page("data")
    table = page.sources.table
    place = table.visualRect(table.rows.index(0, 0)).center()
    table.customContextMenuRequested.emit(place)
    menu = next(m for m in page.sources.findChildren(QMenu) if m.isVisible())
    next(action for action in menu.actions() if action.text() == "Remove").trigger()
    menu.close()
    opened.settle()
    assert page.sources.empty.isVisible()
    assert not page.hint.isVisible()


def test_any_document_is_read_by_its_number(opened: Driver) -> None:
    page = opened.page("data")
    preview = page.preview
    first = preview.text.toPlainText()
    assert "300" in preview.of.text()
    assert not preview.previous.isEnabled()
    opened.click(preview.next)
    opened.settle()
    second = preview.text.toPlainText()
    assert second != first
    opened.click(preview.previous)
    opened.settle()
    assert preview.text.toPlainText() == first
    preview.number.selectAll()
    opened.qtbot.keyClicks(preview.number, "300")
    opened.qtbot.keyClick(preview.number, Qt.Key.Key_Return)
    opened.settle()
    assert not preview.next.isEnabled()
    assert preview.text.toPlainText() not in (first, second)
    shown = preview.text.toPlainText()
    opened.session.refresh()  # as when the window comes to the front again
    opened.settle()
    assert preview.number.value() == 300
    assert preview.text.toPlainText() == shown


def test_a_search_marks_goes_on_wraps_and_says_when_there_is_nothing(fresh: Driver, tmp_path: Path) -> None:
    page = fresh.page("data")
    path = files(tmp_path, beasts="a 🦊 Fox and a fox\n\na hen\n\nthe fox\n\na bear")[0]
    page.cards.options.between.setCurrentIndex(1)
    drop(fresh, page, [path])
    preview = page.preview
    preview.words.setFocus()
    fresh.qtbot.keyClicks(preview.words, "fox")
    fresh.qtbot.keyClick(preview.words, Qt.Key.Key_Return)
    fresh.settle()
    assert preview.number.value() == 1
    marked = [s.cursor.selectedText() for s in preview.text.extraSelections()]
    assert marked == ["Fox", "fox"]
    fresh.click(preview.find_next)
    fresh.settle()
    assert preview.number.value() == 3
    fresh.click(preview.find_next)
    fresh.settle()
    assert preview.number.value() == 1
    assert "from the beginning" in preview.result.text()
    preview.words.setText("wolf")
    fresh.click(preview.find_next)
    fresh.settle()
    assert "No document contains “wolf”" in preview.result.text()
    assert not preview.text.extraSelections()
    assert not preview.bar.isVisible()


def test_of_a_very_long_document_the_beginning_is_shown_and_said(fresh: Driver, tmp_path: Path) -> None:
    page = fresh.page("data")
    drop(fresh, page, files(tmp_path, novel="word " * 40_000 + "the treasure" + " word" * 40_000))
    assert len(page.preview.text.toPlainText()) == 20_000
    assert "20,000 characters" in page.preview.note.text()
    page.preview.words.setText("treasure")
    fresh.click(page.preview.find_next)
    fresh.settle()
    assert "the treasure" in page.preview.text.toPlainText()
    assert "From character" in page.preview.note.text()


def test_cleaning_says_at_once_what_it_leaves_out(fresh: Driver, tmp_path: Path) -> None:
    page = fresh.page("data")
    stories = [f"Story number {n}, long enough to be kept by the cleaning, I should think." for n in range(30)]
    path = files(tmp_path, tales="\n\n".join([*stories, *stories[:14], "one", "two", "three"]))[0]
    page.cards.options.between.setCurrentIndex(1)
    drop(fresh, page, [path])
    assert page.cleaning.outcome.text() == "Left out: 3 too short, 14 duplicates"
    fresh.click(page.cleaning.rules.duplicates)
    fresh.settle()
    assert page.cleaning.outcome.text() == "Left out: 3 too short"
    page.cleaning.rules.least.setValue(0)
    page.cleaning.rules.share.setValue(12.5)
    fresh.settle()
    assert page.cleaning.outcome.text() == "Nothing is left out."
    settings = fresh.session.project.settings().data  # type: ignore[union-attr]
    assert (settings.remove_duplicates, settings.min_characters, settings.validation_share) == (False, 0, 0.125)
    page.cleaning.rules.least.setValue(5000)
    fresh.settle()
    assert "No document is left" in page.cleaning.outcome.text()
    assert not fresh.summary
    assert page.cleaning.histogram.isVisible()
    assert "47 documents" in page.cleaning.histogram.accessibleDescription()


def test_much_text_is_looked_through_by_a_button_alone(opened: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_studio.workflows.data import browsing

    page = opened.page("data")
    monkeypatch.setattr(browsing, "QUICK", 10)
    page.cleaning.rules.least.setValue(60)
    opened.settle()
    assert page.cleaning.measure.isVisible()
    assert not page.cleaning.outcome.isVisible()
    opened.click(page.cleaning.measure)
    opened.settle()
    assert page.cleaning.outcome.isVisible()
    assert not page.cleaning.measure.isVisible()


def test_settings_that_cant_be_written_go_back_to_what_they_are(opened: Driver) -> None:
    page = opened.page("data")
    project: Project = opened.session.project  # type: ignore[assignment]
    with project.writing("config"):
        page.cleaning.rules.least.setValue(77)
        opened.settle()
    assert len(opened.summary) == 1
    assert page.cleaning.rules.least.value() == 50
    opened.problem().reject()


def test_another_project_leaves_nothing_of_the_one_before(opened: Driver, tmp_path: Path) -> None:
    page = opened.page("data")
    page.preview.words.setText("Once")
    other = projects.new_project(tmp_path / "other", "nano", "fr")
    sources.add_stories(other, "fr", 20, Job())
    opened.open(other)
    assert names(page) == ["Built-in stories (French)"]
    assert page.preview.words.text() == ""
    assert page.cards.language.currentData() == "fr"
    assert "20" in page.preview.of.text()
    opened.window.closing.close_project()
    opened.settle()
    assert names(page) == []


def test_every_control_has_a_name_and_nothing_is_wider_than_a_small_window(opened: Driver) -> None:
    page = opened.page("data")
    page.cards.options.show()
    assert page.minimumSizeHint().width() <= 780
    for part in page.findChildren(QWidget):
        if part.focusPolicy() & Qt.FocusPolicy.TabFocus and part.isVisibleTo(page) and part.objectName() == "":
            named = part.accessibleName() or (hasattr(part, "text") and part.text())
            assert named or isinstance(part, QToolButton) or not part.isEnabled(), part
    assert page.event(QEvent(QEvent.Type.None_)) in (True, False)

"""Every dialog: Enter presses the button that stands out, or the one that has the focus."""

import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QFileInfo, Qt
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QFileIconProvider,
    QInputDialog,
    QLabel,
    QPushButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from llm_studio.errors import DataError, StudioError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.ui import dialogs
from llm_studio.ui.dialogs.about import AboutDialog
from llm_studio.ui.dialogs.add_texts import AddTextsDialog
from llm_studio.ui.dialogs.cleaning import CleaningDialog
from llm_studio.ui.dialogs.compare_runs import CompareRuns
from llm_studio.ui.dialogs.hub import HubDialog
from llm_studio.ui.dialogs.new_project import NewProjectDialog
from llm_studio.ui.dialogs.notes import NotesDialog
from llm_studio.ui.dialogs.open_model import OpenModelDialog
from llm_studio.ui.dialogs.prepare import PrepareDialog
from llm_studio.ui.dialogs.problem import ProblemDialog
from llm_studio.ui.dialogs.settings import SettingsDialog
from llm_studio.ui.dialogs.statistics import StatisticsDialog
from llm_studio.ui.dialogs.whats_new import WhatsNewDialog
from llm_studio.ui.language import set_language
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tabs.training.runs import RunsPanel
from llm_studio.workflows.data import sources
from llm_studio.workflows.training import runs
from llm_studio.workflows.training.train import train
from tests.ui.clipped import clipped

MADE: list[Callable[[QWidget], QDialog]] = [
    AboutDialog,
    lambda parent: AddTextsDialog([Path("a.txt")], parent),
    CleaningDialog,
    lambda parent: CompareRuns([], parent),
    lambda parent: HubDialog([], parent),
    lambda parent: NewProjectDialog(
        Preferences(projects_folder=str(Path(os.devnull) / "projects")), lambda then: then(), parent
    ),
    lambda parent: NotesDialog("Notes", ["one"], parent),
    lambda parent: OpenModelDialog(
        Path("m.zip"), "m", Preferences(projects_folder=str(Path(os.devnull) / "projects")), parent
    ),
    lambda parent: PrepareDialog(30.0, parent),
    lambda parent: ProblemDialog(StudioError("The disk is full.", "Free some space."), parent),
    lambda parent: ProblemDialog(DataError("No texts yet.", "", action="data"), parent),
    lambda parent: ProblemDialog(ZeroDivisionError("division by zero"), parent),
    lambda parent: SettingsDialog(Preferences(), parent),
    StatisticsDialog,
    WhatsNewDialog,
]


@pytest.fixture
def parent(qtbot: QtBot) -> QWidget:
    """A window for dialogs to belong to."""
    made = QWidget()
    qtbot.addWidget(made)
    made.show()
    return made


def shown(make: Callable[[QWidget], QDialog], parent: QWidget) -> QDialog:
    dialog = make(parent)
    dialog.open()
    return dialog


def test_every_dialog_is_among_those_tested_here(parent: QWidget) -> None:
    modules = [
        importlib.import_module(f"{dialogs.__name__}.{found.name}") for found in pkgutil.iter_modules(dialogs.__path__)
    ]
    there = {kind for module in modules for _name, kind in inspect.getmembers(module, inspect.isclass)
             if issubclass(kind, QDialog) and kind.__module__ == module.__name__}  # fmt: skip
    assert there == {type(make(parent)) for make in MADE}


@pytest.mark.parametrize("make", MADE)
def test_enter_presses_the_button_that_stands_out(
    make: Callable[[QWidget], QDialog], parent: QWidget, qtbot: QtBot
) -> None:
    dialog = shown(make, parent)
    primary = next(made for made in dialog.findChildren(QPushButton) if made.property("role") == "primary")
    assert primary.isDefault()
    primary.clicked.disconnect()  # what it does is tested with each dialog
    pressed: list[bool] = []
    primary.clicked.connect(lambda: pressed.append(True))
    primary.setEnabled(True)
    if isinstance(dialog, HubDialog):  # it opens with the focus in the search, where Enter searches
        dialog.catalogue.setFocus()
    qtbot.keyClick(dialog.focusWidget() or dialog, Qt.Key.Key_Return)
    assert pressed


@pytest.mark.parametrize("make", MADE)
def test_enter_presses_another_button_once_the_focus_is_there(
    make: Callable[[QWidget], QDialog], parent: QWidget, qtbot: QtBot
) -> None:
    dialog = shown(make, parent)
    others = [made for made in dialog.findChildren(QPushButton)
              if made.property("role") != "primary" and made.isVisible() and made.isEnabled()]  # fmt: skip
    for other in others:
        other.clicked.disconnect()
        other.setFocus()
        with qtbot.waitSignal(other.clicked, timeout=1000):
            qtbot.keyClick(other, Qt.Key.Key_Return)


@pytest.mark.parametrize("error", [StudioError("The disk is full.", "Free some space."), ZeroDivisionError("x")])
def test_enter_closes_the_dialog_of_an_error(error: BaseException, parent: QWidget, qtbot: QtBot) -> None:
    dialog = shown(lambda window: ProblemDialog(error, window), parent)
    qtbot.keyClick(dialog.focusWidget() or dialog, Qt.Key.Key_Enter)
    assert not dialog.isVisible()


def test_enter_in_the_search_of_datasets_searches_and_downloads_nothing(parent: QWidget, qtbot: QtBot) -> None:
    dialog = HubDialog([], parent)
    dialog.open()
    dialog.choice.download.setEnabled(True)
    searched: list[str] = []
    dialog.search_requested.connect(searched.append)
    qtbot.keyClicks(dialog.words, "tales")
    qtbot.keyClick(dialog.words, Qt.Key.Key_Return)
    assert searched == ["tales"] and dialog.isVisible()


@pytest.fixture(params=["fr", "en"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each language of the window."""
    set_language(request.param)
    yield request.param
    set_language("en")


@pytest.mark.parametrize("make", MADE)
def test_no_text_of_a_dialog_is_cut_off(
    make: Callable[[QWidget], QDialog], language: str, parent: QWidget, qtbot: QtBot
) -> None:
    dialog = shown(make, parent)
    qtbot.waitUntil(lambda: clipped(dialog) == [])


@pytest.mark.parametrize("name", ["full", "file/inside", "a long name " * 12])
def test_a_problem_of_a_new_project_is_read_whole_and_squeezes_no_field(
    name: str, language: str, parent: QWidget, qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "novel.txt").write_text("mine")
    (tmp_path / "file").write_text("not a folder")
    dialog = NewProjectDialog(Preferences(projects_folder=str(tmp_path)), lambda then: then(), parent)
    dialog.open()
    QApplication.processEvents()
    before = dialog.name.height()
    folder, _slash, last = name.rpartition("/")
    dialog.place.setText(str(tmp_path / folder / ("deep/" * 40 if len(last) > 50 else "")))
    dialog.name.setText(last)
    dialog.make.click()
    assert any(text.isVisible() and text.property("role") == "bad" for text in dialog.findChildren(QLabel))
    qtbot.waitUntil(lambda: clipped(dialog) == [])
    assert dialog.name.height() == before == dialog.place.height()


@pytest.mark.parametrize("mode", [QFileDialog.FileMode.Directory, QFileDialog.FileMode.ExistingFiles])
def test_a_dialog_of_qt_says_nothing_in_english_in_french(mode: QFileDialog.FileMode, parent: QWidget) -> None:
    """The texts that Qt shows are those of its source: two of them were missing in its own catalogue."""
    said: dict[str, list[str]] = {}
    for language in ("en", "fr"):
        set_language(language)
        chooser = QFileDialog(parent, "–")
        chooser.setFileMode(mode)
        chooser.show()
        QApplication.processEvents()
        said[language] = [made.text() for kind in (QLabel, QPushButton) for made in chooser.findChildren(kind)]
    set_language("en")
    assert len(said["en"]) == len(said["fr"]) > 4
    assert not set(said["en"]) & set(said["fr"]) - {""}


def test_the_kinds_of_files_are_named_in_french_in_the_dialog_of_qt(tmp_path: Path, application: QApplication) -> None:
    (tmp_path / "novel.epub").write_text("x")
    set_language("fr")
    provider = QFileIconProvider()
    kinds = [provider.type(QFileInfo(str(path))) for path in (tmp_path, tmp_path / "novel.epub")]
    set_language("en")
    assert kinds[0] == "Dossier" and "File" not in kinds[1]


def test_a_mixed_folder_is_shown_with_all_its_kinds_and_encodings(parent: QWidget, tmp_path: Path) -> None:
    for name, content in {
        "a.csv": "text\n" + "One row.\n" * 20,
        "b.txt": "Plain text.",
        "c.html": "<p>A page.</p>",
    }.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "d.txt").write_bytes(("L'été à l'école, déjà fêté. " * 30).encode("cp1252"))
    dialog = AddTextsDialog([tmp_path], parent)
    dialog.open()
    dialog.show_look(tmp_path, sources.look(tmp_path, Job()))
    shown = dialog.preview.toPlainText()
    assert all(text in shown for text in ("a.csv", "One row.", "b.txt", "Plain text.", "c.html", "A page.", "d.txt"))
    facts = dialog.facts.text()
    assert "4 readable files" in facts and "2 .txt" in facts and "Windows-1252 (1)" in facts


@pytest.mark.skipif(sys.platform == "win32", reason="there, links need a privilege")
def test_links_out_of_a_folder_are_read_when_the_user_says_so(parent: QWidget, qtbot: QtBot, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (tmp_path / "private.txt").write_text("A private text.", encoding="utf-8")
    (folder / "link.txt").symlink_to(tmp_path / "private.txt")
    dialog = AddTextsDialog([folder], parent)

    def look(path: Path, _field: str, follow_links: bool) -> None:
        dialog.show_look(path, sources.look(path, Job(), follow_links=follow_links))

    dialog.look_requested.connect(look)
    dialog.open()
    dialog.show_look(folder, sources.look(folder, Job()))
    assert dialog.follow_links.isVisible() and not dialog.follow_links.isChecked()
    assert "link.txt" in dialog.follow_links.toolTip() and "private.txt" in dialog.problem.text()
    assert not dialog.add.isEnabled() and "A private text." not in dialog.preview.toPlainText()
    dialog.follow_links.click()
    assert "A private text." in dialog.preview.toPlainText()
    assert dialog.follow_links.isVisible() and dialog.follow_links.isChecked()
    with qtbot.waitSignal(dialog.add_requested) as requested:
        dialog.add.click()
    assert requested.args == [{}, {folder}]


def test_keeping_on_training_is_requested_with_an_estimate_and_without_stock_icons(
    parent: QWidget, qtbot: QtBot, project: Project
) -> None:
    train(project, Job(), run="run-1")
    run = replace(runs.read(project, "run-1"), step=100, seconds=50.0)
    panel = RunsPanel(parent)
    panel.ask_for_more_steps(run)
    dialog = panel.findChild(QInputDialog)
    assert isinstance(dialog, QInputDialog)
    assert "takes about 50\u00a0s" in dialog.labelText()
    dialog.setIntValue(400)
    assert "takes about 3\u00a0min\u00a020\u00a0s" in dialog.labelText()
    assert all(made.icon().isNull() for made in dialog.findChildren(QPushButton))
    dialog.reject()


@pytest.mark.skipif(sys.platform == "win32", reason="there, names have no <")
def test_a_name_that_looks_like_html_is_shown_as_it_is(parent: QWidget, tmp_path: Path) -> None:
    name = "<img src=x><b>bold<b>.csv"
    (tmp_path / name).write_text("text\nOne row.\n", encoding="utf-8")
    dialog = AddTextsDialog([tmp_path / name, tmp_path], parent)
    dialog.open()
    dialog.show_look(tmp_path / name, sources.look(tmp_path / name, Job()))
    tip = dialog.files.model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    shown = QTextDocument()
    shown.setHtml(tip)
    assert shown.toPlainText() == str(tmp_path / name)

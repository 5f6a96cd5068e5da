"""The dialogs Settings and About, and what keeps the computer awake."""

import threading
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QLabel, QMenu

from llm_studio import __version__, i18n
from llm_studio.ui import theme
from llm_studio.ui.dialogs.about import AboutDialog
from llm_studio.ui.dialogs.settings import SettingsDialog
from llm_studio.ui.dialogs.whats_new import WhatsNewDialog
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tasks import BackgroundJob
from llm_studio.ui.window.keep_awake import Awake
from tests.ui.driver import Driver


@pytest.fixture
def dialog(driver: Driver) -> SettingsDialog:
    driver.window.show_settings()
    return driver.dialog(SettingsDialog)


def choose(combo: object, data: str) -> None:
    """Choose an entry as the keyboard does."""
    index = combo.findData(data)  # type: ignore[attr-defined]
    combo.setCurrentIndex(index)  # type: ignore[attr-defined]
    combo.activated.emit(index)  # type: ignore[attr-defined]


def test_the_dialog_survives_another_language_and_speaks_it(driver: Driver, dialog: SettingsDialog) -> None:
    choose(dialog.language, "fr")
    driver.settle()
    assert i18n.language() == "fr"
    assert Preferences.load().language == "fr"
    assert dialog.isVisible()
    assert dialog.language.currentData() == "fr"
    choose(dialog.language, "en")
    driver.settle()
    assert i18n.language() == "en"
    assert dialog.windowTitle() == "Settings"
    dialog.done_button.click()
    driver.qtbot.waitUntil(lambda: not driver.window.findChildren(SettingsDialog), timeout=5000)


def test_the_language_of_the_system_is_kept_as_such(
    driver: Driver, dialog: SettingsDialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_STUDIO_LANG", "fr")
    choose(dialog.language, "en")
    choose(dialog.language, "")
    driver.settle()
    assert i18n.language() == "fr"
    assert Preferences.load().language == ""
    dialog.accept()


def test_projects_are_not_put_where_onedrive_synchronises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "OneDrive" / "Jérôme"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "OneDrive" / "Jérôme"))
    assert Preferences().folder_for_projects() == tmp_path / "OneDrive" / "Jérôme" / "LLM Studio"
    monkeypatch.setenv("OneDrive", str(tmp_path / "OneDrive"))
    assert not Preferences().folder_for_projects().is_relative_to(tmp_path / "OneDrive")
    assert Preferences(projects_folder="here").folder_for_projects() == Path("here")


def test_the_theme_changes_at_once(driver: Driver, dialog: SettingsDialog) -> None:
    choose(dialog.theme, "dark")
    assert theme.is_dark()
    assert Preferences.load().theme == "dark"
    choose(dialog.theme, "light")
    assert not theme.is_dark()
    dialog.accept()


def test_the_folder_is_checked_and_kept(driver: Driver, dialog: SettingsDialog, tmp_path: Path) -> None:
    dialog.folder.setText(str(tmp_path / "a b é"))
    dialog.folder.editingFinished.emit()
    assert Preferences.load().projects_folder == str(tmp_path / "a b é")
    (tmp_path / "file").write_text("", encoding="utf-8")
    for wrong in (str(tmp_path / "file"), "relative/path"):
        dialog.folder.setText(wrong)
        dialog.folder.editingFinished.emit()
        assert dialog.problem.isVisible()
        assert Preferences.load().projects_folder == str(tmp_path / "a b é")
    driver.click("Browse…", dialog)
    chooser = driver.dialog(QFileDialog)
    chooser.setDirectory(str(tmp_path))
    chooser.selectFile(str(tmp_path))
    chooser.accept()
    assert Preferences.load().projects_folder == str(tmp_path)
    assert not dialog.problem.isVisible()
    dialog.folder.setText("")
    dialog.folder.editingFinished.emit()
    assert Preferences.load().projects_folder == ""
    dialog.accept()


def test_cores_sleep_and_last_project_are_kept(driver: Driver, dialog: SettingsDialog) -> None:
    from llm_studio import device
    from llm_studio.workflows.machine import gauges

    assert dialog.threads.maximum() == gauges.cores() - 1
    dialog.threads.setValue(dialog.threads.maximum())
    before = dialog.awake.isChecked(), dialog.reopen.isChecked()
    dialog.awake.click()
    dialog.reopen.click()
    kept = Preferences.load()
    assert kept.spare_threads == dialog.threads.maximum() == device._spare_cores
    assert (kept.keep_awake, kept.reopen_last) == (not before[0], not before[1])
    device.leave_cores(0)
    dialog.accept()


def test_every_control_of_the_settings_has_a_name(driver: Driver, dialog: SettingsDialog) -> None:
    for field in (dialog.language, dialog.theme, dialog.folder, dialog.threads):
        assert field.accessibleName()
        assert any(title.buddy() is field for title in dialog.findChildren(QLabel))
    dialog.accept()


def test_about_shows_the_licence_of_the_chosen_library(driver: Driver) -> None:
    driver.window.show_about()
    about = driver.dialog(AboutDialog)
    assert "Permission is hereby granted" in about.text.toPlainText()
    names = [library.name for library in about._libraries]
    assert len(names) == about.table.rows.rowCount() > 40
    about.table.selectRow(names.index("numpy"))
    assert "NumPy Developers" in about.text.toPlainText()
    about.table.selectRow(names.index("Qt, PySide6"))
    assert "LGPL" in about.text.toPlainText()
    about.table.selectRow(names.index("MarkupSafe"))
    assert about.heading.text() == "Licence: MarkupSafe"
    assert "Redistribution" in about.text.toPlainText()
    driver.click("Licence of LLM Studio", about)
    assert about.heading.text() == "Licence: LLM Studio"
    about.accept()
    driver.qtbot.waitUntil(lambda: not driver.window.findChildren(AboutDialog), timeout=5000)


@pytest.mark.parametrize("language, item", [("en", "What's new"), ("fr", "Nouveautés")])
def test_the_help_menu_shows_what_is_new_in_the_language_of_the_window(
    driver: Driver, language: str, item: str
) -> None:
    driver.window.choose_language(language)
    driver.settle()
    menus = [action.menu() for action in driver.window.menuBar().actions()]
    helping = menus[-1]
    assert isinstance(helping, QMenu)
    next(action for action in helping.actions() if action.text() == item).trigger()
    shown = driver.dialog(WhatsNewDialog)
    text = shown.browser.toPlainText()
    assert text.startswith(f"{item}\n{__version__}"), "the first section is about this version"
    before = shown.browser.document().defaultStyleSheet()
    driver.window.choose_theme("dark")
    assert shown.browser.document().defaultStyleSheet() != before
    assert shown.browser.toPlainText() == text
    shown.accept()
    driver.qtbot.waitUntil(lambda: not driver.window.findChildren(WhatsNewDialog), timeout=5000)


def test_the_computer_stays_awake_only_while_such_a_job_runs(driver: Driver) -> None:
    awake = Awake(driver.session, driver.window.preferences, driver.window)
    gate = threading.Event()
    driver.session.start(BackgroundJob("test/short", lambda job: None, "Short"))
    driver.settle()
    assert not awake.holds
    driver.session.start(BackgroundJob("test/long", lambda job: gate.wait(20), "Long", keep_awake=True))
    assert awake.holds
    driver.window.preferences.keep_awake = False
    awake.refresh()
    assert not awake.holds
    driver.window.preferences.keep_awake = True
    awake.refresh()
    assert awake.holds
    gate.set()
    driver.settle()
    assert not awake.holds
    assert not awake._timer.isActive()

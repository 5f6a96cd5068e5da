"""The menu bar, with its shortcuts, and the menu of the project's pill."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar

from llm_studio import i18n
from llm_studio.i18n import _
from llm_studio.ui import tabs
from llm_studio.ui.desktop import open_folder
from llm_studio.ui.widgets.basics import as_plain_text
from llm_studio.ui.window.start_page import START

if TYPE_CHECKING:
    from llm_studio.ui.preferences import Preferences
    from llm_studio.ui.window.closing import Closing
    from llm_studio.ui.window.opening import ModelOpener
    from llm_studio.ui.window.session import Session
    from llm_studio.ui.window.shell import Shell


class MenuWindow(Protocol):
    """What the menus need of the main window."""

    session: "Session"
    preferences: "Preferences"
    closing: "Closing"
    models: "ModelOpener"
    shell: "Shell"

    def menuBar(self) -> QMenuBar: ...  # noqa: N802
    def close(self) -> bool: ...
    def go_to(self, name: str) -> None: ...
    def explain(self) -> None: ...
    def do_primary(self) -> None: ...
    def cancel_current(self) -> None: ...
    def stop_current(self) -> None: ...
    def save_checkpoint(self) -> None: ...
    def choose_theme(self, name: str) -> None: ...
    def choose_language(self, code: str) -> None: ...
    def toggle_full_screen(self) -> None: ...
    def show_settings(self) -> None: ...
    def show_changes(self) -> None: ...
    def show_about(self) -> None: ...


def fill_menu_bar(window: MenuWindow) -> None:
    """Create all menus in the current language; the old ones are deleted, which the menu bar doesn't do by itself."""
    bar = window.menuBar()
    before = [action.menu() for action in bar.actions()]
    bar.clear()
    for menu in before:
        if isinstance(menu, QMenu):
            menu.deleteLater()
    _file(window, bar.addMenu(_("&File")))
    _tabs(window, bar.addMenu(_("&Tabs")))
    _run(window, bar.addMenu(_("&Run")))
    _view(window, bar.addMenu(_("&View")))
    _help(window, bar.addMenu(_("&Help")))


def fill_project_menu(window: MenuWindow, menu: QMenu) -> None:
    """Fill the menu of the project's pill: recent projects, and ways to open others."""
    menu.clear()
    here = str(window.session.project.root) if window.session.project else ""
    for path in window.preferences.recent:
        if path != here:
            _add_recent(window, menu, path, Path(path).name).setToolTip(as_plain_text(path))
    menu.addSeparator()
    _add(menu, _("New project…"), window.closing.new_project)
    _add(menu, _("Open…"), window.closing.choose_folder)
    if here:
        _add(menu, _("Open the project's folder"), lambda: open_folder(here))
        _add(menu, _("Close the project"), window.closing.close_project)


def _add(menu: QMenu, text: str, pressed: Callable[[], object], key: str = "") -> QAction:
    action = QAction(text, menu)
    if key:
        action.setShortcut(QKeySequence(key))
    action.triggered.connect(lambda _checked=False: pressed())
    menu.addAction(action)
    return action


def _add_recent(window: MenuWindow, menu: QMenu, path: str, name: str) -> QAction:
    """Add a recent project, disabled if its folder is gone or its drive is disconnected."""
    made = _add(menu, _plain(name), lambda: window.closing.open_folder(path))
    on_network = path.startswith(("\\\\", "//"))  # accessing an unreachable server would block the window
    made.setEnabled(on_network or os.path.isdir(path))  # noqa: PTH112  never raises
    return made


def _plain(name: str) -> str:
    """A name escaped for a menu: "&" would mark the shortcut letter."""
    return name.replace("&", "&&")


def _file(window: MenuWindow, menu: QMenu) -> None:
    _add(menu, _("New project…"), window.closing.new_project, "Ctrl+N")
    _add(menu, _("Open…"), window.closing.choose_folder, "Ctrl+O")
    _add(menu, _("Open a model…"), window.models.choose, "Ctrl+Alt+O")
    recent = menu.addMenu(_("Recent projects"))
    recent.aboutToShow.connect(lambda: _fill_recent(window, recent))
    _add(menu, _("Open the project's folder"), lambda: _open_project_folder(window), "Ctrl+Shift+O")
    _add(menu, _("Close the project"), window.closing.close_project, "Ctrl+W")
    menu.addSeparator()
    _add(menu, _("Settings…"), window.show_settings, "Ctrl+,")
    menu.addSeparator()
    _add(menu, _("Quit"), window.close, "Ctrl+Q")


def _fill_recent(window: MenuWindow, menu: QMenu) -> None:
    menu.clear()
    for path in window.preferences.recent:
        _add_recent(window, menu, path, path)
    if not window.preferences.recent:
        menu.addAction(_("(empty)")).setEnabled(False)


def _open_project_folder(window: MenuWindow) -> None:
    if window.session.project is not None:
        open_folder(window.session.project.root)


def _tabs(window: MenuWindow, menu: QMenu) -> None:
    for number, tab in enumerate(tabs.TABS, start=1):
        _add(menu, _(tab.title), lambda name=tab.name: window.go_to(name), f"Ctrl+{number}" if number < 10 else "")
    menu.addSeparator()
    _add(menu, _("Start page"), lambda: window.go_to(START), "Ctrl+0")


def _run(window: MenuWindow, menu: QMenu) -> None:
    _add(menu, _("Main action of this page"), window.do_primary, "F5")
    _add(menu, _("Cancel what this page is doing"), window.cancel_current, "Esc")
    _add(menu, _("Stop the running job"), window.stop_current)
    _add(menu, _("Save a checkpoint now"), window.save_checkpoint, "Ctrl+S")
    _add(menu, _("Reload project"), window.session.refresh, "Ctrl+R")


def _view(window: MenuWindow, menu: QMenu) -> None:
    themes = QActionGroup(menu)
    for key, text in {"system": _("Follow system"), "light": _("Light"), "dark": _("Dark")}.items():
        action = _add(menu, text, lambda key=key: window.choose_theme(key))
        action.setCheckable(True)
        action.setChecked(window.preferences.theme == key)
        themes.addAction(action)
    menu.addSeparator()
    languages = QActionGroup(menu)
    for code in i18n.LANGUAGES:
        action = _add(menu, i18n.LANGUAGE_NAMES[code], lambda code=code: window.choose_language(code))
        action.setCheckable(True)
        action.setChecked(i18n.language() == code)
        languages.addAction(action)
    menu.addSeparator()
    _add(menu, _("Full screen"), window.toggle_full_screen, "F11")


def _help(window: MenuWindow, menu: QMenu) -> None:
    _add(menu, _("Explain this page"), window.explain, "F1")
    _add(menu, _(tabs.MACHINE.title), window.shell.show_machine_tab)
    menu.addSeparator()
    _add(menu, _("What's new"), window.show_changes)
    _add(menu, _("About LLM Studio"), window.show_about)

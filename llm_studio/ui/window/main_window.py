"""The main window: one session, the shell around it, and the commands of the menus."""

import base64
import contextlib
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QByteArray, QEvent, QLocale, Signal, Slot
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QMainWindow, QPushButton

from llm_studio import i18n
from llm_studio.ui import tabs, theme
from llm_studio.ui.dialogs.problem import Problems
from llm_studio.ui.language import set_language
from llm_studio.ui.page_context import Toast
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tasks import OVERVIEW, TRAINING, Query
from llm_studio.ui.window.closing import Closing
from llm_studio.ui.window.completion_notifier import CompletionNotifier
from llm_studio.ui.window.keep_awake import Awake
from llm_studio.ui.window.menus import fill_menu_bar, fill_project_menu
from llm_studio.ui.window.opening import ModelOpener
from llm_studio.ui.window.preparation import Preparation
from llm_studio.ui.window.session import Session
from llm_studio.ui.window.shell import Shell
from llm_studio.ui.window.start_page import StartPage
from llm_studio.ui.window.taskbar import Taskbar
from llm_studio.ui.window.unsaved import Unsaved

if TYPE_CHECKING:
    from llm_studio.ui.page import Page
    from llm_studio.workflows.overview import Machine, Project

_LOADING, _MACHINE = "loading", "machine"


class MainWindow(QMainWindow):
    """Holds what survives a change of language: the session, the preferences, the dialogs."""

    pages_made = Signal()
    """All tabs have been created, a moment after the start."""

    def __init__(self, preferences: Preferences) -> None:
        super().__init__()
        self.preferences = preferences
        self.session = Session(self)
        self.problems = Problems(self)
        self.unsaved = Unsaved(lambda: self.shell.pages, self)
        self.closing = Closing(self.session, preferences, self.problems, self.unsaved, self)
        self.awake = Awake(self.session, preferences, self)
        self.completion_notifier = CompletionNotifier(self.session, self)
        self.taskbar = Taskbar(self.session, self)
        self.preparation = Preparation(self.session, lambda: self.shell, self)
        self.models = ModelOpener(self.session, preferences, self.closing, self)
        self.models.tab_requested.connect(self.go_to)
        self.machine: Machine | None = None
        self._first, self._loaded = "", False
        self.setWindowTitle("LLM Studio")
        self.setMinimumSize(640, 420)
        self.resize(1360, 860)
        if preferences.geometry:
            with contextlib.suppress(ValueError):  # damaged geometry: use the default
                self.restoreGeometry(QByteArray(base64.b64decode(preferences.geometry)))
        self.problems.tab_requested.connect(self.go_to)
        self.session.problem.connect(self.problems.show)
        self.unsaved.kept.connect(self._on_kept)
        self.session.project_changed.connect(self._on_project)
        self.session.succeeded.connect(self._on_succeeded)
        self._make_shell()

    def _make_shell(self) -> None:
        """Create the contents of the window in the current language."""
        self.setLocale(QLocale(i18n.language()))  # inherited by all widgets inside
        self.shell = Shell(self.session, self.preferences, self)
        self.shell.pages_made.connect(self.pages_made)
        self.shell.start_page.open_requested.connect(self.closing.open_folder)
        self.shell.start_page.choose_requested.connect(self.closing.choose_folder)
        self.shell.start_page.new_requested.connect(self.closing.new_project)
        self.shell.start_page.model_requested.connect(self.models.choose)
        self.shell.restart_requested.connect(self.closing.restart)
        self.closing.recent_changed.connect(self.shell.start_page.refresh)
        self.shell.preparation_requested.connect(self.preparation.show_dialog)
        self.shell.header.language_chosen.connect(self.choose_language)
        self.shell.header.theme_toggled.connect(self.toggle_theme)
        self.shell.header.project_menu.aboutToShow.connect(self._fill_project_menu)
        fill_menu_bar(self)
        self.setCentralWidget(self.shell)  # the old one is deleted

    @Slot()
    def _fill_project_menu(self) -> None:
        fill_project_menu(self, self.shell.header.project_menu)

    def start(self, folder: str) -> None:
        """After the window is shown: import the tabs' modules in the background, create the tabs, open `folder` if
        any."""
        self._first = folder
        self.session.start(Query(_LOADING, lambda job: tabs.preload(), outlives_project=True))

    @property
    def pages(self) -> "dict[str, Page]":
        """The tabs that have been created, by name."""
        return self.shell.pages

    # --- Reports of the session -------------------------------------------------------------------------------

    @Slot(object)
    def _on_project(self, project: "Project | None") -> None:
        self.setWindowTitle(f"{project.root.name} – LLM Studio" if project else "LLM Studio")
        if project is not None:
            self.preferences.remember_project(project.root)
            self.preferences.save()
            self.shell.start_page.refresh()

    @Slot(str)
    def _on_kept(self, tab: str) -> None:
        """Return to the page with unsaved input."""
        self.closing.will_restart = False
        self.go_to(tab)

    @Slot(str, object)
    def _on_succeeded(self, key: str, result: Any) -> None:
        if key == _LOADING:
            self._on_loaded()
        elif key == _MACHINE:
            self.machine = result
            self.shell.show_machine(result)
            if result.problem:
                self.shell.say(Toast(result.problem))
        elif key in (StartPage.RECENT, StartPage.RENAME, StartPage.DUPLICATE):
            self.shell.start_page.take(key, result)
        elif key == StartPage.EXAMPLE:
            self.shell.start_page.take(key, result)  # also if the user stays in another project
            self.closing.open_project(result)
            self.go_to(tabs.TRAINING.name)

    def _on_loaded(self) -> None:
        from llm_studio.workflows import overview

        overview.leave_cores(self.preferences.spare_threads)
        self._loaded = True
        self.shell.make_pages()
        if self._first and self.session.project is None:  # the user may have opened another one meanwhile
            self.closing.open_folder(self._first)
        if self.session.project is None:
            self.shell.header.show_project("")
        self._look_at_machine()

    def _look_at_machine(self) -> None:
        from llm_studio.workflows import overview

        self.shell.start_page.look()
        self.session.start(
            Query(_MACHINE, lambda job: overview.machine(), page_shows_errors=True, outlives_project=True)
        )

    # --- Commands ---------------------------------------------------------------------------------------------

    @Slot(str)
    def go_to(self, name: str) -> None:
        """Show a tab, or the start page."""
        self.shell.go_to(name)

    @Slot()
    def do_primary(self) -> None:
        """Press the primary button of the visible page."""
        page = self.shell.stack.currentWidget()
        for made in page.findChildren(QPushButton) if page else ():
            if made.property("role") == "primary" and made.isVisible() and made.isEnabled():
                made.click()
                return

    @Slot()
    def stop_current(self) -> None:
        """Stop the oldest running job of the visible tab, or the oldest of all."""
        jobs = self.session.jobs()
        own = [task for task in jobs if task.tab == self.shell.shown]
        for task in (own or jobs)[:1]:
            self.shell.stop_job(task.key)

    @Slot()
    def cancel_current(self) -> None:
        """Cancel the oldest short job of the visible tab, as Esc does: never a training run or a download."""
        for task in self.session.jobs():
            if task.tab == self.shell.shown and not task.keep_awake:
                self.shell.stop_job(task.key)
                return

    @Slot()
    def save_checkpoint(self) -> None:
        """Save a checkpoint of the running training."""
        self.session.save_now(TRAINING)

    @Slot()
    def explain(self) -> None:
        """Show the page of Understand about the visible tab."""
        self.shell.explain()

    @Slot()
    def toggle_full_screen(self) -> None:
        """Toggle full screen."""
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    @Slot()
    def show_settings(self) -> None:
        """Show the settings of the program."""
        from llm_studio.ui.dialogs.settings import SettingsDialog

        dialog = SettingsDialog(self.preferences, self)
        dialog.language_chosen.connect(self.choose_language)
        dialog.theme_chosen.connect(self.choose_theme)
        dialog.open()

    @Slot()
    def show_about(self) -> None:
        """Show the dialog about the program and the licences of its libraries."""
        from llm_studio.ui.dialogs.about import AboutDialog

        AboutDialog(self).open()

    @Slot()
    def show_changes(self) -> None:
        """Show the change log."""
        from llm_studio.ui.dialogs.whats_new import WhatsNewDialog

        WhatsNewDialog(self).open()

    @Slot(str)
    def come_to_front(self, folder: str) -> None:
        """The program was started a second time: raise this window, and open the given folder."""
        if self.isMinimized():
            self.showNormal()
        self.raise_()
        self.activateWindow()
        if folder:
            self.closing.open_folder(folder)

    # --- Language, theme, closing -----------------------------------------------------------------------------

    @Slot(str)
    def choose_language(self, code: str) -> None:
        """Change the language: everything but the session is created again, and running jobs continue."""
        self.preferences.language = code
        self.preferences.save()
        set_language(code)
        before = self.shell
        before.retire()
        self._make_shell()
        self.shell.take_over(before)
        if self.machine is not None:
            self.shell.show_machine(self.machine)
        if self._loaded:
            self.shell.make_pages()
            self._look_at_machine()  # its description depends on the language

    @Slot()
    def toggle_theme(self) -> None:
        """Toggle between light and dark."""
        self.choose_theme("light" if theme.is_dark() else "dark")

    @Slot(str)
    def choose_theme(self, name: str) -> None:
        """Set the theme: "system", "light" or "dark"."""
        self.preferences.theme = name
        self.preferences.save()
        theme.set_theme(name)
        fill_menu_bar(self)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802  Qt's
        """Ask about unsaved input and running jobs, save the geometry, and wait for all threads to end."""
        if not self.unsaved.may_leave(self.close) or not self.closing.may_close():
            event.ignore()
            return
        self.preferences.geometry = base64.b64encode(self.saveGeometry().data()).decode()
        self.preferences.save()
        self.closing.end_all()
        event.accept()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's
        """Refresh when the window is activated: files may have been changed by hand or on the command line."""
        came_back = event.type() == QEvent.Type.ActivationChange and self.isActiveWindow()
        if came_back and not self.session.is_running(OVERVIEW):
            self.session.refresh()
        super().changeEvent(event)

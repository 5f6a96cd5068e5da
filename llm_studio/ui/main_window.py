"""The main window: head, rail, pages and status bar around one session."""

import base64
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QTimer, Signal, Slot
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from llm_studio.i18n import _
from llm_studio.ui import tabs
from llm_studio.ui.closing import Closing
from llm_studio.ui.dialogs.problem import Problems
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.rail_facts import RailFacts
from llm_studio.ui.session import OVERVIEW, TRAINING, Session
from llm_studio.ui.start_page import StartPage
from llm_studio.ui.widgets.footer import Footer
from llm_studio.ui.widgets.header import Header
from llm_studio.ui.widgets.rail import Rail
from llm_studio.ui.widgets.toast import ToastBar
from llm_studio.ui.worker import Task

if TYPE_CHECKING:
    from llm_studio.ui.page import Page, Toast
    from llm_studio.workflows.overview import Machine, Overview, Project

_START = "start"
_LOADING, _MACHINE = "loading", "machine"


class MainWindow(QMainWindow):
    """Shows pages and carries their wishes to the session and its answers to them; knows nothing of what they do.

    Everything in it but the session is made anew when the language changes: `build` may be called at any time.
    """

    pages_made = Signal()
    """All tabs are there, some moments after the start."""
    about_to_close = Signal()

    def __init__(self, preferences: Preferences) -> None:
        super().__init__()
        self.preferences = preferences
        self.session = Session(self)
        self.problems = Problems(self)
        self.closing = Closing(self)
        self.pages: dict[str, Page] = {}
        self.machine: Machine | None = None
        self._unmade: list[str] = []
        self._loaded = False
        self._shown = _START
        self._undo: Task | None = None
        self._first = ""
        self.setWindowTitle("LLM Studio")
        self.setMinimumSize(640, 420)
        self.resize(1360, 860)
        if preferences.geometry:
            self.restoreGeometry(QByteArray(base64.b64decode(preferences.geometry)))
        self.problems.tab_asked.connect(self.go_to)
        self.session.problem.connect(self.problems.tell)
        self.session.project_changed.connect(self._on_project)
        self.session.overview_changed.connect(self._on_overview)
        self.session.started.connect(self._on_started)
        self.session.reported.connect(self._on_reported)
        self.session.succeeded.connect(self._on_succeeded)
        self.session.ended.connect(self._on_ended)
        self.build()

    # --- Building ---------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Make head, rail, start page and status bar; the tabs follow when they are loaded."""
        from llm_studio.ui.menus import fill_menu_bar, fill_project_menu

        for page in self.pages.values():
            page.deleteLater()
        self.pages = {}
        frame = QWidget(self)
        self.header, self.footer = Header(frame), Footer(frame)
        others = {key: (_(name), sign) for key, (name, sign) in tabs.OTHERS.items()}
        self.rail = Rail(frame, {key: _(name) for key, name in tabs.STEPS.items()}, others)
        self.facts = RailFacts(self.rail)
        self.stack = QStackedWidget(frame)
        self.start_page = StartPage(self.preferences, self.stack)
        self._places: dict[str, QScrollArea] = {}
        self._place(_START, self.start_page)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.rail)
        middle.addWidget(self.stack, 1)
        outer = QVBoxLayout(frame)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self.header)
        outer.addLayout(middle, 1)
        outer.addWidget(self.footer)
        self.toasts = ToastBar(frame)
        self.setCentralWidget(frame)
        fill_menu_bar(self)
        self.header.project_menu.aboutToShow.connect(lambda: fill_project_menu(self, self.header.project_menu))
        self._connect()
        self._unmade = list(tabs.NAMES)
        if self._loaded:
            self._make_pages()
        else:
            self.go_to(_START)

    def _connect(self) -> None:
        self.header.language_chosen.connect(self.choose_language)
        self.header.theme_toggled.connect(self.toggle_theme)
        self.header.machine_pressed.connect(self._show_diagnostics)
        self.rail.chosen.connect(self.go_to)
        self.footer.job_pressed.connect(self.go_to)
        self.footer.stop_pressed.connect(self.stop_job)
        self.toasts.undone.connect(self._on_undone)
        self.start_page.asked.connect(self.session.start)
        self.start_page.open_asked.connect(self.closing.open_folder)
        self.start_page.choose_asked.connect(self.closing.choose_folder)
        self.start_page.new_asked.connect(self.closing.new_project)

    def _place(self, name: str, page: QWidget) -> None:
        """Put a page into the stack, where it scrolls when the window is small."""
        area = QScrollArea(self.stack)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(page)
        self._places[name] = area
        self.stack.addWidget(area)

    def load_pages(self) -> None:
        """Import the tabs in the background and make them; the window is on the screen already."""
        self.session.start(Task(_LOADING, lambda job: tabs.load()))

    def _make_pages(self) -> None:
        """Make the page that is to be shown at once, the others one after the other when nothing else is to be done."""
        self._loaded = True
        wanted = self._shown if self._shown in self._unmade else None
        if wanted:
            self._make(wanted)
        self._make_next()
        if wanted:
            self.go_to(wanted)

    @Slot()
    def _make_next(self) -> None:
        if self._unmade:
            self._make(self._unmade[0])
            QTimer.singleShot(0, self, self._make_next)
        elif self._loaded:
            self.pages_made.emit()

    def _make(self, name: str) -> None:
        """Make the page of a tab and connect it; then tell it where everything stands."""
        self._unmade.remove(name)
        page = tabs.make(name, self.stack)
        self.pages[name] = page
        self._place(name, page)
        session = self.session
        page.asked.connect(session.start)
        page.stop_asked.connect(self.stop_job)
        page.save_asked.connect(session.save_now)
        page.settings_asked.connect(session.change_settings)
        page.tab_asked.connect(self.go_to)
        page.told.connect(self.say)
        session.started.connect(page.task_started)
        session.reported.connect(page.task_reported)
        session.succeeded.connect(page.task_succeeded)
        session.failed.connect(page.task_failed)
        session.cancelled.connect(page.task_cancelled)
        session.ended.connect(page.task_ended)
        session.overview_changed.connect(page.show_overview)
        page.open_project(session.project)
        if session.overview:
            page.show_overview(session.overview)
        for task in session.jobs():
            page.task_started(task)

    # --- Going about ------------------------------------------------------------------------------------------

    @Slot(str)
    def go_to(self, name: str) -> None:
        """Show a tab, or the start page."""
        if name in self._unmade and self._loaded:
            self._make(name)
        self._shown = name
        needs_project = name in tabs.STEPS or name == "export"
        shown = name if name in self.pages and (self.session.project or not needs_project) else _START
        if name in tabs.NAMES:
            self.rail.choose(name)
            self.preferences.tab = name
        self.stack.setCurrentWidget(self._places[shown])

    @Slot()
    def _show_diagnostics(self) -> None:
        self.go_to("diagnostics")

    def current_page(self) -> "Page | None":
        """The tab on the screen."""
        return self.pages.get(self._shown)

    @Slot(object)
    def say(self, toast: "Toast") -> None:
        """Show a short word at the foot of the window."""
        self._undo = toast.undo
        self.toasts.say(toast.text, toast.undo is not None)

    @Slot()
    def _on_undone(self) -> None:
        if self._undo is not None:
            self.session.start(self._undo)

    @Slot(str)
    def stop_job(self, key: str) -> None:
        """Stop a job, and say so at once."""
        self.session.stop(key)
        self.footer.say_stopping(key)

    @Slot()
    def stop_current(self) -> None:
        """Stop the oldest running job, as Esc does."""
        for task in self.session.jobs()[:1]:
            self.stop_job(task.key)

    def start(self, folder: str) -> None:
        """Load the tabs, and open the project in `folder` when they are there; "" for none."""
        self._first = folder
        self.load_pages()

    @Slot()
    def do_primary(self) -> None:
        """Press the main button of the page on the screen."""
        page = self.stack.currentWidget()
        for made in page.findChildren(QPushButton) if page else ():
            if made.property("role") == "primary" and made.isVisible() and made.isEnabled():
                made.click()
                return

    @Slot()
    def save_checkpoint(self) -> None:
        """Save a checkpoint of the running training."""
        self.session.save_now(TRAINING)

    @Slot()
    def explain(self) -> None:
        """Show the page of Understand that explains what is on the screen."""
        shown = self._shown
        self.go_to("understand")
        page = self.pages.get("understand")
        if page is not None:
            page.show_help(shown)

    @Slot()
    def toggle_full_screen(self) -> None:
        """To the whole screen and back."""
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    @Slot()
    def show_settings(self) -> None:
        """The settings of the program."""
        from llm_studio.ui.dialogs.settings import SettingsDialog

        SettingsDialog(self.preferences, self).open()

    @Slot()
    def show_about(self) -> None:
        """What the program is, and whose work is in it."""
        from llm_studio.ui.dialogs.about import AboutDialog

        AboutDialog(self).open()

    # --- What the session tells -------------------------------------------------------------------------------

    @Slot(object)
    def _on_project(self, project: "Project | None") -> None:
        self.facts.forget()
        self.header.show_project(project.root.name if project else "")
        self.setWindowTitle(f"{project.root.name} – LLM Studio" if project else "LLM Studio")
        for page in self.pages.values():
            page.open_project(project)
        if project is None:
            self.start_page.refresh()
            self.go_to(_START)
            return
        self.preferences.remember_project(project.root)
        self.preferences.save()
        self.start_page.refresh()
        self.go_to(self._shown if self._shown in tabs.STEPS else "data")

    @Slot(object)
    def _on_overview(self, overview: "Overview") -> None:
        self.facts.show_overview(overview)
        self.header.show_project(overview.settings.project.name or overview.project.root.name)

    @Slot(object)
    def _on_started(self, task: Task) -> None:
        self.facts.task_started(task)
        if not task.is_question:
            self.footer.add(task.key, task.title, task.tab)

    @Slot(str, object)
    def _on_reported(self, key: str, event: object) -> None:
        self.footer.take(key, event)
        self.facts.task_reported(key, event)

    @Slot(str, object)
    def _on_succeeded(self, key: str, result: object) -> None:
        if key == _LOADING:
            self._make_pages()
            from llm_studio.workflows import overview

            if self._first:
                self.closing.open_folder(self._first)
                self._first = ""
            self.session.start(Task(_MACHINE, lambda job: overview.machine(), shows_problems=True))
        elif key == _MACHINE:
            self.machine = result
            self.header.show_machine(result.line, result.why_no_gpu)
        elif key == self.start_page.EXAMPLE:
            self.closing.open_project(result)
            self.go_to("training")

    @Slot(str)
    def _on_ended(self, key: str) -> None:
        self.footer.remove(key)
        self.facts.task_ended(key)

    # --- Language, theme, closing -----------------------------------------------------------------------------

    @Slot(str)
    def choose_language(self, code: str) -> None:
        """Speak another language at once: all but the session is made anew."""
        from llm_studio.ui.app import speak

        self.preferences.language = code
        self.preferences.save()
        speak(code)
        shown = self._shown
        running = self.session.jobs()
        self.build()
        if self.machine is not None:
            self.header.show_machine(self.machine.line, self.machine.why_no_gpu)
        if self.session.project is not None:
            self.header.show_project(self.session.project.root.name)
        for task in running:
            self.footer.add(task.key, task.title, task.tab)
            self.facts.task_started(task)
        if self.session.overview is not None:
            self._on_overview(self.session.overview)
        self.go_to(shown)

    @Slot()
    def toggle_theme(self) -> None:
        """From light to dark or back."""
        from llm_studio.ui import theme

        self.choose_theme("light" if theme.is_dark() else "dark")

    def choose_theme(self, name: str) -> None:
        """Take a theme: "system", "light" or "dark"."""
        from llm_studio.ui.app import apply_theme

        self.preferences.theme = name
        self.preferences.save()
        apply_theme(name)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802  Qt's
        """Ask what becomes of running jobs, remember where the window was, and let all threads end."""
        if not self.closing.may_close():
            event.ignore()
            return
        self.about_to_close.emit()
        self.preferences.geometry = base64.b64encode(self.saveGeometry().data()).decode()
        self.preferences.save()
        self.closing.end_all()
        event.accept()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's
        """Look again when the user comes back: files may have been changed by hand or on the command line."""
        if (
            event.type() == QEvent.Type.ActivationChange
            and self.isActiveWindow()
            and not self.session.is_running(OVERVIEW)
        ):
            self.session.refresh()
        super().changeEvent(event)

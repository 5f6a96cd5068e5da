"""Everything inside the main window: head, rail, pages, status bar. Created again when the language changes."""

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from llm_studio.events import Event
from llm_studio.i18n import _
from llm_studio.ui import tabs
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tab import Tab
from llm_studio.ui.tasks import OVERVIEW, BackgroundJob, Task
from llm_studio.ui.widgets.footer import Footer
from llm_studio.ui.widgets.header import Header
from llm_studio.ui.widgets.rail import Rail
from llm_studio.ui.widgets.toast import ToastBar
from llm_studio.ui.window.page_stack import PageStack
from llm_studio.ui.window.rail_facts import RailFacts
from llm_studio.ui.window.session import Session
from llm_studio.ui.window.start_page import START, StartPage

if TYPE_CHECKING:
    from llm_studio.ui.page import Page
    from llm_studio.ui.page_context import Toast
    from llm_studio.workflows.overview import Machine, Overview, Project


class Shell(QWidget):
    """Connects the requests of pages to the session and its reports to the pages; knows nothing of their content."""

    pages_made = Signal()
    """All tabs have been created."""
    restart_requested, preparation_requested = Signal(), Signal()

    def __init__(self, session: Session, preferences: Preferences, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._preferences = preferences
        self.pages: dict[str, Page] = {}
        self.shown = START
        self._unmade = [tab.name for tab in tabs.TABS]
        self._loaded = False
        self.drafts: dict[str, object] = {}
        """Drafts of the previous shell's pages, until the new pages are created."""
        self.header, self.footer = Header(self), Footer(self)
        steps = {tab.name: _(tab.title) for tab in tabs.TABS if tab.is_step}
        others = {tab.name: (_(tab.title), tab.icon) for tab in tabs.TABS if not tab.is_step}
        self.rail = Rail(self, steps, others)
        self._facts = RailFacts(self.rail)
        self.stack = PageStack(self)
        self.start_page = StartPage(preferences, self.stack)
        self.stack.place(START, self.start_page)
        self.stack.show_page(START)
        self._just_opened = False
        """Whether a project was opened and the user hasn't chosen a tab since."""
        _lay_out(self)
        self.toasts = ToastBar(self)
        self._connect()
        self._catch_up()

    def _connect(self) -> None:
        self.rail.chosen.connect(self.go_to)
        self.header.machine_pressed.connect(self.show_machine_tab)
        self.footer.job_pressed.connect(self.go_to)
        self.footer.stop_pressed.connect(self.stop_job)
        self.toasts.undone.connect(self._session.start)
        self.start_page.task_requested.connect(self._session.start)
        session = self._session
        self.stack.retry_requested.connect(self.stack.say_loading)
        self.stack.retry_requested.connect(session.refresh)
        self._connections = [
            session.project_changed.connect(self._on_project),
            session.leaving.connect(self._on_leaving),
            session.overview_changed.connect(self._on_overview),
            session.started.connect(self._on_started),
            session.reported.connect(self._on_reported),
            session.succeeded.connect(self._on_succeeded),
            session.failed.connect(self._on_failed),
            session.cancelled.connect(self._on_cancelled),
            session.ended.connect(self._on_ended),
        ]

    def retire(self) -> None:
        """Disconnect from the session: a shell in another language takes over its place and its drafts."""
        for connection in self._connections:
            QObject.disconnect(connection)
        self._unmade.clear()
        self.drafts |= {name: page.draft() for name, page in self.pages.items()}

    def take_over(self, before: "Shell") -> None:
        """Continue from the shell `before` in another language: its tab, drafts and progress of jobs."""
        self.shown, self.drafts = before.shown, before.drafts
        self.footer.take_over(before.footer)
        self._facts.take_over(before._facts)

    def _catch_up(self) -> None:
        """Show the open project and running tasks, after the language has changed."""
        if self._session.project is not None:
            self.header.show_project(self._session.project.root.name)
        for task in self._session.jobs():
            self._on_started(task)
        if self._session.overview is not None:
            self._on_overview(self._session.overview)

    # --- The pages --------------------------------------------------------------------------------------------

    def make_pages(self) -> None:
        """Create the visible page at once, and the others one by one when the window is idle."""
        self._loaded = True
        self.go_to(self.shown)
        self._make_next()

    @Slot()
    def _make_next(self) -> None:
        """Import or create one page, then let the event loop handle pending events before the next one."""
        if not self._unmade:
            self.pages_made.emit()
            return
        tab = tabs.find(self._unmade[0])
        assert tab is not None
        if tab.is_imported:
            self._make(tab)
        else:
            tab.import_page()
        QTimer.singleShot(0, self, self._make_next)

    def _make(self, tab: Tab) -> None:
        """Create the page of a tab and connect it; then pass it the open project and running tasks."""
        self._unmade.remove(tab.name)
        page = tab.make_page(self.stack)
        self.pages[tab.name] = page
        self.stack.place(tab.name, page)
        session = self._session
        page.context.preferences = self._preferences
        _connect_page(page, self, session)
        page.open_project(session.project)
        if session.overview:
            page.show_overview(session.overview)
        for task in session.jobs():
            page.context.listeners.task_started(task)
        page.take_draft(self.drafts.pop(tab.name, None))

    # --- Navigation -------------------------------------------------------------------------------------------

    @Slot(str)
    def go_to(self, name: str) -> None:
        """Show a tab, or the start page."""
        tab = tabs.find(name)
        if tab is not None and name in self._unmade and self._loaded:
            self._make(tab)
        self.shown, self._just_opened = name, False
        if tab is not None:
            self.rail.choose(name)
            if tab.needs_project and name != self._preferences.tab:
                self._preferences.tab = name
                self._preferences.save()
        self._show_shown()

    def _show_shown(self) -> None:
        """Show the chosen tab; if it needs a project, only after the overview is known."""
        tab, session = tabs.find(self.shown), self._session
        needs_project = tab is None or tab.needs_project
        if self.shown not in self.pages or (needs_project and session.project is None):
            self.stack.show_page(START)
        elif needs_project and session.overview is None:
            self.stack.show_loading()
        else:
            self.stack.show_page(self.shown)

    @Slot(str, object)
    def show_target(self, name: str, target: object) -> None:
        """Show a tab with a target for its page."""
        self.go_to(name)
        if name in self.pages:
            self.pages[name].show_target(target)

    @Slot()
    def explain(self) -> None:
        """Show the lesson about the visible tab; on the start page, about the first step."""
        shown = tabs.find(self.shown) or tabs.FIRST
        self.show_target(tabs.HELP.name, shown.lesson)

    @Slot()
    def show_machine_tab(self) -> None:
        """Show the tab about this computer."""
        self.go_to(tabs.MACHINE.name)

    @Slot(object)
    def say(self, toast: "Toast") -> None:
        """Show a short message at the bottom of the window."""
        self.toasts.say(toast.text, toast.undo, toast.action)

    @Slot(str)
    def stop_job(self, key: str) -> None:
        """Stop a job, and show that at once."""
        self._session.stop(key)
        self.footer.show_stopping(key)

    def show_machine(self, machine: "Machine") -> None:
        """Show the hardware for training runs."""
        self.header.show_machine(machine.line, machine.why_no_gpu)

    # --- Reports of the session -------------------------------------------------------------------------------

    @Slot()
    def _on_leaving(self) -> None:
        for page in self.pages.values():
            page.leave_project()

    @Slot(object)
    def _on_project(self, project: "Project | None") -> None:
        self._facts.forget()
        self.toasts.forget()
        self.drafts.clear()
        self.header.show_project(project.root.name if project else "")
        for page in self.pages.values():
            page.open_project(project)
        self.start_page.refresh()
        self.stack.say_loading()
        last = tabs.find(self._preferences.tab if self.shown == START else self.shown)
        arrival = last if last is not None and last.needs_project else tabs.FIRST
        self.go_to(START if project is None else arrival.name)
        self._just_opened = project is not None

    @Slot(object)
    def _on_overview(self, overview: "Overview") -> None:
        self._facts.show_overview(overview)
        self.header.show_project(overview.settings.project.name or overview.project.root.name)
        for page in list(self.pages.values()):
            page.show_overview(overview)
        wanted = _first_wanted(overview) if self._just_opened else None
        self.go_to(wanted.name if wanted else self.shown)

    @Slot(object)
    def _on_started(self, task: Task) -> None:
        self._facts.task_started(task)
        if isinstance(task, BackgroundJob):
            self.footer.add(task.key, task.title, task.tab)
        if task.key == StartPage.EXAMPLE:
            self.start_page.show_busy(True)
        for page in list(self.pages.values()):
            page.context.listeners.task_started(task)

    @Slot(str, object)
    def _on_reported(self, key: str, event: Any) -> None:
        if isinstance(event, Event):
            self.footer.take(key, event)
            self._facts.task_reported(key, event)
        for page in list(self.pages.values()):
            page.context.listeners.task_reported(key, event)

    @Slot(str, object)
    def _on_succeeded(self, key: str, result: object) -> None:
        for page in list(self.pages.values()):
            page.context.listeners.task_succeeded(key, result)

    @Slot(str, object)
    def _on_failed(self, key: str, error: BaseException) -> None:
        if key == OVERVIEW:
            self.stack.say_unreadable()
        for page in list(self.pages.values()):
            page.context.listeners.task_failed(key, error)

    @Slot(str)
    def _on_cancelled(self, key: str) -> None:
        for page in list(self.pages.values()):
            page.context.listeners.task_cancelled(key)

    @Slot(str)
    def _on_ended(self, key: str) -> None:
        self.footer.remove(key)
        self._facts.task_ended(key)
        if key == StartPage.EXAMPLE:
            self.start_page.show_busy(False)
        for page in list(self.pages.values()):
            page.context.listeners.task_ended(key)


def expect_project(shell: Shell, name: str) -> None:
    """Show that this project is being loaded, instead of offering the example on the start page."""
    shell.header.show_project(name)
    shell.stack.show_loading()


def _lay_out(shell: Shell) -> None:
    """Lay out head, rail, pages and status bar."""
    middle = QHBoxLayout()
    middle.setSpacing(0)
    middle.addWidget(shell.rail)
    middle.addWidget(shell.stack, 1)
    outer = QVBoxLayout(shell)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.setSpacing(0)
    outer.addWidget(shell.header)
    outer.addLayout(middle, 1)
    outer.addWidget(shell.footer)


def _first_wanted(overview: "Overview") -> Tab | None:
    """The tab on which a project should be opened, wherever the user was last: a run waits to be resumed, or there are
    no texts yet."""
    if overview.interrupted is not None:
        return tabs.TRAINING
    return None if overview.all_sources else tabs.FIRST


def _connect_page(page: "Page", shell: Shell, session: Session) -> None:
    """Connect the requests of a page to the objects that handle them."""
    page.context.task_requested.connect(session.start)
    page.context.stop_requested.connect(shell.stop_job)
    page.context.save_requested.connect(session.save_now)
    page.context.settings_requested.connect(session.change_settings)
    page.context.tab_requested.connect(shell.go_to)
    page.context.target_requested.connect(shell.show_target)
    page.context.toast_requested.connect(shell.say)
    page.context.preparation_requested.connect(shell.preparation_requested)
    page.context.restart_requested.connect(shell.restart_requested)

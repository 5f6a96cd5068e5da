"""The start page: continue with a project, create one, or try the example."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from llm_studio import i18n
from llm_studio.i18n import N_, _
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tasks import BackgroundJob, Query, Write
from llm_studio.ui.theme import GAP, PAGE_MARGIN, set_role
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.ui.window.recent_list import RecentList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_studio.jobs import Job
    from llm_studio.workflows.recent import RecentProject

START = "start"
"""Its name among those of the tabs."""


class StartPage(QWidget):
    """Recent projects on the right, ways to start on the left."""

    EXAMPLE, RECENT, RENAME, DUPLICATE = "example", "start/recent", "start/rename", "start/duplicate"
    task_requested = Signal(object)
    open_requested = Signal(str)
    """The folder of a project."""
    choose_requested = Signal()
    new_requested = Signal()
    model_requested = Signal()

    def __init__(self, preferences: Preferences, parent: QWidget) -> None:
        super().__init__(parent)
        set_role(self, "page")
        self._preferences = preferences
        self._known: dict[str, RecentProject] = {}
        self._may_look = False
        inside = QVBoxLayout(self)
        inside.setContentsMargins(PAGE_MARGIN * 2, 30, PAGE_MARGIN * 2, 20)
        inside.setSpacing(GAP)
        inside.addWidget(label(_("Build a small language model from scratch"), self, "title", wrap=True))
        inside.addWidget(label(
            _("Collect texts, train a model on this computer, and let it write. Everything stays here, in one "
              "folder of open files."), self, "muted", wrap=True))  # fmt: skip
        inside.addSpacing(8)
        columns = QHBoxLayout()
        columns.setSpacing(GAP)
        columns.addLayout(self._ways(), 3)
        columns.addWidget(self._recent_card(), 4)
        inside.addLayout(columns)
        inside.addStretch(1)
        self.refresh()

    def _ways(self) -> QVBoxLayout:
        ways = QVBoxLayout()
        ways.setSpacing(GAP)
        example = Card(self, _("Try the example"), "card-chosen")
        example.content.addWidget(label(
            _("A small project with built-in stories, ready to go: in two to five minutes your own model "
              "writes its first stories."), self, "muted", wrap=True))  # fmt: skip
        self.example = button(_("Try the example"), self, self._on_example, "primary")
        example.content.addLayout(row(self.example, None))
        new = Card(self, _("New project"))
        new.content.addWidget(label(_("With your own texts, or any others."), self, "muted", wrap=True))
        self.new = button(_("New project…"), self)
        self.new.clicked.connect(self.new_requested)
        new.content.addLayout(row(self.new, None))
        opened = Card(self, _("Open a project"))
        opened.content.addWidget(
            label(_("A project made with LLM Studio, here or elsewhere."), self, "muted", wrap=True)
        )
        self.open = button(_("Open…"), self)
        self.open.clicked.connect(self.choose_requested)
        opened.content.addLayout(row(self.open, None))
        given = Card(self, _("Open a model"))
        words = _("One that someone gave you, as a zip or a folder; or drop it here.")
        given.content.addWidget(label(words, self, "muted", wrap=True))
        self.open_model = button(_("Open a model…"), self)
        self.open_model.clicked.connect(self.model_requested)
        given.content.addLayout(row(self.open_model, None))
        for card in (example, new, opened, given):
            ways.addWidget(card)
        ways.addStretch(1)
        return ways

    def _recent_card(self) -> Card:
        card = Card(self, _("Recent projects"))
        self._none = label(_("None yet: the example is a good place to start."), self, "muted", wrap=True)
        self._list = RecentList(card)
        self._list.open_requested.connect(self.open_requested)
        self._list.remove_requested.connect(self._forget)
        self._list.rename_requested.connect(self._rename)
        self._list.duplicate_requested.connect(self._duplicate)
        card.content.addWidget(self._none)
        card.content.addWidget(self._list, 1)
        card.content.addStretch()
        return card

    @Slot()
    def refresh(self) -> None:
        """Show the current list of recent projects."""
        self._list.show_projects(self._preferences.recent, self._known)
        self._none.setVisible(not self._preferences.recent)
        self._list.setVisible(bool(self._preferences.recent))
        if self._may_look and self.isVisible() and self._preferences.recent:
            paths = tuple(self._preferences.recent)
            self.task_requested.emit(
                Query(self.RECENT, lambda job: _recent(paths, job), page_shows_errors=True, outlives_project=True)
            )

    def look(self) -> None:
        """From now on, read the state of recent projects whenever they are shown: its imports are done."""
        self._may_look = True
        self.refresh()

    def take(self, key: str, result: Any) -> None:
        """Handle the result of a task of this page."""
        if key == self.RECENT:
            self._known = {one.path: one for one in result}
            self._list.show_projects(self._preferences.recent, self._known)
            return
        if key in (self.DUPLICATE, self.EXAMPLE):
            self._preferences.remember_project(result.root)
            self._preferences.save()
        self.refresh()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """The projects may have changed meanwhile. Focus the most likely choice."""
        super().showEvent(event)
        self.refresh()
        (self._list if self._preferences.recent else self.example).setFocus()

    def show_busy(self, busy: bool) -> None:
        """Disable all other choices while the example is being created."""
        for part in (self.example, self.new, self.open, self.open_model, self._list):
            part.setEnabled(not busy)
        self.example.setText(_("Preparing the example…") if busy else _("Try the example"))

    @Slot(str)
    def _forget(self, path: str) -> None:
        self._preferences.forget_project(path)
        self._preferences.save()
        self.refresh()

    @Slot(str, str)
    def _rename(self, path: str, name: str) -> None:
        self.task_requested.emit(Write(self.RENAME, lambda job: _rename(path, name), outlives_project=True))

    @Slot(str)
    def _duplicate(self, path: str) -> None:
        title = _("Duplicating {name}").format(name=Path(path).name)
        self.task_requested.emit(
            BackgroundJob(self.DUPLICATE, lambda job: _copy(path, job), title, START, outlives_project=True)
        )

    @Slot()
    def _on_example(self) -> None:
        folder, language = self._preferences.folder_for_projects(), i18n.language()
        self.task_requested.emit(
            BackgroundJob(
                self.EXAMPLE, lambda job: _make_example(folder, language, job), N_("Preparing the example"), START
            )
        )


def _recent(paths: "Sequence[str]", job: "Job") -> object:
    from llm_studio.workflows.recent import recent

    return recent(paths, job)


def _rename(path: str, name: str) -> object:
    from llm_studio.workflows.recent import rename

    return rename(Path(path), name)


def _copy(path: str, job: "Job") -> object:
    from llm_studio.workflows.recent import duplicate

    return duplicate(Path(path), job)


def _make_example(folder: Path, language: str, job: "Job") -> object:
    from llm_studio.workflows.quickstart import example

    return example(folder, language, job)

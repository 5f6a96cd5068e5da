"""The tab Data: gather texts, look at them, say how they are cleaned."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, QMimeData, Qt, Slot
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractSpinBox, QBoxLayout, QHBoxLayout, QLineEdit, QWidget

from llm_studio import i18n
from llm_studio.i18n import _, ngettext, number
from llm_studio.ui.desktop import open_folder
from llm_studio.ui.page import Page
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tabs.data.cleaning import CleaningCard
from llm_studio.ui.tabs.data.figures import Figures
from llm_studio.ui.tabs.data.hub import Downloads, kept
from llm_studio.ui.tabs.data.measures import TextMeasures
from llm_studio.ui.tabs.data.own_files import OwnFiles
from llm_studio.ui.tabs.data.preview import DocumentPreview
from llm_studio.ui.tabs.data.reading import FileReading
from llm_studio.ui.tabs.data.removing import SourceRemoval
from llm_studio.ui.tabs.data.sources import SourceCards
from llm_studio.ui.tabs.data.table import SourcesTable
from llm_studio.ui.tasks import SETTINGS, BackgroundJob
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.ui.widgets.drop_veil import DropVeil
from llm_studio.workflows.data.sources import DEFAULT_STORIES

if TYPE_CHECKING:
    from llm_studio.workflows.data.sources import Source
    from llm_studio.workflows.overview import Overview, Project

ADD = "data/add"
_RIGHT = 286
"""Pixels of the column at the right."""
_NARROW = 880
_WIDEST = 16_777_215
"""Qt's word for no limit."""


class DataPage(Page):
    """Source cards on top; the project's sources with a preview at the left, cleaning and lengths at the right."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Data"), _("The texts your model will learn from."), parent)
        self.setLocale(QLocale(i18n.language()))
        self._adding = False
        self._wanted = ""
        self.show_folder = button(_("Open the folder"), self, self._on_folder)
        self.add = button(_("+ Add texts"), self, self._choose_files, "primary")
        self.head_buttons.addWidget(self.show_folder)
        self.head_buttons.addWidget(self.add)
        self.hint = self._make_hint()
        self.cards = SourceCards(self)
        self.sources = SourcesTable(self)
        self.preview = DocumentPreview(self)
        self.cleaning = CleaningCard(self)
        self.reading = FileReading(self, self.preview)
        self.measures = TextMeasures(self, self.cleaning)
        self.removing = SourceRemoval(self, self.sources)
        self.downloads = Downloads(self, ADD)
        self.figures = Figures(self, self.cleaning)
        self.statistics = button(_("Statistics…"), self, self._on_statistics, "small")
        self.own_files = OwnFiles(self, self.cards.options, ADD)
        left = Card(self, _("Sources of the project"))
        for made in (self.sources.weighing, self.sources.go_on, self.sources.notes, self.statistics,
                     self.sources.remove):  # fmt: skip
            left.head.addWidget(made)
        left.content.addWidget(self.sources)
        left.content.addSpacing(4)
        left.content.addWidget(self.preview, 1)
        self.columns = QHBoxLayout()
        self.columns.setSpacing(GAP)
        self.columns.addWidget(left, 1)
        self.columns.addWidget(self.cleaning)
        for part in (self.hint, self.cards):
            self.body.addWidget(part)
        self.body.addLayout(self.columns, 1)
        self.veil = DropVeil(self)
        self.setAcceptDrops(True)
        for part in (*self.findChildren(QLineEdit), *self.findChildren(QAbstractSpinBox)):
            part.setAcceptDrops(False)  # a file dropped there isn't meant to become the name of itself
        self._connect()

    def _make_hint(self) -> Card:
        hint = Card(self, role="card-chosen")
        hint.content.setContentsMargins(16, 8, 10, 8)
        self.go_on = button(_("Continue to Tokenizer"), hint, self._on_go_on)
        words = label(_("Your texts are here. Next step: learning how to split them into tokens."), hint, wrap=True)
        made = row(words, self.go_on)
        made.setStretch(0, 1)
        hint.content.addLayout(made)
        hint.hide()
        return hint

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """In a small window, cleaning comes below the texts instead of beside them."""
        super().resizeEvent(event)
        narrow = event.size().width() < _NARROW
        self.columns.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)
        self.cleaning.setMinimumWidth(0 if narrow else _RIGHT)
        self.cleaning.setMaximumWidth(_WIDEST if narrow else _RIGHT)

    def _connect(self) -> None:
        self.cards.stories_requested.connect(self._add_stories)
        self.cards.files_requested.connect(self.own_files.choose_files)
        self.cards.folder_requested.connect(self.own_files.choose_folder)
        self.cards.hub_requested.connect(self.downloads.begin)
        self.cards.search_requested.connect(self.downloads.show_dialog)
        self.downloads.unfinished.connect(self.sources.show_unfinished)
        self.sources.resume_requested.connect(self.downloads.go_on)
        self.sources.notes_requested.connect(self._on_notes)
        self.sources.chosen.connect(self._on_chosen)
        self.sources.stop_requested.connect(self._on_stop_adding)
        self.sources.folder_requested.connect(self._on_folder)
        self.sources.stories_requested.connect(self._on_first_stories)
        self.cleaning.rules.changed.connect(self.context.settings_requested)
        self.cleaning.examples_requested.connect(self.figures.show_cleaning)
        self.measures.known.connect(self.figures.measure_rules)
        self.sources.weight_requested.connect(self._on_weight)
        self.context.listen(
            ADD, started=self._add_started, reported=self.sources.take, succeeded=self._added, ended=self._add_ended
        )
        self.removing.restored.connect(self._restored)
        self.context.listen(SETTINGS, failed=self._settings_failed)

    # --- What is shown ------------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Forget the project before."""
        super().open_project(project)
        self._wanted = ""
        self.removing.open_project(project)
        self.downloads.open_project(project)
        self.figures.open_project(project)
        self.own_files.open_project(project)
        self.reading.open_project(project)
        self.cleaning.rules.forget_changes()
        self.measures.open_project(project)
        self.hint.hide()
        self.sources.show_sources(())

    def show_overview(self, overview: "Overview") -> None:
        """Show the sources and settings as they are now."""
        first = self.overview is None
        super().show_overview(overview)
        if first:
            self.cards.choose_language(overview.settings.project.language)
        self.cleaning.rules.show_settings(overview.settings, overview.settings_problem is None)
        wanted, self._wanted = self._wanted, ""
        self.sources.show_sources(overview.sources, wanted)
        self.sources.show_weights(overview.settings.data.weights)
        self.downloads.look_for_unfinished()
        self.figures.show_overview(overview)
        self.statistics.setEnabled(bool(overview.sources))
        self.measures.show_overview(overview)
        self._show_hint()

    def _show_hint(self) -> None:
        here = self.overview
        ready = here is not None and bool(here.sources) and here.steps.tokenizer.value != "ready"
        self.hint.setVisible(ready)

    @Slot(str)
    def _on_chosen(self, name: str) -> None:
        source = next((s for s in (self.overview.sources if self.overview else ()) if s.name == name), None)
        self.reading.open_source(source)

    # --- Adding ---------------------------------------------------------------------------------------------------

    @Slot(str, int)
    def _add_stories(self, language: str, count: int) -> None:
        project = self.project
        if project is None:
            return
        from llm_studio.workflows.data import sources

        self.context.request(BackgroundJob(ADD, lambda job: [sources.add_stories(project, language, count, job)],
                             _("Adding the built-in stories"), "data", changes_project=True))  # fmt: skip

    @Slot()
    def _on_first_stories(self) -> None:
        language = self.overview.settings.project.language if self.overview else "en"
        self._add_stories(language, DEFAULT_STORIES)

    def _add_started(self, task: BackgroundJob) -> None:
        self._adding = True
        self.sources.begin(task.title)
        self._enable_adding(False)

    def _enable_adding(self, enabled: bool) -> None:
        self.cards.enable(enabled)
        self.add.setEnabled(enabled)
        self._show_hint()

    def _added(self, sources: "list[Source]") -> None:
        self._wanted = sources[0].name
        stopped = kept(sources[0])
        if stopped is not None:
            self.context.toast_requested.emit(Toast(stopped))
            return
        if len(sources) > 1:
            text = ngettext("{n} source added.", "{n} sources added.", len(sources)).format(n=number(len(sources)))
        else:
            documents = ngettext("{n} document", "{n} documents", sources[0].documents)
            text = _("“{name}” added: {documents}.").format(
                name=sources[0].name, documents=documents.format(n=number(sources[0].documents)))  # fmt: skip
        self.context.toast_requested.emit(Toast(text))

    def _add_ended(self) -> None:
        self._adding = False
        self.sources.end()
        self._enable_adding(True)

    @Slot()
    def _choose_files(self) -> None:
        self.own_files.choose_files()

    @Slot()
    def _on_stop_adding(self) -> None:
        self.sources.say_stopping()
        self.context.stop_requested.emit(ADD)

    # --- Dropping files ---------------------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802  Qt's
        """Files and folders may be dropped anywhere here."""
        if not _dropped(event.mimeData()) or self.project is None:
            event.ignore()
            return
        self.veil.cover(
            _("Wait until the other texts have been added") if self._adding else _("Drop to add these texts"),
            not self._adding,
        )
        _accept_copies(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: N802  Qt's
        """They went elsewhere."""
        self.veil.hide()
        event.accept()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802  Qt's
        """Add what was dropped, one after the other."""
        self.veil.hide()
        _accept_copies(event)
        if not self._adding:
            self.own_files.take(_dropped(event.mimeData()))

    @Slot(str)
    def _restored(self, name: str) -> None:
        self._wanted = name

    # --- Others -----------------------------------------------------------------------------------------------------

    def _settings_failed(self, error: BaseException) -> None:
        del error
        self.cleaning.rules.forget_changes()
        if self.overview is not None:
            self.cleaning.rules.show_settings(self.overview.settings, self.overview.settings_problem is None)

    @Slot()
    def _on_folder(self) -> None:
        if self.project is not None:
            open_folder(self.project.raw)

    @Slot()
    def _on_statistics(self) -> None:
        self.figures.show_statistics()

    @Slot(str, float)
    def _on_weight(self, name: str, weight: float) -> None:
        self.context.settings_requested.emit({f"data.weights.{name}": weight})

    @Slot(str)
    def _on_notes(self, name: str) -> None:
        from llm_studio.ui.dialogs.notes import NotesDialog

        source = next((s for s in (self.overview.sources if self.overview else ()) if s.name == name), None)
        if source is not None:
            NotesDialog(_("“{name}”: warnings while reading").format(name=name), source.notes, self).open()

    @Slot()
    def _on_go_on(self) -> None:
        self.context.tab_requested.emit("tokenizer")


def _dropped(data: QMimeData) -> list[Path]:
    """The files and folders of this computer among what is dragged."""
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]


def _accept_copies(event: QDropEvent) -> None:
    """Take files as copies, whatever key is held: a move that is accepted lets the file manager delete them."""
    event.setDropAction(Qt.DropAction.CopyAction)
    event.accept()

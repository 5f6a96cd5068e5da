"""The page of the tab Data: add texts, inspect them, and choose how they are cleaned."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QWidget

from llm_studio import i18n
from llm_studio.i18n import _
from llm_studio.ui.desktop import open_folder
from llm_studio.ui.page import Page
from llm_studio.ui.tabs.data import MoreTexts
from llm_studio.ui.tabs.data.account_card import AccountCard
from llm_studio.ui.tabs.data.adding_controller import AddingController
from llm_studio.ui.tabs.data.cleaning import CleaningCard
from llm_studio.ui.tabs.data.damage import DamageCard
from llm_studio.ui.tabs.data.drop_zone import DropZone
from llm_studio.ui.tabs.data.figures import Figures
from llm_studio.ui.tabs.data.hub import Downloads
from llm_studio.ui.tabs.data.measures import TextMeasures
from llm_studio.ui.tabs.data.own_files import OwnFiles
from llm_studio.ui.tabs.data.preview import DocumentPreview
from llm_studio.ui.tabs.data.reading import FileReading
from llm_studio.ui.tabs.data.removal_controller import RemovalController
from llm_studio.ui.tabs.data.replacing import Replacing
from llm_studio.ui.tabs.data.running import RunningController
from llm_studio.ui.tabs.data.sources import SourceCards
from llm_studio.ui.tabs.data.table import SourcesTable
from llm_studio.ui.tasks import SETTINGS
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.workflows.data.sources import DEFAULT_STORIES, title_of

if TYPE_CHECKING:
    from llm_studio.workflows.data.sources import Source
    from llm_studio.workflows.overview import Overview, Project

_RIGHT = 286
"""Width of the right column in pixels."""
_NARROW = 880
_WIDEST = 16_777_215
"""Qt's QWIDGETSIZE_MAX: no limit."""


class DataPage(Page):
    """Source cards at the top, the project's sources with a preview at the left, cleaning and lengths at the right."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Data"), _("The texts your model will learn from."), parent)
        self.setLocale(QLocale(i18n.language()))
        self.show_folder = button(_("Open the folder"), self, self._on_folder)
        self.add = button(_("+ Add texts"), self, self._choose_files)
        self.prepare = button("", self, self._on_prepare, "primary")
        self.hint = NextStepCard(self)
        self.damage = DamageCard(self)
        self.cards = SourceCards(self)
        self.sources = SourcesTable(self)
        self.account = AccountCard(self)
        self.preview = DocumentPreview(self)
        self.cleaning = CleaningCard(self)
        self.statistics = button(_("Statistics…"), self, self._on_statistics, "small")
        self.first = (self.sources.table, self.cards.language)
        self._lay_out()
        self.drop_zone = DropZone(self)
        self.adding = AddingController(self.context)
        self.removal = RemovalController(self.context)
        self.running = RunningController(self.context)
        self.reading = FileReading(self.context, self.preview)
        self.downloads = Downloads(self, self.adding)
        self.own_files = OwnFiles(self, self.cards.options, self.adding)
        self.replacing = Replacing(self, self.cards.options, self.adding)
        self.figures = Figures(self, self.cleaning)
        self.measures = TextMeasures(self.context, self.cleaning)
        self._connect()
        self._show_primary()

    def _lay_out(self) -> None:
        self.head_buttons.addWidget(self.show_folder)
        self.head_buttons.addWidget(self.add)
        self.head_buttons.addWidget(self.prepare)
        sources = self.sources
        left = Card(self, _("Sources of the project"))
        for part in (sources.weighing, sources.resume, sources.notes, self.statistics, sources.remove):
            left.head.addWidget(part)
        left.content.addWidget(sources)
        left.content.addWidget(self.account)
        left.content.addSpacing(4)
        left.content.addWidget(self.preview, 1)
        self.columns = QHBoxLayout()
        self.columns.setSpacing(GAP)
        self.columns.addWidget(left, 1)
        self.columns.addWidget(self.cleaning)
        self.body.addWidget(self.hint)
        self.body.addWidget(self.damage)
        self.body.addWidget(self.cards)
        self.body.addLayout(self.columns, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """In a narrow window, put the cleaning card below the texts instead of beside them."""
        super().resizeEvent(event)
        narrow = event.size().width() < _NARROW
        self.columns.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)
        self.cleaning.setMinimumWidth(0 if narrow else _RIGHT)
        self.cleaning.setMaximumWidth(_WIDEST if narrow else _RIGHT)

    def _connect(self) -> None:
        cards, sources, adding = self.cards, self.sources, self.adding
        cards.stories_requested.connect(adding.add_stories)
        cards.files_requested.connect(self.own_files.choose_files)
        cards.folder_requested.connect(self.own_files.choose_folder)
        cards.hub_requested.connect(self.downloads.begin)
        cards.search_requested.connect(self.downloads.show_dialog)
        sources.stories_requested.connect(adding.add_default_stories)
        sources.resume_requested.connect(self.downloads.resume)
        sources.remove_requested.connect(self.removal.remove)
        sources.stop_requested.connect(sources.show_stopping)
        sources.stop_requested.connect(adding.stop)
        sources.chosen.connect(self._on_chosen)
        sources.notes_requested.connect(self._on_notes)
        sources.folder_requested.connect(self._on_folder)
        sources.weight_requested.connect(self._on_weight)
        self._connect_damage()
        adding.started.connect(self._on_adding_started)
        adding.reported.connect(sources.take)
        adding.added.connect(sources.choose_next)
        adding.ended.connect(self._on_adding_ended)
        self.removal.restored.connect(sources.choose_next)
        self.running.changed.connect(self._show_primary)
        self.downloads.unfinished.connect(sources.show_unfinished)
        self.drop_zone.dropped.connect(self.own_files.take)
        self.hint.pressed.connect(self._on_next_step)
        self.cleaning.rules.changed.connect(self.context.settings_requested)
        self.cleaning.examples_requested.connect(self.figures.show_cleaning)
        self.measures.known.connect(self.figures.measure_rules)
        self.context.listen(SETTINGS, failed=self._on_settings_failed)

    def _connect_damage(self) -> None:
        self.sources.chosen.connect(self.damage.choose)
        self.replacing.known.connect(self.damage.show_origins)
        self.damage.again_requested.connect(self.replacing.make_again)
        self.damage.replace_requested.connect(self.replacing.choose_file)
        self.damage.remove_requested.connect(self.removal.remove)

    # --- Showing ------------------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Show nothing until the overview is known."""
        super().open_project(project)
        self.drop_zone.enabled = project is not None
        self.cleaning.rules.forget_changes()
        self.hint.hide()
        self.damage.show_sources(())
        self._show_primary()
        self.sources.choose_next("")
        self.sources.show_sources(())

    def show_overview(self, overview: "Overview") -> None:
        """Show the current sources and settings."""
        first = self.overview is None
        super().show_overview(overview)
        if first:
            self.cards.choose_language(overview.settings.project.language)
        self.cleaning.rules.show_settings(overview.settings, overview.settings_problem is None)
        self.damage.show_sources(overview.unusable)
        self.sources.show_sources(overview.all_sources)
        self.sources.show_weights(overview.settings.data.weights)
        self.statistics.setEnabled(bool(overview.sources))
        self._show_primary()

    @Slot(str)
    def _on_adding_started(self, title: str) -> None:
        self.sources.begin(title)
        self._show_adding(True)

    @Slot()
    def _on_adding_ended(self) -> None:
        self.sources.end()
        self._show_adding(False)

    def _show_adding(self, adding: bool) -> None:
        self.cards.enable(not adding)
        self.damage.enable(not adding)
        self.add.setEnabled(not adding)
        self.drop_zone.busy = adding
        self._show_primary()

    @Slot()
    def _show_primary(self) -> None:
        """Offer the most useful next action: add texts, prepare and train on them, or watch the running job."""
        overview, running = self.overview, self.running.tab
        has_texts = overview is not None and bool(overview.sources)
        damaged = overview is not None and bool(overview.unusable)
        usable = overview is not None and overview.settings_problem is None and not damaged
        self.prepare.setVisible(has_texts or bool(running))
        self.prepare.setEnabled(bool(running) or (usable and not self.drop_zone.busy))
        self.prepare.setToolTip(_("Replace or remove the source that can't be read first") if damaged else "")
        self.prepare.setText(_("Watch the progress →") if running else _("Prepare and train…"))
        set_role(self.prepare, "" if damaged and not running else "primary")
        set_role(self.add, "" if has_texts or running or damaged else "primary")
        new = overview is not None and overview.steps.tokenizer.value != "ready"
        self.hint.setVisible(has_texts and new and not running and not damaged)

    def _on_settings_failed(self, error: BaseException) -> None:
        del error
        self.cleaning.rules.forget_changes()
        if self.overview is not None:
            self.cleaning.rules.show_settings(self.overview.settings, self.overview.settings_problem is None)

    def show_target(self, target: MoreTexts) -> None:
        """Add more texts, or open the dialog of datasets."""
        if target.origin == "hub":
            self.downloads.show_dialog(target.language)
        elif not self.drop_zone.busy:
            self.adding.add_stories(target.language, DEFAULT_STORIES)

    # --- What the user does -------------------------------------------------------------------------------------

    def _source(self, name: str) -> "Source | None":
        return next((s for s in (self.overview.sources if self.overview else ()) if s.name == name), None)

    @Slot(str)
    def _on_chosen(self, name: str) -> None:
        source = self._source(name)
        self.reading.open_source(source)
        self.account.show_source(source)

    @Slot()
    def _choose_files(self) -> None:
        self.own_files.choose_files()

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

        source = self._source(name)
        if source is not None:
            NotesDialog(_("“{name}”: warnings while reading").format(name=title_of(source)), source.notes, self).open()

    @Slot()
    def _on_prepare(self) -> None:
        if self.running.tab:
            self.context.tab_requested.emit(self.running.tab)
        else:
            self.context.preparation_requested.emit()

    @Slot()
    def _on_next_step(self) -> None:
        self.context.tab_requested.emit("tokenizer")


class NextStepCard(Card):
    """Suggests the tokenizer as the next step, for users who go step by step. Hidden initially."""

    pressed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, role="card-chosen")
        self.content.setContentsMargins(16, 8, 10, 8)
        forward = button(_("Continue to Tokenizer"), self)
        forward.clicked.connect(self.pressed)
        words = label(_("Your texts are here. “Prepare and train” does all that remains. Or go step by step; the "
                        "next one learns how to split them into tokens."), self, wrap=True)  # fmt: skip
        line = row(words, forward)
        line.setStretch(0, 1)
        self.content.addLayout(line)
        self.hide()

"""The tab Tokenizer: train one or import it, inspect it, and prepare the tokens."""

from itertools import pairwise
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QAbstractSpinBox, QFileDialog, QPushButton, QSlider, QWidget

from llm_studio.i18n import _
from llm_studio.ui.page import Page
from llm_studio.ui.tabs.tokenizer.columns import TokenizerColumns
from llm_studio.ui.tabs.tokenizer.controller import TokenizerController
from llm_studio.ui.tabs.tokenizer.inspection_controller import InspectionController
from llm_studio.ui.tabs.tokenizer.status_cards import JobCard, NoteCard
from llm_studio.ui.tasks import SETTINGS
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, EmptyState, button
from llm_studio.workflows.overview import State

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project


class TokenizerPage(Page):
    """Shows what the project's tokenizer does with texts. The next step is its only primary button."""

    def __init__(self, parent: QWidget) -> None:
        subtitle = _("Splits texts into tokens, parts of words learned from your texts (byte-level BPE).")
        super().__init__(_("Tokenizer"), subtitle, parent)
        self.jobs = TokenizerController(self.context)
        self.inspection = InspectionController(self.context)
        self.bring = button(_("Import…"), self, self._choose_file,
                            tip=_("Use a tokenizer.json made elsewhere, byte-level BPE such as GPT-2’s."))  # fmt: skip
        self.train = button(_("Train the tokenizer"), self, self._train)
        self.go = button(_("Prepare the tokens →"), self, self._go)
        for made in (self.bring, self.train, self.go):  # in the head, where they are visible even in a small window
            self.head_buttons.addWidget(made)
        self.note, self.job = NoteCard(self), JobCard(self)
        self.no_texts = Card(self)
        empty = EmptyState(
            self.no_texts, _("No texts yet"),
            _("A tokenizer is trained on texts. Add some first, or import a tokenizer.json made elsewhere."),
            _("Add texts →"),
        )  # fmt: skip
        empty.pressed.connect(self._go_to_data)
        self.no_texts.content.addWidget(empty)
        self.columns = TokenizerColumns(self)
        self.body.addWidget(self.note)
        self.body.addWidget(self.job)
        self.body.addWidget(self.no_texts, 1)
        self.body.addWidget(self.columns, 1)
        self.first = (self.columns.playground.input,)
        self._connect()
        _set_tab_order(self)
        self._update()

    def _connect(self) -> None:
        self.job.stop_requested.connect(self.context.stop_requested)
        self.columns.untrained.pressed.connect(self._train)
        self.columns.settings.changed.connect(self.context.settings_requested)
        self.jobs.started.connect(self._on_job_started)
        self.jobs.event_reported.connect(self.job.take)
        self.jobs.ended.connect(self._on_job_ended)
        self.jobs.preparing.connect(self.inspection.set_preparing)
        self.inspection.lab_changed.connect(self._show_lab)
        self.inspection.bench_changed.connect(self._show_notes)
        self.inspection.counts_changed.connect(self._show_counts)
        self.inspection.figures_changed.connect(self.columns.show_figures)
        self.inspection.counting.connect(self.columns.vocabulary.say_counting)
        self.inspection.measuring.connect(self.columns.quality.say)
        self.context.listen(SETTINGS, failed=self._on_settings_failed)

    # --- Showing ----------------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Forget everything about the previous project."""
        super().open_project(project)
        self.columns.playground.forget()
        self.columns.settings.forget()
        self._update()

    def show_overview(self, overview: "Overview") -> None:
        """Show the settings and the possible actions."""
        self.columns.playground.begin(overview.settings.project.language)
        super().show_overview(overview)
        self.columns.settings.show_settings(overview.settings)
        self._update()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Load the tokenizer only now."""
        super().showEvent(event)
        self.inspection.set_visible(True)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  Qt's
        """Load nothing while the page is hidden."""
        super().hideEvent(event)
        self.inspection.set_visible(False)

    @Slot()
    def _show_lab(self) -> None:
        self.columns.show_lab(self.inspection.lab)

    @Slot()
    def _show_counts(self) -> None:
        self.columns.show_counts(self.inspection.counts)

    def _update(self) -> None:
        """Show what is available, hide what can't be used yet, and mark the only primary button."""
        overview, step = self.overview, self.jobs.next_step()
        usable = overview is not None and overview.settings_problem is None
        free = usable and not self.jobs.running
        has_texts = overview is not None and overview.steps.data is State.READY and not overview.unusable
        has_tokenizer = overview is not None and overview.tokenizer is not None
        self.no_texts.setVisible(step == "texts" and not has_tokenizer)
        self.columns.setVisible(overview is not None and (step != "texts" or has_tokenizer))
        self.columns.show_parts(has_tokenizer)
        self.columns.settings.setEnabled(usable)
        elsewhere = {"texts": _("Add texts →"), "sources": _("Go to the sources →"),
                     "model": _("Continue to the model →")}  # fmt: skip
        self.go.setText(elsewhere.get(step) or _("Prepare the tokens →"))
        self.bring.setEnabled(free)
        self.train.setEnabled(free and has_texts)
        self.go.setEnabled(step in elsewhere or (free and has_texts and has_tokenizer))
        self.columns.untrained.findChildren(QPushButton)[0].setEnabled(self.train.isEnabled())
        add_texts = self.no_texts.findChildren(QPushButton)[0]
        primary = self.train if step == "train" else self.go
        if step == "texts" and not has_tokenizer:
            primary = add_texts
        for made in (add_texts, self.train, self.go):
            set_role(made, "primary" if made is primary else "")
        self._show_notes()

    @Slot()
    def _show_notes(self) -> None:
        """Show what is out of date or can't be used, and why."""
        overview, bench = self.overview, self.inspection.bench
        text = ""
        if overview is not None and overview.settings_problem is not None:
            text = _("The settings can’t be used: fix them on the Model tab.")
        elif overview is not None and overview.unusable:
            text = overview.unusable[0].problem + " " + _("No tokens can be prepared until it is replaced or removed.")
        elif overview is not None and overview.tokenizer is not None and bench is not None and not self.jobs.running:
            text = " ".join(bench.reasons)
        self.note.say(text)
        self.columns.show_invitation(bench.problem if bench is not None else None)

    # --- What the user does -----------------------------------------------------------------------------------

    @Slot()
    def _go_to_data(self) -> None:
        self.context.tab_requested.emit("data")

    @Slot()
    def _go(self) -> None:
        step = self.jobs.next_step()
        if step in ("texts", "sources", "model"):
            self.context.tab_requested.emit("model" if step == "model" else "data")
        else:
            self.jobs.prepare()

    @Slot()
    def _train(self) -> None:
        self.jobs.train(self.columns.settings.waiting())

    @Slot()
    def _choose_file(self) -> None:
        dialog = QFileDialog(self, _("Import tokenizer.json"), "", _("Tokenizers (*.json)"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.jobs.import_file)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str, str)
    def _on_job_started(self, key: str, title: str) -> None:
        self.job.begin(key, title)
        self._update()

    @Slot(str)
    def _on_job_ended(self, key: str) -> None:
        self.job.end(key)
        self._update()

    def _on_settings_failed(self, _error: BaseException) -> None:
        self.columns.settings.forget()
        if self.overview is not None:
            self.columns.settings.show_settings(self.overview.settings)


def _set_tab_order(page: TokenizerPage) -> None:
    """Set the tab order to the reading order."""
    parts = page.columns
    merges, vocabulary, settings = parts.merges, parts.vocabulary, parts.settings
    chain: list[QWidget] = [
        page.bring, page.train, page.go, page.job.stop, parts.playground.input, parts.playground.pane.view,
        merges.back, merges.play, merges.forward, merges.steps, *vocabulary.order.findChildren(QPushButton),
        vocabulary.search, vocabulary.table, *settings.vocabulary.findChildren(QAbstractSpinBox),
        *settings.vocabulary.findChildren(QSlider), settings.frequency, settings.digits,
    ]  # fmt: skip
    for before, after in pairwise(chain):
        QWidget.setTabOrder(before, after)

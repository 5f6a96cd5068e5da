"""The tab Tokenizer: train one or import it, look into it, and prepare the tokens."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QAbstractSpinBox, QFileDialog, QHBoxLayout, QPushButton, QSlider, QVBoxLayout, QWidget

from llm_studio.events import Event, Notice
from llm_studio.i18n import _, number, short_number
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tabs.tokenizer.inspection import COUNT, LookingPage
from llm_studio.ui.tabs.tokenizer.parts import JobCard, NoteCard
from llm_studio.ui.tabs.tokenizer.settings import SettingsCard
from llm_studio.ui.tasks import SETTINGS, BackgroundJob
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import Card, EmptyState, button
from llm_studio.workflows.overview import State
from llm_studio.workflows.tokenizer import lab
from llm_studio.workflows.tokenizer.prepare import prepare_tokens

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.tokenizer.lab import Replaced
    from llm_studio.workflows.tokenizer.prepare import Prepared
    from llm_studio.workflows.tokenizer.train import TrainedTokenizer

TRAIN, PREPARE, IMPORT, RESTORE = "tokenizer/train", "tokenizer/prepare", "tokenizer/import", "tokenizer/restore"
_RIGHT = 282

Next = Literal["texts", "train", "prepare", "model"]


class TokenizerPage(LookingPage):
    """Shows what the project's tokenizer makes of texts. The next thing to do is its one primary button."""

    def __init__(self, parent: QWidget) -> None:
        subtitle = _("Splits texts into tokens, parts of words learned from your texts (byte-level BPE).")
        super().__init__(_("Tokenizer"), subtitle, parent)
        self._notices: list[str] = []
        self._build()
        self._listen()
        self._update()

    def _build(self) -> None:
        self.bring = button(_("Import…"), self, self._choose_file,
                            tip=_("Use a tokenizer.json made elsewhere, byte-level BPE such as GPT-2’s."))  # fmt: skip
        self.train = button(_("Train the tokenizer"), self, self._train)
        self.go = button(_("Prepare the tokens →"), self, self._go)
        self.head_buttons.addWidget(self.bring)
        self.head_buttons.addWidget(self.train)
        self.head_buttons.addWidget(self.go)  # not below the cards, as first drawn: there a small window would hide it
        self.note, self.job = NoteCard(self), JobCard(self)
        self.job.stop_requested.connect(self.context.stop_requested)
        self.body.addWidget(self.note)
        self.body.addWidget(self.job)
        self.no_texts = Card(self)
        empty = EmptyState(
            self.no_texts, _("No texts yet"),
            _("A tokenizer is trained on texts. Add some first, or import a tokenizer.json made elsewhere."),
            _("Add texts →"),
        )  # fmt: skip
        empty.pressed.connect(self._go_to_data)
        self.no_texts.content.addWidget(empty)
        self.body.addWidget(self.no_texts, 1)
        columns = QHBoxLayout(self.columns)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(GAP)
        columns.addLayout(self._left(), 1)
        columns.addWidget(self._right())
        self.body.addWidget(self.columns, 1)
        _chain(self)

    def _left(self) -> QVBoxLayout:
        left = QVBoxLayout()
        left.setSpacing(GAP)
        self.no_tokenizer = Card(self.columns)
        self.untrained = EmptyState(self.no_tokenizer, "", "", _("Train the tokenizer"))
        self.untrained.pressed.connect(self._train)
        self.no_tokenizer.content.addWidget(self.untrained)
        left.addWidget(self.no_tokenizer, 1)
        left.addWidget(self.playground)
        left.addWidget(self.merges)
        left.addWidget(self.vocabulary, 1)
        return left

    def _right(self) -> QWidget:
        right = QWidget(self.columns)
        right.setFixedWidth(_RIGHT)
        inside = QVBoxLayout(right)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(GAP)
        self.settings = SettingsCard(right)
        self.settings.changed.connect(self.context.settings_requested)
        inside.addWidget(self.settings)
        inside.addWidget(self.quality)
        inside.addWidget(self.curve, 1)
        self.room = QWidget(right)
        inside.addWidget(self.room, 1)
        return right

    def _listen(self) -> None:
        self.context.listen(TRAIN, started=self._on_started, reported=self._on_reported, succeeded=self._on_trained,
                    ended=self._on_train_ended)  # fmt: skip
        self.context.listen(PREPARE, started=self._on_started, reported=self._on_reported, succeeded=self._on_prepared,
                    ended=self._on_prepare_ended)  # fmt: skip
        self.context.listen(IMPORT, started=self._on_started, reported=self._on_reported, succeeded=self._on_imported,
                    ended=self._on_import_ended)  # fmt: skip
        self.context.listen(SETTINGS, failed=self._on_settings_failed)

    # --- The project ------------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Forget the project before."""
        super().open_project(project)
        self.settings.forget()
        self._update()

    def show_overview(self, overview: "Overview") -> None:
        """Show where the project stands."""
        super().show_overview(overview)
        self.settings.show_settings(overview.settings)
        self._update()

    def bench_shown(self) -> None:
        """The tokenizer was looked at anew: say what is out of date, and why."""
        self._say_why()

    def _next(self) -> Next:
        """The next sensible thing to do."""
        here = self.overview
        if here is None or (here.tokenizer is None and here.steps.data is State.READY):
            return "train"
        if here.steps.data is not State.READY:
            return "texts"
        if here.steps.tokenizer is not State.READY:
            return "train"
        return "model" if here.steps.tokens is State.READY else "prepare"

    def _update(self) -> None:
        """Show what there is, hide what can't be used yet, and mark the one primary button."""
        here, step = self.overview, self._next()
        busy = bool(self.job.key) or here is None or here.settings_problem is not None
        has_texts = here is not None and here.steps.data is State.READY
        has_tokenizer = here is not None and here.tokenizer is not None
        self.no_texts.setVisible(here is not None and not has_texts and not has_tokenizer)
        self.columns.setVisible(here is not None and (has_texts or has_tokenizer))
        self.no_tokenizer.setVisible(not has_tokenizer)
        for part in (self.playground, self.merges, self.vocabulary, self.quality, self.curve):
            part.setVisible(has_tokenizer)
        self.room.setVisible(not has_tokenizer)
        self.go.setText({"texts": _("Add texts →"), "model": _("Continue to the model →")}.get(step)
                        or _("Prepare the tokens →"))  # fmt: skip
        self.bring.setEnabled(not busy)
        self.train.setEnabled(not busy and has_texts)
        self.go.setEnabled(step in ("texts", "model") or (not busy and has_texts and has_tokenizer))
        self.settings.setEnabled(here is not None and here.settings_problem is None)
        no_texts = self.no_texts.findChildren(type(self.go))[0]
        self.untrained.findChildren(type(self.go))[0].setEnabled(self.train.isEnabled())
        shown = no_texts if step == "texts" and not has_tokenizer else self.train if step == "train" else self.go
        for made in (no_texts, self.train, self.go):
            set_role(made, "primary" if made is shown else "")
        self._say_why()

    def _say_why(self) -> None:
        here, bench = self.overview, self.bench
        problem = bench.problem if bench is not None else None
        if here is not None and here.settings_problem is not None:
            self.note.say(_("The settings can’t be used: fix them on the Model tab."))
        elif here is not None and bench is not None and here.tokenizer is not None and not self.job.key:
            self.note.say(" ".join(bench.reasons))
        else:
            self.note.say("")
        self.untrained.say(
            _("The tokenizer can’t be used") if problem else _("No tokenizer yet"),
            str(problem)
            if problem
            else _(
                "It learns the parts of words that are frequent in your texts. With the settings on the right, "
                "this takes between seconds and a few minutes."
            ),
            _("Train the tokenizer"),
        )

    # --- Jobs -------------------------------------------------------------------------------------------------

    @Slot()
    def _go_to_data(self) -> None:
        self.context.tab_requested.emit("data")

    @Slot()
    def _go(self) -> None:
        step = self._next()
        if step in ("texts", "model"):
            self.context.tab_requested.emit("data" if step == "texts" else "model")
        elif self.project is not None:
            project = self.project
            self.context.request(
                BackgroundJob(
                    PREPARE,
                    lambda job: prepare_tokens(project, job),
                    _("Preparing the tokens"),
                    tab="tokenizer",
                    changes_project=True,
                )
            )

    @Slot()
    def _train(self) -> None:
        if self.project is not None:
            project, changes = self.project, self.settings.waiting()
            self.context.request(BackgroundJob(TRAIN, lambda job: lab.train_with(project, changes, job),
                                 _("Training the tokenizer"), tab="tokenizer", changes_project=True))  # fmt: skip

    @Slot()
    def _choose_file(self) -> None:
        dialog = QFileDialog(self, _("Import tokenizer.json"), "", _("Tokenizers (*.json)"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.import_file)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def import_file(self, path: str) -> None:
        """Take this file as the project's tokenizer."""
        if self.project is not None:
            project = self.project
            self.context.request(BackgroundJob(IMPORT, lambda job: lab.import_tokenizer(project, Path(path)),
                                 _("Importing the tokenizer"), tab="tokenizer", changes_project=True))  # fmt: skip

    @Slot(object)
    def _on_started(self, task: BackgroundJob) -> None:
        self._notices = []
        self.preparing = task.key == PREPARE
        if self.preparing:
            self.context.stop_requested.emit(COUNT)  # Windows replaces no file that is being read
        self.job.begin(task.key, task.title)
        self._update()

    @Slot(object)
    def _on_reported(self, event: Event) -> None:
        if isinstance(event, Notice):
            self._notices.append(event.text)
        self.job.take(event)

    @Slot(object)
    def _on_trained(self, trained: "TrainedTokenizer") -> None:
        size = number(trained.vocab_size)
        if trained.vocab_size < trained.asked:
            said = _("The texts contain no more pairs worth merging: the tokenizer has {n} tokens instead of {asked}.")
            self.context.toast_requested.emit(Toast(said.format(n=size, asked=number(trained.asked))))
        else:
            rate = number(trained.characters_per_token, 2)
            said = _("The tokenizer has {n} tokens: {rate} characters per token.").format(n=size, rate=rate)
            self.context.toast_requested.emit(Toast(said))

    @Slot(object)
    def _on_prepared(self, prepared: "Prepared") -> None:
        total = short_number(prepared.train_tokens + prepared.validation_tokens)
        self.context.toast_requested.emit(Toast(" ".join([_("{n} tokens are ready.").format(n=total), *self._notices])))

    @Slot(object)
    def _on_imported(self, before: "Replaced") -> None:
        if self.project is not None:
            project = self.project
            undo = BackgroundJob(RESTORE, lambda job: lab.restore_tokenizer(project, before),
                        _("Undoing the import"), tab="tokenizer", changes_project=True)  # fmt: skip
            size = number(before.vocab_size)
            self.context.toast_requested.emit(Toast(_("The tokenizer was imported: {n} tokens.").format(n=size), undo))

    @Slot()
    def _on_train_ended(self) -> None:
        self._ended(TRAIN)

    @Slot()
    def _on_prepare_ended(self) -> None:
        self.preparing = False
        self._ended(PREPARE)

    @Slot()
    def _on_import_ended(self) -> None:
        self._ended(IMPORT)

    def _ended(self, key: str) -> None:
        self.job.end(key)
        self._update()

    @Slot(object)
    def _on_settings_failed(self, _error: BaseException) -> None:
        self.settings.forget()
        if self.overview is not None:
            self.settings.show_settings(self.overview.settings)


def _chain(page: TokenizerPage) -> None:
    """Tab goes through the page as it is read, whatever was made first."""
    merges, words, settings = page.merges, page.vocabulary, page.settings
    chain: list[QWidget] = [
        page.bring, page.train, page.go, page.job.stop, page.playground.input, page.playground.pane.view,
        merges.back, merges.play, merges.forward, merges.steps, *words.order.findChildren(QPushButton),
        words.search, words.table, *settings.vocabulary.findChildren(QAbstractSpinBox),
        *settings.vocabulary.findChildren(QSlider), settings.frequency, settings.digits,
    ]  # fmt: skip
    for before, after in pairwise(chain):
        QWidget.setTabOrder(before, after)

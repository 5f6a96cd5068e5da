"""The tab Export: choose a run and a checkpoint, see what will be in the archive, and write it."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QStandardPaths, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QShowEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QFileDialog, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from llm_studio.errors import StudioError
from llm_studio.events import CheckpointSaved, Event, Progress
from llm_studio.i18n import _, number, size
from llm_studio.jobs import Job
from llm_studio.ui.page import Page, Toast
from llm_studio.ui.session import TRAINING
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import Card, EmptyState, KeyValues, button, label, row
from llm_studio.ui.widgets.table import Cell, Table
from llm_studio.ui.worker import Task

if TYPE_CHECKING:
    from llm_studio.workflows.export import Exported, Saved
    from llm_studio.workflows.overview import Overview, Project

ZIP = "export/zip"
_CHECKPOINTS = "export/checkpoints"
_UNITS = 1000
"""Of the progress bar, which counts in 32 bits."""


class ArchiveCard(Card):
    """What will be in the archive, and whether the optimizer's state is among it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("In the archive"))
        self.files = KeyValues(self)
        for key, name in {
            "model.safetensors": _("Weights of the model"), "tokenizer.json": _("Tokenizer"),
            "config.yaml": _("Settings"), "checkpoint.json": _("Step, losses, check sums"),
            "optimizer.safetensors": _("State of the optimizer"), "total": _("Size of the archive"),
        }.items():  # fmt: skip
            self.files.add(key, name, "" if key == "total" else key)
        self.with_training = QCheckBox(_("With all that is needed to go on training"), self)
        self.with_training.setToolTip(_("Adds the optimizer's state, which is twice the size of the weights."))
        self.content.addWidget(self.files)
        self.content.addSpacing(4)
        self.content.addWidget(self.with_training)
        words = _("Open formats: the weights are safetensors, the tokenizer is a tokenizer.json of Hugging Face.")
        self.content.addWidget(label(words, self, "caption", wrap=True))

    def show_content(self, saved: "Saved | None") -> None:
        """Show the files of a checkpoint, and how large the archive will be."""
        included = saved.chosen(self.with_training.isChecked()) if saved else {}
        for name in ("model.safetensors", "tokenizer.json", "config.yaml", "checkpoint.json", "optimizer.safetensors"):
            left_out = _("left out") if saved and name in saved.sizes else "–"
            self.files.show_value(name, size(included[name]) if name in included else left_out,
                                  "value" if name in included else "muted")  # fmt: skip
        self.files.show_value("total", _("about {size}").format(size=size(sum(included.values()))) if saved else "–")


class ExportPage(Page):
    """Shows the checkpoints of a run and asks for the archive of one."""

    def __init__(self, parent: QWidget) -> None:
        subtitle = _("A trained model as one file, to keep it, to give it away, or to take it to another computer.")
        super().__init__(_("Export"), subtitle, parent)
        self._saved: list[Saved] = []
        self._signature: object = None
        self._stale = True
        self._result: Path | None = None
        self.primary = button(_("Export as zip…"), self, self._choose_file, "primary")
        self.head_buttons.addWidget(self.primary)
        self.empty = EmptyState(
            self, _("Nothing to export yet"),
            _("A model can be exported as soon as a training has saved its first checkpoint."), _("Go to Training"),
        )  # fmt: skip
        self.empty.pressed.connect(self._go_to_training)
        self._content = QWidget(self)
        columns = QHBoxLayout(self._content)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(GAP)
        columns.addWidget(self._make_choice(), 3)
        right = QVBoxLayout()
        right.setSpacing(GAP)
        self.archive = ArchiveCard(self._content)
        self.archive.with_training.toggled.connect(self._show_archive)
        right.addWidget(self.archive)
        right.addWidget(self._make_progress())
        right.addWidget(self._make_result())
        right.addStretch(1)
        columns.addLayout(right, 2)
        self.body.addWidget(self.empty, 1)
        self.body.addWidget(self._content, 1)
        self.listen(_CHECKPOINTS, succeeded=self._show_checkpoints, failed=self._show_problem)
        self.listen(ZIP, started=self._on_started, reported=self._on_progress, succeeded=self._on_exported,
                    ended=self._on_ended)  # fmt: skip
        self.listen(TRAINING, reported=self._on_training)
        self._forget()

    # --- Building ---------------------------------------------------------------------------------------------

    def _make_choice(self) -> Card:
        card = Card(self._content, _("Which model"))
        self.runs = QComboBox(card)
        self.runs.setAccessibleName(_("Run"))
        self.runs.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.runs.setMinimumContentsLength(18)
        self.runs.activated.connect(self._on_run_chosen)
        title = label(_("Run"), card)
        title.setBuddy(self.runs)
        columns = (_("Checkpoint"), _("Validation loss"), _("Size"))
        self.table = Table(card, _("Checkpoints of the run"), columns, right=(1, 2))
        self.table.setMinimumHeight(180)
        self.table.selectionModel().currentChanged.connect(self._show_archive)
        self._problem = label("", card, "warn", wrap=True)
        self._problem.hide()
        chooser = row(title, self.runs)
        chooser.setStretch(1, 1)
        card.content.addLayout(chooser)
        card.content.addWidget(self.table, 1)
        card.content.addWidget(self._problem)
        words = _(
            "The last three checkpoints of a run are kept, and the best: the one with the lowest validation loss."
        )
        card.content.addWidget(label(words, card, "caption", wrap=True))
        return card

    def _make_progress(self) -> Card:
        self._progress = Card(self._content, _("Writing the archive"))
        self._doing = label("", self._progress, "caption")
        self._bar = QProgressBar(self._progress)
        self._bar.setTextVisible(False)
        self._bar.setRange(0, _UNITS)
        self._bar.setAccessibleName(_("Progress of the export"))
        self._stop = button(_("Stop the export"), self._progress, self._ask_to_stop, "small")
        self._progress.content.addWidget(self._bar)
        self._progress.content.addLayout(row(self._doing, None, self._stop))
        return self._progress

    def _make_result(self) -> Card:
        self._done = Card(self._content, _("The archive is ready"))
        self._where = label("", self._done, "caption", wrap=True, selectable=True)
        self._where.setAccessibleName(_("Path of the archive"))
        self._open = button(_("Open the folder"), self._done, self._open_folder)
        self._done.content.addWidget(self._where)
        self._done.content.addLayout(row(self._open, None))
        return self._done

    # --- The project ------------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Forget the archive and the checkpoints of the project before."""
        super().open_project(project)
        self._forget()

    def _forget(self) -> None:
        self._saved, self._signature, self._stale, self._result = [], None, True, None
        self.runs.clear()
        self.table.show_rows([])
        self._done.hide()
        self._progress.hide()
        self._problem.hide()
        self._show_state()

    @Slot(object)
    def show_overview(self, overview: "Overview") -> None:
        """Show the runs; the chosen one stays chosen."""
        super().show_overview(overview)
        signature = tuple((run.name, run.state, run.step, run.bytes) for run in overview.runs)
        if signature == self._signature:
            return
        self._signature = signature
        chosen = self.runs.currentData()
        self.runs.clear()
        for run in reversed(overview.runs):
            steps = _("step {step} of {steps}").format(step=number(run.step), steps=number(run.max_steps))
            self.runs.addItem(f"{run.name} · {steps} · {_(run.state)}", run.name)
        self.runs.setCurrentIndex(max(0, self.runs.findData(chosen)))
        self._ask()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Read the checkpoints when they are first looked at: that imports torch."""
        super().showEvent(event)
        if self._stale:
            self._ask()

    def _ask(self) -> None:
        """Ask for the checkpoints of the chosen run, as soon as the page is on the screen."""
        self._stale = not self.isVisible()
        self._show_state()
        project, run = self.project, self.runs.currentData()
        if self._stale or project is None or not run:
            return
        self.asked.emit(Task(_CHECKPOINTS, lambda job: _checkpoints(project, run), shows_problems=True))

    @Slot(int)
    def _on_run_chosen(self, _index: int) -> None:
        self._saved = []
        self.table.show_rows([])
        self._ask()

    def _on_training(self, event: Event) -> None:
        if isinstance(event, CheckpointSaved):
            self._ask()

    def _show_checkpoints(self, found: "list[Saved]") -> None:
        if found and found[0].run != self.runs.currentData():
            return
        chosen = self.chosen()
        step = chosen.step if chosen and found and chosen.run == found[0].run else None
        self._saved = found
        self._problem.setVisible(not found)
        self._problem.setText(_("This run has no checkpoint that can be read. Choose another one."))
        self.table.show_rows([_row(saved) for saved in found])
        rows = [n for n, saved in enumerate(found) if saved.step == step] or [
            n for n, saved in enumerate(found) if saved.is_best
        ]
        if rows:
            self.table.selectRow(rows[0])
        self._show_archive()

    def _show_problem(self, error: BaseException) -> None:
        self._show_checkpoints([])
        self._problem.setText(str(error) if isinstance(error, StudioError) else _("The checkpoints can't be read."))

    def chosen(self) -> "Saved | None":
        """The checkpoint that is to be exported."""
        index = self.table.chosen()
        return self._saved[index] if 0 <= index < len(self._saved) else None

    @Slot()
    def _show_archive(self) -> None:
        self.archive.show_content(self.chosen())
        self._show_state()

    def _show_state(self) -> None:
        has_run = self.runs.count() > 0
        self.empty.setVisible(not has_run)
        self._content.setVisible(has_run)
        self.primary.setVisible(has_run)
        self.primary.setEnabled(self.chosen() is not None and self._progress.isHidden())

    @Slot()
    def _go_to_training(self) -> None:
        self.tab_asked.emit("training")

    # --- The archive ------------------------------------------------------------------------------------------

    @Slot()
    def _choose_file(self) -> None:
        """Ask where to put the archive; a name without an ending gets one."""
        saved = self.chosen()
        if saved is None or self.project is None:
            return
        documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        dialog = QFileDialog(self, _("Export the model"), documents, _("Zip archives (*.zip)"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("zip")
        dialog.selectFile(f"{self.project.root.name}-{saved.name}.zip")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._export)
        dialog.open()

    @Slot(str)
    def _export(self, target: str) -> None:
        saved, with_training = self.chosen(), self.archive.with_training.isChecked()
        if saved is not None:
            self.asked.emit(
                Task(ZIP, lambda job: _write(saved, Path(target), with_training, job), _("Export"), tab="export")
            )

    def _on_started(self, _task: Task) -> None:
        self._bar.setValue(0)
        self._doing.setText("")
        self._stop.setEnabled(True)
        self._progress.show()
        self._done.hide()
        self._show_state()

    def _on_progress(self, event: Event) -> None:
        if isinstance(event, Progress) and event.total:
            self._bar.setValue(round(_UNITS * event.done / event.total))
            done = _("{done} of {total}").format(done=size(event.done), total=size(event.total))
            self._doing.setText(done)

    @Slot()
    def _ask_to_stop(self) -> None:
        self._stop.setEnabled(False)
        self._doing.setText(_("Stopping…"))
        self.stop_asked.emit(ZIP)

    def _on_exported(self, exported: "Exported") -> None:
        self._result = exported.path
        self._where.setText(_("{path}, {size}").format(path=exported.path, size=size(exported.bytes)))
        self._done.show()
        self.told.emit(Toast(_("The model is exported: {name}").format(name=exported.path.name)))

    def _on_ended(self) -> None:
        self._progress.hide()
        self._show_state()

    @Slot()
    def _open_folder(self) -> None:
        if self._result is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._result.parent)))


def _row(saved: "Saved") -> list[Cell | str]:
    marks = [mark for mark, true in ((_("best"), saved.is_best), (_("last"), saved.is_last)) if true]
    name = _("step {step}").format(step=number(saved.step))
    tip = _("Training loss: {loss}").format(loss=_loss(saved.train_loss))
    return [
        Cell(" · ".join([name, *marks]), bold=saved.is_best, tip=tip), Cell(_loss(saved.validation_loss), tip=tip),
        Cell(size(sum(saved.sizes.values())), tip=tip),
    ]  # fmt: skip


def _loss(value: float | None) -> str:
    return "–" if value is None else number(value, 3)


def _checkpoints(project: "Project", run: str) -> "list[Saved]":
    from llm_studio.workflows.export import checkpoints

    return checkpoints(project, run)


def _write(saved: "Saved", target: Path, with_training: bool, job: Job) -> "Exported":
    from llm_studio.workflows.export import export_zip

    return export_zip(saved, target, with_training, job)

"""The cards of the tab Export: choice of a checkpoint, progress, result. Those of the formats are in `formats.py`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QComboBox, QProgressBar, QWidget

from llm_studio.i18n import _, number, size
from llm_studio.ui.desktop import open_folder
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.ui.widgets.table import Cell, Table

if TYPE_CHECKING:
    from llm_studio.workflows.export import Candidate, Exported
    from llm_studio.workflows.overview import Run

_UNITS = 1000
"""Maximum of the progress bar, which counts in 32 bits."""


class CheckpointCard(Card):
    """Chooses a run and one of its checkpoints."""

    run_chosen = Signal(str)
    checkpoint_changed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Which model"))
        self._checkpoints: list[Candidate] = []
        self.runs = QComboBox(self)
        self.runs.setAccessibleName(_("Run"))
        self.runs.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.runs.setMinimumContentsLength(18)
        self.runs.activated.connect(self._on_run_chosen)
        title = label(_("Run"), self)
        title.setBuddy(self.runs)
        columns = (_("Checkpoint"), _("Validation loss"), _("Bits/byte"), _("Size"))
        self.table = Table(self, _("Checkpoints of the run"), columns, right=(1, 2, 3))
        self.table.setMinimumHeight(130)
        self.table.selectionModel().currentChanged.connect(self.checkpoint_changed)
        self.problem = label("", self, "warn", wrap=True)
        chooser = row(title, self.runs)
        chooser.setStretch(1, 1)
        self.content.addLayout(chooser)
        self.content.addWidget(self.table, 1)
        self.content.addWidget(self.problem)
        words = _("The last three checkpoints of a run and the best one (lowest validation loss) are kept.")
        self.content.addWidget(label(words, self, "caption", wrap=True))

    def show_runs(self, runs: "Sequence[Run]", chosen: str) -> None:
        """Offer the runs, the newest first."""
        self.runs.clear()
        for run in reversed(runs):
            steps = _("step {step} of {steps}").format(step=number(run.step), steps=number(run.max_steps))
            self.runs.addItem(f"{run.name} · {steps} · {_(run.state)}", run.name)
        self.runs.setCurrentIndex(self.runs.findData(chosen))

    def show_checkpoints(self, found: "list[Candidate]", problem: str) -> None:
        """List checkpoints, or say why there are none. The same step stays selected; otherwise the best one is."""
        before = self.chosen()
        step = before.model.step if before and found and before.model.run == found[0].model.run else None
        self._checkpoints = found
        self.problem.setVisible(bool(problem))
        self.problem.setText(problem)
        self.table.show_rows([_row(saved) for saved in found])
        same = [n for n, saved in enumerate(found) if saved.model.step == step]
        best = [n for n, saved in enumerate(found) if saved.is_best]
        for index in (same or best)[:1]:
            self.table.selectRow(index)
        self.checkpoint_changed.emit()

    def chosen(self) -> "Candidate | None":
        """The selected checkpoint."""
        index = self.table.chosen()
        return self._checkpoints[index] if 0 <= index < len(self._checkpoints) else None

    @Slot(int)
    def _on_run_chosen(self, _index: int) -> None:
        self.run_chosen.emit(self.runs.currentData())


class ProgressCard(Card):
    """The progress of an export; hidden while there is none."""

    stop_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Exporting the model"))
        self.state = label("", self, "caption")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setRange(0, _UNITS)
        self.bar.setAccessibleName(_("Progress of the export"))
        self.stop = button(_("Stop the export"), self, self._on_stop, "small")
        self.content.addWidget(self.bar)
        self.content.addLayout(row(self.state, None, self.stop))

    def begin(self) -> None:
        """Show an export that has just started."""
        self.bar.setValue(0)
        self.state.setText("")
        self.stop.setEnabled(True)
        self.show()

    @Slot(float, float)
    def show_progress(self, done: float, total: float) -> None:
        """`done` of `total` bytes have been written."""
        self.bar.setValue(round(_UNITS * done / total))
        self.state.setText(_("{done} of {total}").format(done=size(done), total=size(total)))

    def _on_stop(self) -> None:
        self.stop.setEnabled(False)
        self.state.setText(_("Stopping…"))
        self.stop_requested.emit()


class ResultCard(Card):
    """Where the exported file is; hidden until there is one."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("The export is ready"))
        self._folder: Path | None = None
        self.path = label("", self, "caption", wrap=True, selectable=True)
        self.path.setAccessibleName(_("Path of the export"))
        self.content.addWidget(self.path)
        self.content.addLayout(row(button(_("Open the folder"), self, self._open_folder), None))

    @Slot(object)
    def show_result(self, exported: "Exported") -> None:
        """Show the path of a complete file."""
        self._folder = exported.path if exported.path.is_dir() else exported.path.parent
        self.path.setText(_("{path}, {size}").format(path=exported.path, size=size(exported.bytes)))
        self.show()

    def _open_folder(self) -> None:
        if self._folder is not None:
            open_folder(self._folder)


def _row(saved: "Candidate") -> list[Cell | str]:
    marks = [mark for mark, true in ((_("best"), saved.is_best), (_("last"), saved.is_last)) if true]
    name = _("step {step}").format(step=number(saved.model.step))
    tip = _("Training loss: {loss}").format(loss=_loss(saved.train_loss))
    return [
        Cell(" · ".join([name, *marks]), bold=saved.is_best, tip=tip), Cell(_loss(saved.validation_loss), tip=tip),
        Cell(_loss(saved.bits_per_byte), tip=tip), Cell(size(saved.bytes), tip=tip),
    ]  # fmt: skip


def _loss(value: float | None) -> str:
    return "–" if value is None else number(value, 3)

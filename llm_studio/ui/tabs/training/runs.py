"""The table of runs: which are drawn, their results, and the actions on each."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, Qt, QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QInputDialog, QMenu, QMessageBox, QVBoxLayout, QWidget

from llm_studio.i18n import _, duration, energy, number, short_number, size
from llm_studio.ui.glossary import tip
from llm_studio.ui.widgets.basics import as_plain_text, button, label, line, row
from llm_studio.ui.widgets.table import Cell, Table
from llm_studio.workflows.training.runs import ACTIVE

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview
    from llm_studio.workflows.training.runs import Run

COLORS = ("run_1", "run_2", "run_3", "run_4")
_ROW, _MOST_ROWS = 30, 6
_TERMS = {2: ("parameters",), 3: ("validation_loss",), 4: ("bits_per_byte",), 5: ("max_steps",),
          7: ("checkpoint_interval", "snapshot_megabytes")}  # fmt: skip
"""The glossary terms that explain a column."""
_LAST = 8
"""Index of the last column."""
_STEPS_MOST = 100_000_000


class _RunTable(Table):
    """Space, or a click on the first or last column, toggles drawing a run over the main one."""

    overlay_pressed = Signal(int)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Toggle drawing the selected run on Space."""
        if event.key() == Qt.Key.Key_Space and self.chosen() >= 0:
            self.overlay_pressed.emit(self.chosen())
            return
        super().keyPressEvent(event)


class RunsPanel(QWidget):
    """All runs of the project, the newest first."""

    overlays_changed = Signal(dict)
    """The runs to be drawn over the main one: colours by name."""
    main_requested = Signal(str)
    """A run that the page should show."""
    resume_requested = Signal(str)
    keep_training_requested = Signal(str, int)
    """A finished run, and its new number of steps."""
    rename_requested = Signal(str, str)
    delete_requested = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.overlays: dict[str, str] = {}
        self._runs: list[Run] = []
        self._overview: Overview | None = None
        self._main, self._running, self._busy = "", "", False
        columns = ("", _("Run"), _("Parameters"), _("Val. loss"), _("Bits/byte"), _("Steps"), _("Duration"),
                   _("Disk"), "")  # fmt: skip
        self.table = _RunTable(self, _("Runs of this project"), columns, stretch=1)
        self.table.rows.tips = {column: tip(*terms) for column, terms in _TERMS.items()}
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.overlay_pressed.connect(self._toggle)
        self.table.clicked.connect(self._on_click)
        self.table.doubleClicked.connect(self._on_double_click)
        self.table.selectionModel().selectionChanged.connect(self._show_buttons)
        self._resume = button(_("Resume"), self, self._on_resume, "small")
        self._show = button(_("Show"), self, self._on_show, "small", _("Show the curves and samples of this run"))
        about = _("The settings in which the selected runs differ; all runs if only one is selected")
        self._compare = button(_("Compare"), self, self._on_compare, "small", about)
        self._more = button(_("More"), self, None, "small")
        menu = QMenu(self._more)
        self.rename_action = menu.addAction(_("Rename…"))
        self.rename_action.triggered.connect(self._on_rename)
        self.folder_action = menu.addAction(_("Open the folder"))
        self.folder_action.triggered.connect(self._on_open)
        self.delete_action = menu.addAction(_("Delete…"))
        self.delete_action.triggered.connect(self._on_delete)
        self._more.setMenu(menu)
        self._hint = label(_("Click a circle to overlay a run."), self, "caption", wrap=True)
        inside = row(self._resume, self._show, self._compare, self._more, None, spacing=6)
        inside.insertWidget(4, self._hint, 100)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(6)
        outer.addWidget(line(self))
        outer.addWidget(self.table)
        outer.addLayout(inside)

    # --- Showing ----------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Clear everything: another project was opened."""
        self.overlays = {}
        self._runs, self._overview, self._main, self._running = [], None, "", ""
        self._fill()

    def show_runs(self, overview: "Overview", main: str, running: str, busy: bool) -> None:
        """Show all runs; `main` is the one the page shows, `running` the one that trains in this window."""
        runs = sorted(overview.runs, key=lambda run: run.created, reverse=True)
        same = (runs, main, running, busy) == (self._runs, self._main, self._running, self._busy)
        self._overview = overview
        if same:
            return
        self._runs, self._main, self._running, self._busy = runs, main, running, busy
        self.overlays = {name: color for name, color in self.overlays.items()
                         if name != main and any(run.name == name for run in runs)}  # fmt: skip
        self._fill()

    def _fill(self) -> None:
        chosen = {run.name for run in self.selected()}
        model = self.table.selectionModel()
        model.blockSignals(True)
        self.table.show_rows([self._cells(run) for run in self._runs])
        self.table.clearSelection()
        for place, run in enumerate(self._runs):
            if run.name in chosen:
                model.select(self.table.rows.index(place, 0),
                             model.SelectionFlag.Select | model.SelectionFlag.Rows)  # fmt: skip
        model.blockSignals(False)
        rows = min(_MOST_ROWS, max(1, len(self._runs)))
        self.table.setFixedHeight(_ROW * rows + self.table.horizontalHeader().sizeHint().height() + 4)
        self.setVisible(bool(self._runs))
        self._hint.setVisible(len(self._runs) > 1 and not self.overlays)
        self._show_buttons()

    def _cells(self, run: "Run") -> list[Cell | str]:
        main, color = run.name == self._main, self.overlays.get(run.name, "")
        running = run.name == self._running or run.state in ACTIVE
        live = run.name == self._running  # its record is from the last save; the page above shows more
        name = _("{run} (in progress)").format(run=run.name) if running and not live else run.name
        if not running and run.state != "finished":
            name = f"{run.name} · {_(run.state)}"
        done = "…" if live else number(run.step)
        last = "" if live and _has_time(run) else f" / {number(run.max_steps)}"  # as estimated at its last save
        steps = number(run.step) if run.step == run.max_steps else done + last
        best = "–" if run.best_loss is None else number(run.best_loss, 2)
        bits = "–" if run.best_bits_per_byte is None else number(run.best_bits_per_byte, 3)
        drawn = Cell("●" if main or color else "○", "accent" if main else color or "muted",
                     _("This run is shown") if main else _("Overlay it"))  # fmt: skip
        time = _("in progress") if live else _time_and_energy(run)
        word = Cell("–", "muted") if main else Cell(_("overlaid"), color) if color else Cell(_("overlay"), "muted")
        return [drawn, Cell(name, bold=main), short_number(run.parameters), best, bits, steps,
                time, size(run.bytes), word]  # fmt: skip

    def selected(self) -> "list[Run]":
        """The selected runs, from top to bottom."""
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        return [self._runs[place] for place in rows if place < len(self._runs)]

    def _one(self) -> "Run | None":
        """The run that buttons act on: the selected one, otherwise the displayed one."""
        chosen = self.selected()
        if chosen:
            return chosen[0] if len(chosen) == 1 else None
        return next((run for run in self._runs if run.name == self._main), None)

    @Slot()
    def _show_buttons(self) -> None:
        run = self._one()
        idle = run is not None and run.name != self._running and run.state not in ACTIVE
        finished = run is not None and run.state == "finished"
        self._resume.setText(_("Keep training…") if finished else _("Resume"))
        self._resume.setEnabled(idle and not self._busy)
        self._show.setEnabled(run is not None and run.name != self._main)
        self.rename_action.setEnabled(idle)
        self.delete_action.setEnabled(idle)
        self.folder_action.setEnabled(run is not None)
        self._compare.setEnabled(len(self._runs) > 1)

    # --- Actions of the user ----------------------------------------------------------------------------------

    @Slot(QModelIndex)
    def _on_click(self, index: QModelIndex) -> None:
        if index.column() in (0, _LAST):
            self._toggle(index.row())

    @Slot(int)
    def _toggle(self, place: int) -> None:
        name = self._runs[place].name
        if name == self._main:
            return
        if self.overlays.pop(name, None) is None:
            free = [color for color in COLORS if color not in self.overlays.values()]
            if not free:  # replace the one that was added first
                free = [self.overlays.pop(next(iter(self.overlays)))]
            self.overlays[name] = free[0]
        self._fill()
        self.overlays_changed.emit(dict(self.overlays))

    @Slot(QModelIndex)
    def _on_double_click(self, index: QModelIndex) -> None:
        if index.column() not in (0, _LAST):
            self.main_requested.emit(self._runs[index.row()].name)

    def _on_show(self) -> None:
        run = self._one()
        if run:
            self.main_requested.emit(run.name)

    def _on_resume(self) -> None:
        run = self._one()
        if run and run.state == "finished":
            self.ask_for_more_steps(run)
        elif run:
            self.resume_requested.emit(run.name)

    def ask_for_more_steps(self, run: "Run") -> None:
        """Ask how many more steps a finished run should be trained."""
        dialog = QInputDialog(self)
        dialog.setWindowTitle(_("Keep training"))
        dialog.setInputMode(QInputDialog.InputMode.IntInput)
        dialog.setIntRange(1, _STEPS_MOST)
        dialog.setIntValue(run.step)
        dialog.setOkButtonText(_("Keep training"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def say(more: int) -> None:
            dialog.setLabelText(as_plain_text(_how_many(run, more)))

        def go(more: int) -> None:
            self.keep_training_requested.emit(run.name, run.step + more)

        say(run.step)
        dialog.intValueChanged.connect(say)
        dialog.intValueSelected.connect(go)
        dialog.open()

    @Slot()
    def _on_rename(self) -> None:
        run = self._one()
        if run is None:
            return
        dialog = QInputDialog(self)
        dialog.setWindowTitle(_("Rename the run"))
        dialog.setLabelText(as_plain_text(_("New name of “{run}”:").format(run=run.name)))
        dialog.setTextValue(run.name)
        dialog.setOkButtonText(_("Rename"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def go(name: str) -> None:
            if name.strip() and name.strip() != run.name:
                self.rename_requested.emit(run.name, name.strip())

        dialog.textValueSelected.connect(go)
        dialog.open()

    @Slot()
    def _on_delete(self) -> None:
        run = self._one()
        if run is None:
            return
        box = QMessageBox(self)
        box.setWindowTitle("LLM Studio")
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(_("Delete the run “{run}”?").format(run=run.name))
        box.setInformativeText(
            _(
                "Its checkpoints, curves and samples will be deleted, freeing {size}. This can't be undone. "
                "Favourite samples are kept."
            ).format(size=size(run.bytes))
        )
        delete = box.addButton(_("Delete"), QMessageBox.ButtonRole.DestructiveRole)
        cancel = box.addButton(_("Cancel"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(cancel)
        box.setEscapeButton(cancel)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def answered() -> None:
            if box.clickedButton() is delete:
                self.delete_requested.emit(run.name)

        box.finished.connect(answered)
        box.open()

    @Slot()
    def _on_open(self) -> None:
        run = self._one()
        if run and self._overview:
            from llm_studio.workflows.training.runs import folder

            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder(self._overview.project, run.name))))

    def _on_compare(self) -> None:
        from llm_studio.ui.dialogs.compare_runs import CompareRuns

        chosen = self.selected()
        CompareRuns(chosen if len(chosen) > 1 else self._runs, self).open()


def _time_and_energy(run: "Run") -> str:
    return duration(run.seconds) + ("" if run.joules is None else f" · {energy(run.joules)}")


def _has_time(run: "Run") -> bool:
    """Whether it has a time limit: its number of steps is then an estimate until it ends."""
    return bool(run.settings.get("training", {}).get("minutes"))


def _how_many(run: "Run", more: int) -> str:
    """The question how many more steps to train a run, with the time that `more` steps take at its speed so far."""
    question = _("“{run}” has done {n} steps. How many more steps?").format(run=run.name, n=number(run.step))
    if not run.step or not run.seconds:
        return question
    time = duration(run.seconds / run.step * more)
    return question + "\n" + _("At the speed of this run, that takes about {time}.").format(time=time)

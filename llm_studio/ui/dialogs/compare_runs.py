"""Runs side by side: their results, and the settings in which they differ."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from llm_studio.i18n import _, duration, number, short_number
from llm_studio.ui.widgets.basics import button, label, row
from llm_studio.ui.widgets.table import Cell, Table

if TYPE_CHECKING:
    from llm_studio.workflows.training.runs import Run


class CompareRuns(QDialog):
    """A table with a column per run; the lowest validation loss is highlighted, also in bits per byte."""

    def __init__(self, runs: "list[Run]", parent: QWidget) -> None:
        super().__init__(parent)
        from llm_studio.workflows.training.runs import differences

        self.setWindowTitle(_("Compare runs"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(min(900, 320 + 140 * len(runs)), 460)
        self.table = Table(self, _("Differences between the runs"), ["", *(run.name for run in runs)], stretch=0)
        different = differences(runs)
        settings: list[list[Cell | str]] = [
            [Cell(name, fixed=True), *(_shown(value) for value in values)] for name, values in different.items()
        ]
        self.table.show_rows([*_results(runs), *settings])
        inside = QVBoxLayout(self)
        inside.setContentsMargins(20, 18, 20, 16)
        inside.setSpacing(10)
        if different:
            said = _("The results of the runs, and the settings in which they differ.")
        else:
            said = _("These runs have the same settings.")
        inside.addWidget(label(said, self, "muted", wrap=True))
        inside.addWidget(self.table, 1)
        inside.addLayout(row(None, button(_("Close"), self, self.accept, "primary")))


def _results(runs: "list[Run]") -> list[list[Cell | str]]:
    return [
        [_("Best validation loss"), *_losses([run.best_loss for run in runs])],
        [_("Best bits per byte"), *_losses([run.best_bits_per_byte for run in runs])],
        [_("Parameters"), *(short_number(run.parameters) for run in runs)],
        [_("Steps"), *(number(run.step) for run in runs)],
        [_("Duration"), *(duration(run.seconds) for run in runs)],
    ]


def _losses(losses: "list[float | None]") -> list[Cell | str]:
    """A cell for each loss; the lowest is highlighted."""
    best = min((loss for loss in losses if loss is not None), default=None)
    cells: list[Cell | str] = []
    for loss in losses:
        lowest = best is not None and loss == best
        cells.append(Cell("–" if loss is None else number(loss, 3), "ok" if lowest else "", bold=lowest))
    return cells


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return "–" if value is None else str(value)

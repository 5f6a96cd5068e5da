"""Bits per byte in the window: beside each validation loss, and absent where an earlier version trained the run."""

import re
from collections.abc import Sequence

from PySide6.QtCore import QAbstractItemModel, QModelIndex
from PySide6.QtWidgets import QLabel

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import registry
from llm_studio.ui.dialogs.compare_runs import CompareRuns
from llm_studio.ui.tabs.training.controls import LOSS_KEY
from llm_studio.ui.tabs.training.curves import values_at
from llm_studio.workflows.training import train
from tests.training.test_bits_per_byte import forget_bits
from tests.ui.driver import Driver

FIGURE = re.compile(r"\d\.\d{3}\u00a0bits/byte")


def row(model: QAbstractItemModel, place: int) -> list[str]:
    return [model.index(place, column, QModelIndex()).data() for column in range(model.columnCount())]


def compared(dialog: CompareRuns, name: str) -> Sequence[str]:
    model = dialog.table.model()
    return next(cells for place in range(model.rowCount()) if (cells := row(model, place))[0] == name)[1:]


def test_bits_per_byte_stand_beside_each_validation_loss(opened: Driver, project: Project) -> None:
    for seed in (1, 2):
        train.train(project, Job(), changes={"training.max_steps": 12, "training.seed": seed})
    forget_bits(project, "run-1")
    opened.session.refresh()
    page = opened.page("training")
    opened.settle()
    opened.qtbot.waitUntil(lambda: page.view.card.baselines is not None and not page.view.drawing.isActive())
    best = registry.read(project, "run-2").best_bits_per_byte
    assert best is not None

    notes = [part.text() for part in page.view.figures.findChildren(QLabel)]
    assert any(FIGURE.search(note) for note in notes)
    newest, older = (row(page.view.runs.table.model(), place) for place in (0, 1))
    assert (newest[4], older[4]) == (f"{best:.3f}", "–")
    assert all(FIGURE.search(text) for _value, text in page.view.card.plot._levels.levels)

    page.view.runs._toggle(1)
    opened.settle()
    opened.qtbot.waitUntil(lambda: bool(page.view.card.overlays))
    card = page.view.card
    shown = dict(values_at(card.curves, card.overlays, LOSS_KEY, 0.0, 12.0))
    (validation,) = [text for text in shown if text.startswith("validation")]
    assert FIGURE.search(validation)
    (overlaid,) = [text for text in shown if text.startswith("run-1")]
    assert "bits" not in overlaid
    (other,) = [text for text in dict(values_at(card.overlays[0][0], [(card.curves, "run_1")], LOSS_KEY, 0.0, 12.0))
                if text.startswith("run-2")]  # fmt: skip
    assert re.fullmatch(rf"run-2 \d\.\d\d · validation {FIGURE.pattern}", other)

    opened.click("Compare", page)
    dialog = opened.dialog(CompareRuns)
    assert sorted(compared(dialog, "Best bits per byte")) == [f"{best:.3f}", "–"]
    dialog.accept()


def test_the_checkpoints_to_export_show_bits_per_byte(opened: Driver, project: Project) -> None:
    train.train(project, Job(), changes={"training.max_steps": 12})
    opened.session.refresh()
    page = opened.page("export")
    opened.settle()
    model = page.checkpoints.table.model()
    shown = [row(model, place)[2] for place in range(model.rowCount())]
    assert f"{registry.read(project, 'run-1').best_bits_per_byte:.3f}" in shown

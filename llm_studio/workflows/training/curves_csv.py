"""The curves of a run as a table for spreadsheets."""

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio import files
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.workflows.training.curves import Curves

_NAMES = (
    "step", "loss", "learning_rate", "gradient_norm", "tokens_per_second", "tokens", "validation_loss",
    "validation_bits_per_byte",
)  # fmt: skip
_CHECKED_ROWS = 5000
"""Rows between two checks whether the job should end."""


def export_csv(curves: "Curves", path: Path, job: Job) -> Path:
    """Write a run's figures as CSV, one line per step. Raises StorageError, Cancelled."""
    steps, *evaluated = (curves.evaluations.column(index) for index in range(3))
    measured = dict(zip(steps, zip(*evaluated, strict=True), strict=True))
    columns = [curves.steps.column(index) for index in range(6)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_NAMES)
    for count, row in enumerate(zip(*columns, strict=True)):
        if count % _CHECKED_ROWS == 0:
            job.check()
        step, *figures, tokens = row
        losses = measured.get(step, (math.nan, math.nan))
        writer.writerow([int(step), *map(_cell, figures), int(tokens), *map(_cell, losses)])
    files.write_text(path, text.getvalue())
    return path


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))

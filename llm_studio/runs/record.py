"""The record of a run: run.json in its folder, with all settings and what the run was made with."""

import datetime
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llm_studio import files
from llm_studio.config import Settings
from llm_studio.data.tokens.bits_per_byte import bits_per_byte
from llm_studio.errors import ProjectError
from llm_studio.i18n import N_, _

STATES = (N_("running"), N_("waiting"), N_("stopped"), N_("finished"), N_("failed"), N_("interrupted"))

ACTIVE = ("running", "waiting")
"""States of a run that a process is training; "waiting": for free disk space."""

VERSION = 1
FILE = "run.json"


@dataclass(frozen=True)
class Run:
    """What is known of one run. `state` is one of STATES."""

    name: str
    created: str
    state: str
    step: int
    max_steps: int
    seconds: float
    parameters: int
    train_loss: float | None
    best_loss: float | None
    settings: dict[str, dict[str, Any]]
    machine: dict[str, str]
    data: str
    bytes: int = 0
    continued_from: str = ""
    """The checkpoint whose weights it started with: RUN/step-000500, or a folder of another project."""
    conversations: bool = False
    """Whether it was trained on conversations, so that its model can be asked questions."""
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """What was changed during the run, each with its step: settings, the micro-batch, the learning rate."""
    joules: float | None = None
    """Energy used by the graphics cards of this machine, where they report it."""
    bytes_per_token: float | None = None
    """Mean bytes of the validation tokens that its loss is measured on; None in records of earlier versions."""

    @property
    def best_bits_per_byte(self) -> float | None:
        """The lowest validation loss in bits per byte, which compares across vocabularies."""
        return bits_per_byte(self.best_loss, self.bytes_per_token)


def best_of(runs: Iterable[Run]) -> Run | None:
    """The run with the best model, see `ranked`; None where no model was evaluated."""
    return next(iter(ranked(runs)), None)


def ranked(runs: Iterable[Run]) -> list[Run]:
    """The runs whose validation losses compare with that of the newest one, the best first.

    They compare in bits per byte, since vocabularies may differ. Where an earlier version hasn't recorded these, only
    runs on the same tokens compare. The loss of answers alone compares with none of whole texts.
    """
    evaluated = [run for run in runs if run.best_loss is not None]
    if not evaluated:
        return []
    newest = max(evaluated, key=lambda run: run.created)
    lengths = {run.data: run.bytes_per_token for run in evaluated if run.bytes_per_token}
    losses: dict[str, float | None] = {}
    for run in evaluated:
        if newest.data in lengths:
            losses[run.name] = bits_per_byte(run.best_loss, run.bytes_per_token or lengths.get(run.data))
        elif run.data == newest.data:
            losses[run.name] = run.best_loss
    known = {name: loss for name, loss in losses.items() if loss is not None}
    alike = [run for run in evaluated if run.name in known and _loss_on(run) == _loss_on(newest)]
    return sorted(alike, key=lambda run: known[run.name])


def _loss_on(run: Run) -> str:
    return run.settings.get("training", {}).get("loss_on", "all")


def write(folder: Path, run: Run) -> None:
    """Write the record of a run into its folder. Raises StorageError."""
    record = {"version": VERSION, **asdict(run)}
    del record["name"], record["bytes"]  # known from the folder
    files.write_json(folder / FILE, record)


def read(folder: Path) -> Run | None:
    """The record in the folder of a run; None where it is absent or damaged.

    `bytes` isn't filled in. Raises ProjectError where a newer program wrote it.
    """
    record = files.read_json(folder / FILE) or {}
    if record.get("version", 0) > VERSION:
        raise ProjectError(
            _("The run “{name}” was made by a newer LLM Studio.").format(name=folder.name), _("Update the program.")
        )
    try:
        return Run(name=folder.name, **{key: record[key] for key in Run.__dataclass_fields__ if key in record})
    except TypeError:
        return None


def new(name: str, settings: Settings, parameters: int, torch_version: str, data: str) -> Run:
    """The record of a run that starts now."""
    return Run(
        name=name,
        created=now(),
        state="running",
        step=0,
        max_steps=settings.training.max_steps,
        seconds=0.0,
        parameters=parameters,
        train_loss=None,
        best_loss=None,
        settings=settings.to_dict(),
        machine=this_machine(torch_version),
        data=data,
    )


def now() -> str:
    """The current time, for records."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def this_machine(torch_version: str) -> dict[str, str]:
    """The versions of system, Python and torch that a run is made with."""
    return {"system": platform.platform(), "python": platform.python_version(), "torch": torch_version}

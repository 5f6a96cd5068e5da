"""The record of a run: run.json in its folder, with all settings and the hardware and software it used."""

import datetime
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from llm_studio import files, records
from llm_studio.config import Settings
from llm_studio.data.tokens.bits_per_byte import bits_per_byte
from llm_studio.device import DEVICES, MOST_THREADS, PRECISIONS
from llm_studio.i18n import N_
from llm_studio.records import Amount, Count, Measured

STATES = (N_("running"), N_("waiting"), N_("stopped"), N_("finished"), N_("failed"), N_("interrupted"))

ACTIVE = ("running", "waiting")
"""States of a run while a process is training it; "waiting": for free disk space."""

VERSION = 1
FILE = "run.json"


def _is_time(text: str) -> bool:
    try:
        return datetime.datetime.fromisoformat(text).year < datetime.MAXYEAR  # later ones are made from it
    except ValueError:
        return False


def _is_machine(known: dict[str, str]) -> bool:
    """Whether enough is known of the machine to repeat a run."""
    threads = known.get("threads", "1")
    return (
        known.get("device", "cpu") in DEVICES and known.get("precision", "float32") in PRECISIONS
        and threads.isdecimal() and len(threads) <= len(str(MOST_THREADS)) and 1 <= int(threads) <= MOST_THREADS
    )  # fmt: skip


@dataclass(frozen=True)
class _Change:
    """The fields that are used of an entry of a run's history."""

    step: Count
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    diverged_at: Count = 0


Change = Annotated[dict[str, Any], records.like(_Change)]
"""A change during a run, with its step: settings, the micro-batch, the learning rate, the threads."""


@dataclass(frozen=True)
class Run:
    """The record of one run. `state` is one of STATES."""

    name: str
    created: Annotated[str, records.checked(records.reader(str), _is_time)]
    state: Annotated[str, records.checked(records.reader(str), STATES.__contains__)]
    step: Count
    max_steps: Count
    seconds: Amount
    parameters: Count
    train_loss: Measured | None
    best_loss: Amount | None
    settings: Annotated[
        dict[str, dict[str, Any]],
        records.checked(records.reader(dict[str, dict[str, Any]]), {"model", "training"}.issubset),
    ]
    machine: Annotated[dict[str, str], records.checked(records.reader(dict[str, str]), _is_machine)]
    data: str
    bytes: Count = 0
    continued_from: str = ""
    """The checkpoint whose weights it started with: RUN/step-000500, or a folder of another project."""
    conversations: bool = False
    """Whether it was trained on conversations, so that its model can answer questions."""
    history: list[Change] = field(default_factory=list[dict[str, Any]])
    joules: Amount | None = None
    """Energy used by the graphics cards of this machine, if they report it."""
    bytes_per_token: Amount | None = None
    """Mean bytes per token of the validation tokens; None in records of earlier versions."""

    @property
    def best_bits_per_byte(self) -> float | None:
        """The lowest validation loss in bits per byte, comparable across vocabularies."""
        return bits_per_byte(self.best_loss, self.bytes_per_token)


def best_of(runs: Iterable[Run]) -> Run | None:
    """The run with the best model, see `ranked`; None if no model was evaluated."""
    return next(iter(ranked(runs)), None)


def ranked(runs: Iterable[Run]) -> list[Run]:
    """The runs whose validation losses are comparable with that of the newest one, the best first.

    They are compared in bits per byte, since vocabularies may differ. If an earlier version hasn't recorded these, only
    runs on the same tokens are comparable. The loss of answers alone isn't comparable with that of whole texts.
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
    del record["name"], record["bytes"]  # derived from the folder
    files.write_json(folder / FILE, record)


def read(folder: Path) -> Run | None:
    """The record in the folder of a run; None if there is none. `bytes` isn't filled in.

    Raises RecordError if it is damaged, NewerRecordError if a newer version wrote it.
    """
    return records.read(folder / FILE, Run, newest=VERSION, known={"name": folder.name, "bytes": 0})


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
    """The versions of system, Python and torch on this machine."""
    return {"system": platform.platform(), "python": platform.python_version(), "torch": torch_version}

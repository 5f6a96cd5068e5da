"""Runs: each a folder of checkpoints, a log and a record. Listing, comparing, renaming, deleting."""

import datetime
import platform
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llm_studio import files
from llm_studio.config import Settings
from llm_studio.errors import ProjectError
from llm_studio.i18n import N_, _
from llm_studio.project import Project

STATES = (N_("running"), N_("stopped"), N_("finished"), N_("failed"), N_("interrupted"))

VERSION = 1
_RECORD = "run.json"
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Run:
    """What is known of one training. `state` is one of STATES."""

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


def lock_name(run: str) -> str:
    """The output whose lock the trainer of a run holds."""
    return f"run-{run}"


def folder(project: Project, run: str) -> Path:
    """Where a run keeps its checkpoints."""
    return project.checkpoints / run


def write(project: Project, run: Run) -> None:
    """Keep the record of a run."""
    record = {"version": VERSION, **asdict(run)}
    del record["name"], record["bytes"]  # the folder tells both
    files.write_json(folder(project, run.name) / _RECORD, record)


def read(project: Project, name: str) -> Run:
    """One run. Raises ProjectError where there is none of this name."""
    record = files.read_json(folder(project, name) / _RECORD)
    if record is None or record.get("version", 0) > VERSION:
        names = ", ".join(run.name for run in listed(project)) or _("none")
        raise ProjectError(_("There is no run “{name}” here.").format(name=name),
                           _("The runs are: {names}.").format(names=names))  # fmt: skip
    known = {key: record[key] for key in Run.__dataclass_fields__ if key in record}
    run = Run(name=name, **known)
    if run.state == "running" and not project.is_being_written(lock_name(name)):
        run = replace(run, state="interrupted")
    return replace(run, bytes=files.folder_size(folder(project, name)))


def listed(project: Project) -> list[Run]:
    """All runs, oldest first."""
    folders = project.checkpoints.iterdir() if project.checkpoints.is_dir() else ()
    found = [read(project, path.name) for path in folders if files.read_json(path / _RECORD)]
    return sorted(found, key=lambda run: run.created)


def new_name(project: Project) -> str:
    """The next free of run-1, run-2, ..."""
    number = 1
    while folder(project, f"run-{number}").exists():
        number += 1
    return f"run-{number}"


def check_name(name: str) -> str:
    """`name`, if it can be a folder on every system. Raises ProjectError."""
    if not re.fullmatch(r"[\w][\w .()-]*", name) or name != name.strip(" .") or len(name) > _LONGEST_NAME:
        raise ProjectError(_("“{name}” can't be the name of a run.").format(name=name),
                           _("Use letters, digits, spaces, - and _, at most 60."))  # fmt: skip
    return name


def rename(project: Project, old: str, new: str) -> None:
    """Give a run another name. Raises ProjectError, BusyError."""
    read(project, old)
    check_name(new)
    if folder(project, new).exists():
        raise ProjectError(_("There is already a run “{name}”.").format(name=new), _("Choose another name."))
    with project.writing(lock_name(old)), files.explained(folder(project, old)):
        files.patiently(lambda: folder(project, old).rename(folder(project, new)))
        if project.log_file(old).exists():
            files.patiently(lambda: project.log_file(old).replace(project.log_file(new)))


def delete(project: Project, name: str) -> int:
    """Remove a run with its checkpoints and its log; returns the bytes freed. Raises ProjectError, BusyError."""
    run = read(project, name)
    with project.writing(lock_name(name)), files.explained(folder(project, name)):
        files.patiently(lambda: shutil.rmtree(folder(project, name)))
        project.log_file(name).unlink(missing_ok=True)
    return run.bytes


def differences(runs: list[Run]) -> dict[str, list[object]]:
    """The settings in which runs differ, by dotted name, with the value in each."""
    flat = [_flat(run.settings) for run in runs]
    names = dict.fromkeys(name for values in flat for name in values)
    rows = {name: [values.get(name) for values in flat] for name in names}
    return {name: row for name, row in rows.items() if any(value != row[0] for value in row)}


def _flat(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    return {f"{section}.{key}": value for section, content in settings.items() for key, value in content.items()}


def now() -> str:
    """The time now, for records."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def this_machine(torch_version: str) -> dict[str, str]:
    """What a run was made on."""
    return {"system": platform.platform(), "python": platform.python_version(), "torch": torch_version}


def new(name: str, settings: Settings, parameters: int, torch_version: str, data: str) -> Run:
    """The record of a run that begins."""
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

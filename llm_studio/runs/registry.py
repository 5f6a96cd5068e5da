"""Runs: each a folder of checkpoints, a log and a record. Listing, comparing, renaming, deleting."""

import contextlib
import datetime
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from llm_studio import files
from llm_studio.config import Settings
from llm_studio.config_file import load
from llm_studio.errors import ConfigError, ProjectError, StorageError
from llm_studio.i18n import N_, _
from llm_studio.project import Project

STATES = (N_("running"), N_("waiting"), N_("stopped"), N_("finished"), N_("failed"), N_("interrupted"))

ACTIVE = ("running", "waiting")
"""States of a run that someone trains; "waiting": until the disk has room."""

VERSION = 1
_RECORD = "run.json"
_LONGEST_NAME = 60
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Names that Windows keeps for devices."""


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
    continued_from: str = ""
    """The checkpoint whose weights it began with: RUN/step-000500, or a folder of another project."""
    conversations: bool = False
    """Whether it was trained on conversations, so that its model can be asked questions."""
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """What was changed on the way, each with its step: settings, the micro-batch, the learning rate."""
    joules: float | None = None
    """Energy that the graphics cards of this machine used meanwhile, where they tell."""


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


def exists(project: Project, name: str) -> bool:
    """Whether there is something of a run of this name: a folder that holds neither record nor checkpoint is free."""
    return (folder(project, name) / _RECORD).exists() or _newest_state(folder(project, name)) is not None


def read(project: Project, name: str) -> Run:
    """One run. Raises ProjectError where there is none of this name, or a newer program made it."""
    if len(name) > _LONGEST_NAME or not exists(project, name):
        names = ", ".join(run.name for run in listed(project)) or _("none")
        raise ProjectError(_("There is no run “{name}” here.").format(name=name),
                           _("The runs are: {names}.").format(names=names))  # fmt: skip
    record = files.read_json(folder(project, name) / _RECORD) or {}
    if record.get("version", 0) > VERSION:
        raise ProjectError(
            _("The run “{name}” was made by a newer LLM Studio.").format(name=name), _("Update the program.")
        )
    try:
        run = Run(name=name, **{key: record[key] for key in Run.__dataclass_fields__ if key in record})
    except TypeError:  # damaged: what the newest checkpoint knows is nearly all
        run = _rebuilt(project, name)
    if run.state in ACTIVE and not project.is_being_written(lock_name(name)):
        run = replace(run, state="interrupted")
    return replace(run, bytes=files.folder_size(folder(project, name)))


def _newest_state(run: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint's folder and the state in its record, read without torch."""
    return next(_states(run), None)


def _states(run: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folders of the checkpoints and the states in their records, from the newest on."""
    found: list[tuple[int, Path, dict[str, Any]]] = []
    for path in run.glob("step-*") if run.is_dir() else ():
        state = (files.read_json(path / "checkpoint.json") or {}).get("state")
        if isinstance(state, dict) and isinstance(state.get("step"), int):
            found.append((state["step"], path, state))
    for _step, path, state in sorted(found, key=lambda entry: entry[0], reverse=True):
        yield path, state


def _rebuilt(project: Project, name: str) -> Run:
    for path, state in _states(folder(project, name)):
        try:
            settings = load(path / "config.yaml")
        except (ConfigError, StorageError, OSError, ValueError):  # torn by a power cut
            continue
        run = new(name, settings, 0, str(state.get("torch_version", "")), str(state.get("data", "")))
        known = ("step", "seconds", "train_loss", "best_loss", "history")
        return replace(run, state="interrupted", **{key: state[key] for key in known if key in state})
    raise ProjectError(
        _("The record of the run “{name}” is damaged, and it has no checkpoint.").format(name=name),
        _("Delete its folder, {path}.").format(path=folder(project, name)),
    )


def listed(project: Project) -> list[Run]:
    """All runs that can be read, oldest first."""
    found: list[Run] = []
    for path in project.checkpoints.iterdir() if project.checkpoints.is_dir() else ():
        if not files.is_partial(path) and exists(project, path.name):
            with contextlib.suppress(ProjectError, ConfigError):
                found.append(read(project, path.name))
    return sorted(found, key=lambda run: run.created)


def new_name(project: Project) -> str:
    """The next free of run-1, run-2, ..."""
    number = 1
    while exists(project, f"run-{number}"):
        number += 1
    return f"run-{number}"


def check_name(name: str) -> str:
    """`name`, if it can be a folder on every system. Raises ProjectError."""
    portable = re.fullmatch(r"[\w][\w .()-]*", name) and name == name.strip(" .") and not _RESERVED.match(name)
    if not portable or len(name) > _LONGEST_NAME or files.is_partial(Path(name)):
        raise ProjectError(_("“{name}” can't be the name of a run.").format(name=name),
                           _("Use letters, digits, spaces, - and _, at most 60."))  # fmt: skip
    return name


def rename(project: Project, old: str, new: str) -> None:
    """Give a run another name. Raises ProjectError, BusyError."""
    read(project, old)
    check_name(new)
    with contextlib.ExitStack() as stack:
        stack.enter_context(files.translate_os_errors(folder(project, old)))
        stack.enter_context(project.writing(lock_name(old)))
        there = folder(project, new)
        # on Windows “Run” and “run” are one folder, and may change into each other
        if not (there.exists() and there.samefile(folder(project, old))):
            stack.enter_context(project.writing(lock_name(new)))
            if there.exists():
                raise ProjectError(_("There is already a run “{name}”.").format(name=new), _("Choose another name."))
        # the log first: should the program end in between, a run without its log is less than a log without its run
        if project.log_file(old).exists():
            files.retry_while_locked(lambda: project.log_file(old).replace(project.log_file(new)))
        files.retry_while_locked(lambda: folder(project, old).rename(folder(project, new)))


def delete(project: Project, name: str) -> int:
    """Remove a run with its checkpoints and its log; returns the bytes freed. Raises ProjectError, BusyError."""
    run = read(project, name)
    with project.writing(lock_name(name)):
        discard(project, name)
    return run.bytes


def discard(project: Project, name: str) -> None:
    """Remove the files of a run whose lock is held. Raises StorageError where another program holds them open."""
    with files.translate_os_errors(folder(project, name)):
        files.remove_folder(folder(project, name))
        if folder(project, name).exists():
            raise StorageError(
                _("The run “{name}” can't be deleted now.").format(name=name),
                _("Close the program that uses its files."),
            )
        project.log_file(name).unlink(missing_ok=True)


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
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def after_all(project: Project, time: str) -> str:
    """`time`, or just after the newest run where the clock has been set back: runs are listed by it."""
    last = max((run.created for run in listed(project)), default="")
    if time > last:
        return time
    later = datetime.datetime.fromisoformat(last) + datetime.timedelta(milliseconds=1)
    return later.isoformat(timespec="milliseconds")


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

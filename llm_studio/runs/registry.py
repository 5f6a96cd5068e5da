"""The runs of a project: listing, comparing, renaming, deleting. A run is a folder of checkpoints, a log, a record."""

import contextlib
import datetime
import itertools
import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_studio import files
from llm_studio.config.yaml_file import load
from llm_studio.errors import BusyError, ConfigError, ProjectError, StorageError
from llm_studio.i18n import _
from llm_studio.project import RUN_LOCK, Project
from llm_studio.runs import checkpoint, record
from llm_studio.runs.record import ACTIVE, Run

_LONGEST_NAME = 60
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Names that Windows reserves for devices."""


def lock_name(run: str) -> str:
    """The name of the lock that the process training a run holds."""
    return RUN_LOCK + run


def folder(project: Project, run: str) -> Path:
    """The folder of a run: its record and its checkpoints."""
    return project.checkpoints / run


def write(project: Project, run: Run) -> None:
    """Write the record of a run. Raises StorageError, also where the project was moved or renamed meanwhile."""
    files.require_folder(project.root)
    record.write(folder(project, run.name), run)


def exists(project: Project, name: str) -> bool:
    """Whether there is a run of this name: a folder with neither a record nor a checkpoint doesn't count."""
    path = folder(project, name)
    return (path / record.FILE).exists() or any(checkpoint.raw_states(path))


def read(project: Project, name: str) -> Run:
    """One run. Raises ProjectError where there is no run of this name, or a newer program made it."""
    if len(name) > _LONGEST_NAME or not exists(project, name):
        names = ", ".join(run.name for run in listed(project)) or _("none")
        raise ProjectError(_("There is no run “{name}” here.").format(name=name),
                           _("The runs are: {names}.").format(names=names))  # fmt: skip
    run = record.read(folder(project, name)) or _rebuilt(project, name)
    if run.state in ACTIVE and not project.is_being_written(lock_name(name)):
        run = replace(run, state="interrupted")
    return replace(run, bytes=files.folder_size(folder(project, name)))


def _rebuilt(project: Project, name: str) -> Run:
    """The record of a run from its newest readable checkpoint, for a run whose own record is damaged."""
    for path, state in checkpoint.raw_states(folder(project, name)):
        try:
            settings = load(path / checkpoint.CONFIG)
        except (ConfigError, StorageError, OSError, ValueError):  # damaged by a power cut
            continue
        run = record.new(name, settings, 0, str(state.get("torch_version", "")), str(state.get("data", "")))
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


@contextlib.contextmanager
def new_run(project: Project) -> Generator[str]:
    """The next free of run-1, run-2, ..., with its lock held: another run that starts now takes the one after."""
    for number in itertools.count(1):
        name = f"run-{number}"
        if exists(project, name) or project.is_being_written(lock_name(name)):
            continue
        with contextlib.ExitStack() as lock:
            try:
                lock.enter_context(project.writing(lock_name(name)))
            except BusyError:  # taken in this very moment
                continue
            if not exists(project, name):  # else it was begun and ended in between
                yield name
                return


def check_name(name: str) -> str:
    """Return `name` if it is a valid folder name on every system. Raises ProjectError."""
    portable = re.fullmatch(r"[\w][\w .()-]*", name) and name == name.strip(" .") and not _RESERVED.match(name)
    if not portable or len(name) > _LONGEST_NAME or files.is_partial(Path(name)):
        raise ProjectError(_("“{name}” can't be the name of a run.").format(name=name),
                           _("Use letters, digits, spaces, - and _, at most 60."))  # fmt: skip
    return name


def rename(project: Project, old: str, new: str) -> None:
    """Rename a run. Raises ProjectError, BusyError."""
    read(project, old)
    check_name(new)
    with contextlib.ExitStack() as stack:
        stack.enter_context(files.translate_os_errors(folder(project, old)))
        stack.enter_context(project.writing(lock_name(old)))
        target = folder(project, new)
        # on Windows “Run” and “run” are the same folder, and one can be renamed to the other
        if not (target.exists() and target.samefile(folder(project, old))):
            stack.enter_context(project.writing(lock_name(new)))
            if target.exists():
                raise ProjectError(_("There is already a run “{name}”.").format(name=new), _("Choose another name."))
        # the log first: if the program ends in between, a run without its log is better than a log without its run
        if project.log_file(old).exists():
            files.retry_while_locked(lambda: project.log_file(old).replace(project.log_file(new)))
        files.retry_while_locked(lambda: folder(project, old).rename(target))


def delete(project: Project, name: str) -> int:
    """Delete a run with its checkpoints and its log; returns the bytes freed. Raises ProjectError, BusyError."""
    run = read(project, name)
    with project.writing(lock_name(name)):
        discard(project, name)
    return run.bytes


def discard(project: Project, name: str) -> None:
    """Delete the files of a run whose lock the caller holds. Raises StorageError if another program has them open."""
    with files.translate_os_errors(folder(project, name)):
        files.remove_folder(folder(project, name))
        if folder(project, name).exists():
            raise StorageError(
                _("The run “{name}” can't be deleted now.").format(name=name),
                _("Close the program that uses its files."),
            )
        project.log_file(name).unlink(missing_ok=True)


def differences(runs: list[Run]) -> dict[str, list[object]]:
    """The settings in which the runs differ: the values, one per run, by dotted name."""
    flat = [_flat(run.settings) for run in runs]
    names = dict.fromkeys(name for values in flat for name in values)
    rows = {name: [values.get(name) for values in flat] for name in names}
    return {name: row for name, row in rows.items() if any(value != row[0] for value in row)}


def _flat(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    return {f"{section}.{key}": value for section, content in settings.items() for key, value in content.items()}


def after_all(project: Project, time: str) -> str:
    """`time`, or a millisecond after the newest run if the clock has been set back: runs are sorted by creation."""
    last = max((run.created for run in listed(project)), default="")
    if time > last:
        return time
    later = datetime.datetime.fromisoformat(last) + datetime.timedelta(milliseconds=1)
    return later.isoformat(timespec="milliseconds")

"""The runs of a project: listing, comparing, renaming, deleting. A run is a folder of checkpoints, a log, a record."""

import contextlib
import datetime
import itertools
import os
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llm_studio import files
from llm_studio.errors import (
    BusyError,
    CheckpointError,
    ConfigError,
    NewerRecordError,
    ProjectError,
    RecordError,
    StorageError,
    StudioError,
)
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
    """Write the record of a run. Raises StorageError, also if the project was moved or renamed meanwhile."""
    files.require_folder(project.root)
    record.write(folder(project, run.name), run)


def exists(project: Project, name: str) -> bool:
    """Whether there is a run of this name: a folder with neither a record nor a checkpoint doesn't count."""
    path = folder(project, name)
    return os.path.lexists(path / record.FILE) or checkpoint.exist(path)


def read(project: Project, name: str) -> Run:
    """One run. Raises ProjectError if there is no run of this name, it is damaged, or a newer version wrote it."""
    return examine(project, name)[0]


def require(project: Project, name: str) -> None:
    """Raise ProjectError if there is no run of this name, damaged or not."""
    if len(name) > _LONGEST_NAME or not exists(project, name):
        names = ", ".join(run.name for run in listed(project)) or _("none")
        raise ProjectError(_("There is no run “{name}” here.").format(name=name),
                           _("The runs are: {names}.").format(names=names))  # fmt: skip


def examine(project: Project, name: str) -> "tuple[Run, RunProblem | None]":
    """One run, and the problem with its record if that is rebuilt from a checkpoint. Raises like `read`."""
    require(project, name)
    problem = None
    try:
        run = record.read(folder(project, name))
    except NewerRecordError as error:
        raise ProjectError(
            _("The run “{name}” was made by a newer LLM Studio.").format(name=name), error.to_do
        ) from error
    except RecordError as error:
        run, problem = None, error.what
    if run is None:
        run = _rebuilt(project, name, problem)
        problem = problem or _("The run “{name}” has no record, {file}.").format(name=name, file=record.FILE)
    if run.state in ACTIVE and not project.is_being_written(lock_name(name)):
        run = replace(run, state="interrupted")
    run = replace(run, bytes=size(project, name))
    to_do = _("Its figures are those of its last checkpoint, until it is resumed.")
    return run, RunProblem(name, problem, to_do) if problem else None


def _rebuilt(project: Project, name: str, problem: str | None) -> Run:
    """The record of a run rebuilt from its newest readable checkpoint, if its own record is damaged or missing."""
    try:
        for saved in checkpoint.newest_first(folder(project, name)):
            with contextlib.suppress(ConfigError):  # damaged by a power cut
                known = saved.state
                run = record.new(name, saved.settings(), 0, known.torch_version, known.data)
                return replace(run, state="interrupted", step=known.step, seconds=known.seconds,
                               train_loss=known.train_loss, best_loss=known.best_loss,
                               history=known.history)  # fmt: skip
    except CheckpointError as error:  # of a newer version
        raise ProjectError(error.what, error.to_do) from error
    raise ProjectError(
        problem or _("The run “{name}” has no record, {file}.").format(name=name, file=record.FILE),
        _("It has no checkpoint that can be read either. Restore it from a copy, or delete its folder: {path}.").format(
            path=folder(project, name)
        ),
    )


@dataclass(frozen=True)
class RunProblem:
    """A problem with a run in a list, and what to do about it."""

    name: str
    what: str
    to_do: str


def listed(project: Project) -> list[Run]:
    """All runs that can be read, oldest first."""
    return survey(project)[0]


def survey(project: Project) -> tuple[list[Run], list[RunProblem]]:
    """All runs that can be read, oldest first, and all problems with runs."""
    found: list[Run] = []
    problems: list[RunProblem] = []
    for path in sorted(project.checkpoints.iterdir()) if project.checkpoints.is_dir() else ():
        if files.is_partial(path) or not exists(project, path.name):
            continue
        try:
            run, problem = examine(project, path.name)
        except StudioError as error:
            problems.append(RunProblem(path.name, error.what, error.to_do))
        else:
            found.append(run)
            problems += [problem] if problem else []
    return sorted(found, key=lambda run: run.created), problems


@contextlib.contextmanager
def new_run(project: Project) -> Generator[str]:
    """The first free name of run-1, run-2, ..., locked: another run that starts now gets the next one."""
    for number in itertools.count(1):
        name = f"run-{number}"
        if exists(project, name) or project.is_being_written(lock_name(name)):
            continue
        with contextlib.ExitStack() as lock:
            try:
                lock.enter_context(project.writing(lock_name(name)))
            except BusyError:  # taken at the same moment
                continue
            if not exists(project, name):  # otherwise it was started and ended in between
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
    require(project, old)
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
    require(project, name)
    freed = size(project, name)
    with project.writing(lock_name(name)):
        discard(project, name)
    return freed


def size(project: Project, name: str) -> int:
    """Size of the folder of a run in bytes."""
    return files.folder_size(folder(project, name))


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

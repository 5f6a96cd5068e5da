"""The runs of a project: listing, reading, comparing, renaming, deleting. The work is done in `runs/registry.py`."""

from llm_studio import files
from llm_studio.project import Project
from llm_studio.runs.record import ACTIVE, Run
from llm_studio.runs.registry import (
    RunProblem,
    delete,
    differences,
    folder,
    listed,
    read,
    rename,
    require,
    size,
    survey,
)

__all__ = [
    "ACTIVE",
    "Run",
    "RunProblem",
    "delete",
    "differences",
    "folder",
    "is_set_aside",
    "listed",
    "offers_resume",
    "read",
    "rename",
    "require",
    "set_aside",
    "size",
    "survey",
    "unset_aside",
]

_ASIDE = "set-aside"


def set_aside(project: Project, run: str) -> None:
    """Mark a run as set aside by the user, so that resuming it isn't suggested. Raises StorageError."""
    if folder(project, run).is_dir():
        files.write_text(folder(project, run) / _ASIDE, "")


def unset_aside(project: Project, run: str) -> None:
    """Undo `set_aside`: the run is resumed. Raises StorageError."""
    with files.translate_os_errors(folder(project, run)):
        (folder(project, run) / _ASIDE).unlink(missing_ok=True)


def is_set_aside(project: Project, run: str) -> bool:
    """Whether the user has set the run aside."""
    return (folder(project, run) / _ASIDE).exists()


def offers_resume(project: Project, run: Run) -> bool:
    """Whether a run was stopped and resuming it can be suggested."""
    return run.state == "stopped" and not is_set_aside(project, run.name)

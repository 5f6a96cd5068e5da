"""The runs of a project: listed, read, compared, renamed, deleted. The work is done in `runs/registry.py`."""

from llm_studio import files
from llm_studio.project import Project
from llm_studio.runs.registry import ACTIVE, Run, delete, differences, folder, listed, read, rename

__all__ = [
    "ACTIVE",
    "Run",
    "delete",
    "differences",
    "folder",
    "listed",
    "read",
    "rename",
    "set_aside",
    "take_up",
    "waits",
]

_ASIDE = "set-aside"


def set_aside(project: Project, run: str) -> None:
    """Note that the user is done with a run for now: it isn't offered to be gone on with. Raises StorageError."""
    if folder(project, run).is_dir():
        files.write_text(folder(project, run) / _ASIDE, "")


def take_up(project: Project, run: str) -> None:
    """A run is gone on with."""
    with files.translate_os_errors(folder(project, run)):
        (folder(project, run) / _ASIDE).unlink(missing_ok=True)


def waits(project: Project, run: Run) -> bool:
    """Whether a run was stopped and waits to be gone on with."""
    return run.state == "stopped" and not (folder(project, run.name) / _ASIDE).exists()

"""Links that lead out of a folder: nothing of a project is written through them, and no text is read through them
without asking."""

from pathlib import Path

from llm_studio.errors import StorageError
from llm_studio.i18n import _

_OF_PROJECT = Path("config", "config.yaml")
"""What the root of a project holds."""


def leads_out(path: Path, folder: Path) -> bool:
    """Whether `path`, all links on its way followed, is outside `folder`. A link to itself leads nowhere."""
    try:
        return not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link to itself, before Python 3.13
        return False


def require_inside(path: Path) -> None:
    """Raise StorageError where `path` is in a project, but by a link its folder is really elsewhere.

    The project of a stranger must not make the program write, or delete, anything outside of it. Outside of projects
    links are followed as the user has made them.
    """
    root = next((parent for parent in path.parents if (parent / _OF_PROJECT).exists()), None)
    if root is not None and leads_out(path.parent, root):
        link = next(folder for folder in reversed(path.parents) if root in folder.parents and leads_out(folder, root))
        raise StorageError(
            _("{path} is a link that leads out of the project: nothing is written there.").format(path=link),
            _("Put a folder in its place, with what it holds; the whole project may be on another disk."),
        )


def require_no_link(path: Path) -> None:
    """Raise StorageError where a file to be written to as it is, not replaced, is a link, or can't be in a project."""
    require_inside(path)
    if path.is_symlink():
        raise StorageError(
            _("{path} is a link to another file: nothing is written there.").format(path=path), _("Remove the link.")
        )

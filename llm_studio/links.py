"""Links that lead out of a folder: nothing in a project is written through them, and texts are read through them only
with the user's consent."""

from pathlib import Path

from llm_studio.errors import StorageError
from llm_studio.i18n import _

_PROJECT_MARKER = Path("config", "config.yaml")
"""The file that identifies the root of a project."""


def leads_out(path: Path, folder: Path) -> bool:
    """Whether `path`, after following all links, is outside `folder`. A link to itself leads nowhere: False."""
    try:
        return not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link to itself, before Python 3.13
        return False


def require_inside(path: Path) -> None:
    """Raise StorageError if `path` is in a project, but a link leads to a folder outside of it.

    An untrusted project must not make the program write or delete anything outside of it. Outside of projects, links
    are followed.
    """
    root = next((parent for parent in path.parents if (parent / _PROJECT_MARKER).exists()), None)
    if root is not None and leads_out(path.parent, root):
        link = next(folder for folder in reversed(path.parents) if root in folder.parents and leads_out(folder, root))
        raise StorageError(
            _("{path} is a link that leads out of the project: nothing is written there.").format(path=link),
            _("Put a folder in its place, with what it holds; the whole project may be on another disk."),
        )


def require_no_link(path: Path) -> None:
    """Raise StorageError if a file to be written in place is a link, or leads out of its project."""
    require_inside(path)
    if path.is_symlink():
        raise StorageError(
            _("{path} is a link to another file: nothing is written there.").format(path=path), _("Remove the link.")
        )

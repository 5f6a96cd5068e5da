"""Writing an export atomically to a file or a folder."""

import contextlib
from collections.abc import Generator
from pathlib import Path

from llm_studio import files
from llm_studio.errors import StorageError
from llm_studio.export.format import Exported
from llm_studio.i18n import _

_SPARE_BYTES = 1_000_000


@contextlib.contextmanager
def new_file(target: Path, needed: int) -> Generator[Path]:
    """Yield a path to write to; it replaces the file `target` if the block succeeds.

    `needed`: approximate bytes to write. Raises StorageError, before anything is written if there isn't enough space.
    """
    _require_space(target, needed)
    with files.translate_os_errors(target):
        if target.is_dir():
            raise StorageError(_("{path} is a folder.").format(path=target), _("Choose the name of a file."))
    with files.atomic_write(target) as partial:
        yield partial


@contextlib.contextmanager
def new_folder(target: Path, needed: int) -> Generator[Path]:
    """Yield a new folder to fill; it is renamed to `target` if the block succeeds.

    A folder that isn't empty is never replaced: it may contain the user's work. Raises StorageError like `new_file`.
    """
    _require_free(target)
    _require_space(target, needed)
    with files.atomic_folder(target) as partial:
        yield partial
        _require_free(target)


def exported(target: Path) -> Exported:
    """The result, once the file or the folder is complete."""
    return Exported(target, files.folder_size(target) if target.is_dir() else target.stat().st_size)


def free_name(target: Path, suffix: str = "") -> Path:
    """`target`, or if it exists, the first of “NAME-2”, “NAME-3” ... that doesn't.

    `suffix`: the suffix of a file, which follows the number; dots in the name of a folder have no meaning.
    """
    number, found = 1, target
    while found.exists() or found.is_symlink():
        number += 1
        found = target.with_name(f"{target.name.removesuffix(suffix)}-{number}{suffix}")
    return found


def _require_free(target: Path) -> None:
    with files.translate_os_errors(target):
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise StorageError(_("{path} is not a folder.").format(path=target), _("Choose the name of a new folder."))
        if target.is_dir() and any(target.iterdir()):
            raise StorageError(
                _("There is already something in the folder {path}.").format(path=target),
                _("Choose the name of a new folder: nothing of yours will be replaced."),
            )


def _require_space(target: Path, needed: int) -> None:
    with files.translate_os_errors(target):
        parent = next((folder for folder in target.parents if folder.is_dir()), Path.cwd())
        files.require_space(parent, needed + _SPARE_BYTES)

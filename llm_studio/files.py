"""Files that are whole or absent: written beside, flushed, renamed; and locks of the operating system."""

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, Protocol

from filelock import FileLock, Timeout

from llm_studio.errors import BusyError, DiskFullError, FolderGoneError, SpecialFileError, StorageError, reason_of
from llm_studio.i18n import N_, _, size
from llm_studio.links import require_inside, require_no_link

_BEING_WRITTEN = ".partial"
_PATIENCE = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between tries where an antivirus or a synchronised folder holds a file for a moment."""

_SPECIAL = (
    (stat.S_ISFIFO, N_("it is a named pipe, not a file")), (stat.S_ISSOCK, N_("it is a socket, not a file")),
    (stat.S_ISCHR, N_("it is a device, not a file")), (stat.S_ISBLK, N_("it is a device, not a file")),
)  # fmt: skip
_WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$",
                    *(f"{port}{n}" for port in ("COM", "LPT") for n in "123456789¹²³")}  # fmt: skip
"""Names that Windows takes for devices in every folder, whatever suffix follows."""


class SupportsClose(Protocol):
    """What can be closed."""

    def close(self) -> None: ...


@contextlib.contextmanager
def translate_os_errors(path: Path) -> Generator[None]:
    """Turn the operating system's refusals to write at `path` into a StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                _("The disk is full: {path} could not be written.").format(path=path),
                _("Make room, then start again: what was done before is kept."),
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                _("{path} may not be written to.").format(path=path),
                _("Choose another folder, or close the program that uses it."),
            ) from error
        if error.errno in (errno.ENAMETOOLONG, errno.EINVAL):
            raise StorageError(
                _("The system refuses this name: {path}.").format(path=path),
                _("Choose a shorter, simpler one."),
            ) from error
        if isinstance(error, BrokenPipeError):  # it is our output that has no reader
            raise
        reason = _("folder not found") if error.errno == errno.ENOENT else reason_of(error)
        raise StorageError(
            _("{path} could not be written: {reason}.").format(path=path, reason=reason),
            _("Check the disk and that location, or choose another folder."),
        ) from error


@contextlib.contextmanager
def explain_unreadable(path: Path) -> Generator[None]:
    """Turn the operating system's refusals to read what is at `path` into a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            _("{path} can't be read: {reason}.").format(path=path, reason=reason_of(error)),
            _("Check the disk and that location, or choose another file."),
        ) from error


@contextlib.contextmanager
def translate_temporary_errors() -> Generator[None]:
    """The same for the system's folder of temporary files, which is looked for when the first one is made."""
    try:
        yield
    except OSError as error:
        if tempfile.tempdir is None:  # as on a full disk
            raise StorageError(
                _("There is no folder for temporary files that can be written to."),
                _("Make room on the disk, or name another folder in the variable TMPDIR (on Windows TEMP)."),
            ) from error
        with translate_os_errors(Path(tempfile.tempdir)):
            raise


def close_quietly(file: SupportsClose) -> None:
    """Close a temporary file. What a full disk has not taken of it is written once more then, and not missed."""
    with contextlib.suppress(OSError):
        file.close()


def retry_while_locked(action: Callable[[], object]) -> None:
    """Do `action`, trying again for three seconds while something else holds the file (Windows)."""
    for pause in _PATIENCE:
        try:
            action()
            return
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(pause)
    action()


@contextlib.contextmanager
def atomic_write(path: Path) -> Generator[Path]:
    """Yield a path beside `path` to write to; it takes the place of `path` when the block ends well.

    A link at `path` is replaced, its target stays as it is. Raises StorageError.
    """
    beside = path.with_name(path.name + _BEING_WRITTEN)
    with translate_os_errors(path):
        require_inside(path)
        if not path.is_symlink() and (path.is_char_device() or path.is_block_device()):  # /dev/null would become a file
            raise SpecialFileError(_("it is a device, not a file"), path)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)  # it could be a link
        try:
            yield beside
            flush_to_disk(beside)
            retry_while_locked(lambda: beside.replace(path))
        finally:
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Generator[Path]:
    """Yield a new folder beside `path` to fill; it takes the name `path` when the block ends well.

    A folder already at `path` is replaced: it goes aside, to the name of `set_aside`, before it is removed.
    """
    beside, before = being_written(path), set_aside(path)
    with translate_os_errors(path):
        require_inside(path)
        _remove_tree(beside)
        beside.mkdir(parents=True)
        try:
            yield beside
            for file in beside.rglob("*"):
                flush_to_disk(file)
            if path.exists():
                _remove_tree(before)
                retry_while_locked(lambda: path.rename(before))
            retry_while_locked(lambda: beside.rename(path))
            flush_to_disk(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            if path.exists():
                _remove_tree(before)
            elif before.exists():  # the new one couldn't take its place
                before.rename(path)


def _remove_tree(path: Path) -> None:
    """Remove a folder with all that is in it, as far as possible; of a link only the link."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def being_written(path: Path) -> Path:
    """The name of what is to become `path`."""
    return path.with_name(path.name + _BEING_WRITTEN)


def set_aside(path: Path) -> Path:
    """The name of what `path` was before, while it is replaced."""
    return path.with_name(f"{path.name}.before{_BEING_WRITTEN}")


def remove_folder(path: Path) -> None:
    """Remove a folder at once, as far as its name goes; what another program holds open stays, named partial."""
    aside = path if is_partial(path) else path.with_name(f"{path.name}.removed{_BEING_WRITTEN}")
    with contextlib.suppress(OSError):
        if path != aside:
            _remove_tree(aside)
            retry_while_locked(lambda: path.rename(aside))
        _remove_tree(aside)


def is_partial(path: Path) -> bool:
    """Whether `path` is something whose writing was interrupted."""
    return path.name.endswith(_BEING_WRITTEN)


def flush_to_disk(path: Path) -> None:
    """Wait until the file (or, where the system can, the folder) at `path` is on the disk."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def require_regular(path: Path) -> None:
    """Raise OSError unless there is a regular file at `path`, or at the end of its link. Nothing is opened.

    For paths that a library opens. A pipe, a device or a socket raises SpecialFileError, a folder IsADirectoryError.
    """
    if os.name == "nt" and (_is_device_name(path.name) or str(path).startswith("\\\\.\\")):
        raise SpecialFileError(_("it is a device, not a file"), path)
    _require_regular(path.stat().st_mode, path)


def _is_device_name(name: str) -> bool:
    return name.partition(".")[0].rstrip().upper() in _WINDOWS_DEVICES


def _require_regular(mode: int, path: Path) -> None:
    if stat.S_ISREG(mode):
        return
    for is_kind, kind in _SPECIAL:
        if is_kind(mode):
            raise SpecialFileError(_(kind), path)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def open_regular(path: Path) -> io.BufferedReader:
    """Open the file at `path` to read its bytes; raises as `require_regular` does, and never waits.

    To be used for every file that comes from the user or from a stranger: opening a named pipe that no one writes to
    waits for ever, and a device such as /dev/zero never ends.
    """
    require_regular(path)  # before anything is opened: to open a device can have effects
    stream = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115  Path.open takes no opener
    try:
        _require_regular(os.fstat(stream.fileno()).st_mode, path)  # another one could have taken its place
    except OSError:
        stream.close()
        raise
    return stream


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0), 0o666)


def open_to_append(path: Path) -> IO[bytes]:
    """Open the file at `path`, made where it is absent, to read it and to write at its end, unbuffered.

    Raises StorageError for a link, OSError where something else than a file is there.
    """
    require_appendable(path)
    return open(path, "a+b", buffering=0, opener=_open_without_waiting)


def require_appendable(path: Path) -> None:
    """Raise StorageError where a link is at `path`, OSError where something else than a file is."""
    require_no_link(path)
    if path.exists():
        require_regular(path)


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """The content of the regular file at `path`. Raises OSError, also where it has more than `most` bytes."""
    with open_regular(path) as stream:
        if most is None:
            return stream.read()
        if os.fstat(stream.fileno()).st_size <= most and len(content := stream.read(most + 1)) <= most:
            return content
    raise OSError(errno.EOVERFLOW, _("it is larger than {size}").format(size=size(most)), str(path))


def read_text(path: Path, encoding: str = "utf-8", most: int | None = None) -> str:
    """The text of the regular file at `path`, its line ends as line feeds. Raises as read_bytes does, UnicodeError."""
    with io.TextIOWrapper(io.BytesIO(read_bytes(path, most)), encoding) as stream:
        return stream.read()


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with atomic_write(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: object) -> None:
    """Write `content` as JSON, whole or not at all."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint(*parts: object) -> str:
    """SHA-256 of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def folder_size(path: Path) -> int:
    """Bytes of all files below `path`; those that vanish meanwhile are passed over."""
    total = 0
    for folder, _folders, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(folder) / name).stat().st_size
    return total


def require_folder(path: Path) -> None:
    """Raise StorageError unless there is a folder at `path`: what is made below it would be found by nobody."""
    if not path.is_dir():
        raise FolderGoneError(
            _("The folder {path} is gone.").format(path=path),
            _("It was moved, renamed or deleted. Give it its old name, or open the project where it is now: its runs"
              " resume from their last checkpoint."),
        )  # fmt: skip


def require_space(folder: Path, needed: int) -> None:
    """Raise DiskFullError unless `needed` bytes are free where `folder` is."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            _("{needed} are needed in {folder}, {free} are free.").format(
                needed=size(needed), free=size(free), folder=folder
            ),
            _("Make room or choose another disk."),
        )


@contextlib.contextmanager
def locked(folder: Path, output: str, busy: str, patience: float = 0.2) -> Generator[None]:
    """Hold the operating system's lock on `output`, a name, among the locks in `folder`.

    Raises BusyError, whose message is `busy`, when another window or command holds it for `patience` seconds:
    `is_locked` holds it for an instant. The system lets go when the process ends, however it ends.
    """
    with translate_os_errors(folder):
        require_no_link(folder / f"{output}.lock")
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{output}.lock")
        try:
            lock.acquire(timeout=patience)
        except Timeout as error:
            raise BusyError(busy, _("Wait until it has ended, or stop it there.")) from error
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path, output: str) -> bool:
    """Whether someone holds the lock on `output` now."""
    if not (folder / f"{output}.lock").exists():
        return False
    try:
        with locked(folder, output, "", patience=0):
            return False
    except BusyError:
        return True
    except StorageError:
        return False

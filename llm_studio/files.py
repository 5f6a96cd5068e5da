"""Atomic writes (to a temporary file that is flushed and renamed), safe reads, and locks of the operating system."""

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
"""Seconds between attempts while an antivirus or a synchronisation program holds a file."""

_SPECIAL = (
    (stat.S_ISFIFO, N_("it is a named pipe, not a file")), (stat.S_ISSOCK, N_("it is a socket, not a file")),
    (stat.S_ISCHR, N_("it is a device, not a file")), (stat.S_ISBLK, N_("it is a device, not a file")),
)  # fmt: skip
_WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$",
                    *(f"{port}{n}" for port in ("COM", "LPT") for n in "123456789¹²³")}  # fmt: skip
"""Names that Windows treats as devices in every folder, with any suffix."""


class SupportsClose(Protocol):
    """An object with a `close` method."""

    def close(self) -> None: ...


@contextlib.contextmanager
def translate_os_errors(path: Path) -> Generator[None]:
    """Turn OSErrors while writing to `path` into a StorageError."""
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
        if isinstance(error, BrokenPipeError):  # the reader of our output has closed it
            raise
        reason = _("folder not found") if error.errno == errno.ENOENT else reason_of(error)
        raise StorageError(
            _("{path} could not be written: {reason}.").format(path=path, reason=reason),
            _("Check the disk and that location, or choose another folder."),
        ) from error


@contextlib.contextmanager
def explain_unreadable(path: Path) -> Generator[None]:
    """Turn OSErrors while reading `path` into a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            _("{path} can't be read: {reason}.").format(path=path, reason=reason_of(error)),
            _("Check the disk and that location, or choose another file."),
        ) from error


@contextlib.contextmanager
def translate_temporary_errors() -> Generator[None]:
    """The same for the system's temporary folder, which is searched for when the first temporary file is created."""
    try:
        yield
    except OSError as error:
        if tempfile.tempdir is None:  # for example, on a full disk
            raise StorageError(
                _("There is no folder for temporary files that can be written to."),
                _("Make room on the disk, or name another folder in the variable TMPDIR (on Windows TEMP)."),
            ) from error
        with translate_os_errors(Path(tempfile.tempdir)):
            raise


def close_quietly(file: SupportsClose) -> None:
    """Close a temporary file, ignoring errors: on a full disk, closing writes the buffer again, but it isn't needed."""
    with contextlib.suppress(OSError):
        file.close()


def retry_while_locked(action: Callable[[], object]) -> None:
    """Run `action`, retrying for three seconds while another program holds the file (Windows)."""
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
    """Yield a temporary path beside `path` to write to; it replaces `path` if the block succeeds.

    A link at `path` is replaced, and its target is unchanged. Raises StorageError.
    """
    beside = path.with_name(path.name + _BEING_WRITTEN)
    with translate_os_errors(path):
        require_inside(path)
        if not path.is_symlink() and (path.is_char_device() or path.is_block_device()):  # /dev/null would become a file
            raise SpecialFileError(_("it is a device, not a file"), path)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)  # it may be a link
        try:
            yield beside
            flush_to_disk(beside)
            retry_while_locked(lambda: beside.replace(path))
        finally:
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Generator[Path]:
    """Yield a new folder beside `path` to fill; it is renamed to `path` if the block succeeds.

    An existing folder at `path` is replaced: it is first renamed to `set_aside(path)`, then removed.
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
            elif before.exists():  # the new folder couldn't be renamed
                before.rename(path)


def _remove_tree(path: Path) -> None:
    """Remove a folder with its contents, as far as possible; if it is a link, only the link."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def being_written(path: Path) -> Path:
    """The temporary name for `path` while it is written."""
    return path.with_name(path.name + _BEING_WRITTEN)


def set_aside(path: Path) -> Path:
    """The temporary name for the old `path` while it is replaced."""
    return path.with_name(f"{path.name}.before{_BEING_WRITTEN}")


def remove_folder(path: Path) -> None:
    """Remove a folder; its name is free at once. Files that another program has open remain under a temporary name."""
    aside = path if is_partial(path) else path.with_name(f"{path.name}.removed{_BEING_WRITTEN}")
    with contextlib.suppress(OSError):
        if path != aside:
            _remove_tree(aside)
            retry_while_locked(lambda: path.rename(aside))
        _remove_tree(aside)


def is_partial(path: Path) -> bool:
    """Whether `path` is the remainder of an interrupted write."""
    return path.name.endswith(_BEING_WRITTEN)


def flush_to_disk(path: Path) -> None:
    """Flush the file (or, if the system supports it, the folder) at `path` to disk."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def require_regular(path: Path) -> None:
    """Raise OSError unless `path`, after following links, is a regular file. Nothing is opened.

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
    """Open the file at `path` for reading bytes; raises like `require_regular`, and never blocks.

    To be used for every file from the user or an untrusted source: opening a named pipe without a writer blocks
    forever, and a device such as /dev/zero never ends.
    """
    require_regular(path)  # check first: opening a device can have side effects
    stream = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115  Path.open takes no opener
    try:
        _require_regular(os.fstat(stream.fileno()).st_mode, path)  # it may have been replaced in between
    except OSError:
        stream.close()
        raise
    return stream


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0), 0o666)


def open_to_append(path: Path) -> IO[bytes]:
    """Open the file at `path`, creating it if missing, for reading and for appending, unbuffered.

    Raises StorageError for a link, OSError if it isn't a regular file.
    """
    require_appendable(path)
    return open(path, "a+b", buffering=0, opener=_open_without_waiting)


def require_appendable(path: Path) -> None:
    """Raise StorageError if `path` is a link, OSError if it exists and isn't a regular file."""
    require_no_link(path)
    if path.exists():
        require_regular(path)


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """The content of the regular file at `path`. Raises OSError, also if it has more than `most` bytes."""
    with open_regular(path) as stream:
        if most is None:
            return stream.read()
        if os.fstat(stream.fileno()).st_size <= most and len(content := stream.read(most + 1)) <= most:
            return content
    raise OSError(errno.EOVERFLOW, _("it is larger than {size}").format(size=size(most)), str(path))


def read_text(path: Path, encoding: str = "utf-8", most: int | None = None) -> str:
    """The text of the regular file at `path`, with line ends as line feeds. Raises like `read_bytes`, UnicodeError."""
    with io.TextIOWrapper(io.BytesIO(read_bytes(path, most)), encoding) as stream:
        return stream.read()


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_write(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: object) -> None:
    """Write `content` as JSON, atomically."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint(*parts: object) -> str:
    """SHA-256 of JSON values, independent of the order of keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def folder_size(path: Path) -> int:
    """Total size of all files below `path` in bytes, ignoring files that vanish meanwhile."""
    total = 0
    for folder, _folders, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(folder) / name).stat().st_size
    return total


def require_folder(path: Path) -> None:
    """Raise StorageError unless there is a folder at `path`: files written after a rename would be lost."""
    if not path.is_dir():
        raise FolderGoneError(
            _("The folder {path} is gone.").format(path=path),
            _("It was moved, renamed or deleted. Give it its old name, or open the project where it is now: its runs"
              " resume from their last checkpoint."),
        )  # fmt: skip


def require_space(folder: Path, needed: int) -> None:
    """Raise DiskFullError unless `needed` bytes are free on the disk of `folder`."""
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
    """Hold the operating system's lock named `output` in `folder`.

    Raises BusyError with the message `busy` if another window or command holds it for `patience` seconds (`is_locked`
    also holds it for an instant). The system releases the lock when the process ends, however it ends.
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
    """Whether a process holds the lock on `output`."""
    if not (folder / f"{output}.lock").exists():
        return False
    try:
        with locked(folder, output, "", patience=0):
            return False
    except BusyError:
        return True
    except StorageError:
        return False

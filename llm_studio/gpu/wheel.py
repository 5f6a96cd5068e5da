"""Unpacks a wheel of torch, verifying each file and leaving out what only compilers need."""

import base64
import contextlib
import csv
import hashlib
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path, PurePosixPath

from llm_studio.errors import PackError, reason_of
from llm_studio.events import Progress
from llm_studio.files import open_regular, remove_folder, require_space, translate_os_errors
from llm_studio.i18n import _
from llm_studio.jobs import Job

_CHUNK = 1 << 20
_ONLY_FOR_COMPILERS = (".lib", ".h", ".hpp", ".cuh", ".cpp", ".cmake", ".pyi")
_ONLY_FOR_TESTS = ("torch/bin/", "torch/test/", "torch/testing/_internal/generated/")

_DAMAGE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    csv.Error,
    EOFError,
    KeyError,
    ValueError,
    RuntimeError,
)
"""Exceptions while reading a wheel that is truncated, altered or encrypted."""


def unpack(wheel: Path, folder: Path, job: Job) -> None:
    """Unpack `wheel` into the new folder `folder`, which exists afterwards only if this succeeds.

    The folder isn't renamed at the end: while a virus scanner reads gigabytes, Windows doesn't allow renaming it. So
    the caller must record completion itself, in case of a power failure.

    Raises PackError if the file is damaged or isn't a wheel of torch, StorageError for the disk, Cancelled when the job
    is stopped.
    """
    try:
        with open_regular(wheel) as stream, zipfile.ZipFile(stream) as archive:
            sums = _checksums(archive, wheel)
            entries = [entry for entry in archive.infolist() if _is_needed(entry)]
            total, done = sum(entry.file_size for entry in entries), 0
            with translate_os_errors(folder):
                folder.parent.mkdir(parents=True, exist_ok=True)
            require_space(folder.parent, total)
            with translate_os_errors(folder), _new(folder):
                for entry in entries:
                    done = _write(archive, wheel, entry, folder, sums, job, (done, total))
    except _DAMAGE as error:
        raise _damaged(wheel) from error
    except FileNotFoundError as error:
        raise PackError(_("There is no file {path}.").format(path=wheel), _("Choose the wheel of torch.")) from error
    except OSError as error:
        raise PackError(_("{path} can't be read: {reason}.").format(path=wheel, reason=reason_of(error)),
                        _("Choose the wheel of torch.")) from error  # fmt: skip


@contextlib.contextmanager
def _new(folder: Path) -> Generator[None]:
    """Create a new folder, which is removed if the block fails."""
    folder.mkdir()
    try:
        yield
    except BaseException:
        remove_folder(folder)
        raise


def _write(archive: zipfile.ZipFile, wheel: Path, entry: zipfile.ZipInfo, folder: Path, sums: dict[str, str], job: Job,
           progress: tuple[int, int]) -> int:  # fmt: skip
    """Write and verify one file; returns the bytes done so far."""
    done, total = progress
    target = folder.joinpath(*PurePosixPath(entry.filename).parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with archive.open(entry) as read, target.open("wb") as write:
        while chunk := read.read(_CHUNK):
            job.check()
            digest.update(chunk)
            write.write(chunk)
            done += len(chunk)
            job.report(Progress(_("Unpacking"), done / 1e6, total / 1e6, _("MB")))
    is_list = entry.filename.endswith(".dist-info/RECORD")
    if not is_list and sums.get(entry.filename) != base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode():
        raise _damaged(wheel)
    return done


def _checksums(archive: zipfile.ZipFile, wheel: Path) -> dict[str, str]:
    """SHA-256 of the files, from the wheel's RECORD (PEP 427); no file may be outside the folder."""
    names = archive.namelist()
    if any(_leads_out(name) for name in names):
        raise _damaged(wheel)
    records = [name for name in names if name.endswith(".dist-info/RECORD") and name.count("/") == 1]
    if len(records) != 1 or not records[0].startswith("torch-"):
        raise PackError(
            _("{path} isn't a wheel of torch.").format(path=wheel),
            _("Choose a file named like torch-2.13.0+cu130-cp311-cp311-win_amd64.whl."),
        )
    rows = csv.reader(archive.read(records[0]).decode("utf-8").splitlines())
    return {row[0]: row[1].removeprefix("sha256=") for row in rows if len(row) == 3 and row[1].startswith("sha256=")}


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or ":" in name or "\\" in name


def _is_needed(entry: zipfile.ZipInfo) -> bool:
    name = entry.filename
    return not entry.is_dir() and not name.endswith(_ONLY_FOR_COMPILERS) and not name.startswith(_ONLY_FOR_TESTS)


def _damaged(wheel: Path) -> PackError:
    return PackError(_("{path} is damaged.").format(path=wheel), _("Download it again: none of it was installed."))

"""Opening a checkpoint that someone shared: its folder, or the zip written by `archive.py`.

Only the files of a checkpoint are copied, by name; everything else is ignored. Sizes are limited, and no link is
followed or written out of the new folder.
"""

import contextlib
import stat
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path, PurePosixPath
from typing import IO

from llm_studio import files, records
from llm_studio.config.yaml_file import MOST_CHARACTERS
from llm_studio.data.sources.readers.archives import directory_bytes
from llm_studio.errors import CheckpointError, reason_of
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.links import leads_out
from llm_studio.runs.checkpoint import CONFIG, MODEL, OPTIMIZER, RECORD, TOKENIZER

_NEEDED = (RECORD, CONFIG, TOKENIZER, MODEL)
_NAMES = (*_NEEDED, OPTIMIZER)
_MOST_DIRECTORY = 1 << 20
_MOST_EXPANSION = 200
"""Largest compression ratio of a file: weights hardly compress."""
_SPARE_BYTES = 10_000_000
_CHUNK = 1 << 20
_ZIP = b"PK\x03\x04"
"""The start of a zip file; its list of files is at the end."""


def is_checkpoint_zip(path: Path) -> bool:
    """Whether the file at `path` is the zip of a checkpoint, according to its list of files."""
    return problem_of_zip(path) is None


def problem_of_zip(path: Path) -> CheckpointError | None:
    """Why the file at `path` can't be opened as the zip of a checkpoint, according to its list of files."""
    try:
        with _opened(path) as archive:
            _members(path, archive)
    except CheckpointError as error:
        return error
    return None


def folder_name(path: Path) -> str:
    """The name of the checkpoint's folder in a zip, "" if its files are in no folder. Raises CheckpointError."""
    with _opened(path) as archive:
        return PurePosixPath(_members(path, archive)[RECORD].filename).parent.name


def unpack(path: Path, folder: Path, job: Job) -> None:
    """Copy the files of the checkpoint in the zip at `path` into `folder`. Raises CheckpointError, StorageError."""
    with _opened(path) as archive:
        found = _members(path, archive)
        total = sum(info.file_size for info in found.values())
        with files.translate_os_errors(folder):
            files.require_space(folder, total + _SPARE_BYTES)
        done = 0
        for name, info in found.items():
            with _translate_errors(path):
                stream = archive.open(info)
            with stream:
                done = _copy(path, stream, folder / name, info.file_size, done, total, job)


def copy(path: Path, folder: Path, job: Job) -> None:
    """Copy the files of the checkpoint in the folder `path` into `folder`. Raises CheckpointError, StorageError."""
    found: dict[str, int] = {}
    for name in _NAMES:
        with _translate_errors(path):
            if name == OPTIMIZER and not (path / name).exists():
                continue
            if leads_out(path / name, path):
                raise _refused(path, _("“{name}” is a link that leads out of it").format(name=name))
            files.require_regular(path / name)
            found[name] = (path / name).stat().st_size
    _require_sizes(path, found)
    total = sum(found.values())
    with files.translate_os_errors(folder):
        files.require_space(folder, total + _SPARE_BYTES)
    done = 0
    for name, size in found.items():
        with _translate_errors(path):
            stream = files.open_regular(path / name)
        with stream:
            done = _copy(path, stream, folder / name, size, done, total, job)


def _copy(path: Path, stream: IO[bytes], target: Path, size: int, done: int, total: int, job: Job) -> int:
    """Copy `size` bytes; returns the total bytes copied so far."""
    task, left = _("Opening {file}").format(file=path.name), size
    with files.translate_os_errors(target), target.open("xb") as out:
        while left:
            job.check()
            with _translate_errors(path):
                chunk = stream.read(min(_CHUNK, left))
            if not chunk:
                raise _refused(path, _("it ends too early"))
            out.write(chunk)
            left -= len(chunk)
            done += len(chunk)
            job.report(Progress(task, done, total, _("bytes")))
        with _translate_errors(path):  # at the end of a file, zipfile verifies its checksum
            if stream.read(1):
                raise _refused(path, _("it is longer than it says"))
    return done


# --- Contents of a zip ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(path: Path) -> Generator[zipfile.ZipFile]:
    with _translate_errors(path):
        stream = files.open_regular(path)
    with stream:
        with _translate_errors(path):
            length = directory_bytes(stream)
            if length is None:
                stream.seek(0)
                raise _cut_short(path) if stream.read(len(_ZIP)) == _ZIP else _refused(path, _("it isn't a zip"))
            if length > _MOST_DIRECTORY:
                raise _refused(path, _("it holds too many files"))
            archive = zipfile.ZipFile(stream)
        with archive:
            yield archive


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files of the only checkpoint in a zip, by name. Raises CheckpointError for anything unexpected."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    held = [PurePosixPath(info.filename).parent for info in infos if PurePosixPath(info.filename).name == RECORD]
    if not held:
        raise _refused(path, _("it holds no model of this program"))
    if len(held) > 1:
        raise _refused(path, _("it holds more than one model"))
    if len(held[0].parts) > 1 or held[0].is_absolute() or ".." in held[0].parts:
        raise _refused(path, _("its folders are inside each other"))
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = PurePosixPath(info.filename).name
        if name not in _NAMES or PurePosixPath(info.filename).parent != held[0]:
            continue
        if name in found:
            raise _refused(path, _("“{name}” is in it twice").format(name=name))
        if info.flag_bits & 1:
            raise _refused(path, _("it is protected by a password"))
        if info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):  # LZMA's memory is unlimited
            raise _refused(path, _("it is compressed by another method than Deflate"))
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind and kind != stat.S_IFREG:
            raise _refused(path, _("“{name}” is a link or a device").format(name=name))
        if info.file_size > _MOST_EXPANSION * max(info.compress_size, 1):
            raise _refused(path, _("“{name}” would become too large").format(name=name))
        found[name] = info
    _require_sizes(path, {name: info.file_size for name, info in found.items()})
    return {name: found[name] for name in _NAMES if name in found}


def _require_sizes(path: Path, found: dict[str, int]) -> None:
    from llm_studio.data.tokenizer.tokenizer import MOST_BYTES

    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise _refused(path, _("“{name}” is missing").format(name=missing[0]))
    bounds = {RECORD: records.MOST_BYTES, CONFIG: 4 * MOST_CHARACTERS, TOKENIZER: MOST_BYTES}
    large = [name for name, most in bounds.items() if found[name] > most]
    if large:
        raise _refused(path, _("“{name}” is too large").format(name=large[0]))


@contextlib.contextmanager
def _translate_errors(path: Path) -> Generator[None]:
    """Turn the many exceptions that `zipfile` raises for damaged files into a CheckpointError."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, IndexError,
            OverflowError) as error:  # fmt: skip
        raise _refused(path, _("it is damaged")) from error
    except OSError as error:
        raise _refused(path, reason_of(error)) from error


def _cut_short(path: Path) -> CheckpointError:
    return CheckpointError(_("The zip {path} is incomplete: its end is missing.").format(path=path),
                           _("Copy or download it again."))  # fmt: skip


def _refused(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(_("The model in {path} can't be opened: {reason}.").format(path=path, reason=reason),
                           _("Ask for the zip as LLM Studio exports it."))  # fmt: skip

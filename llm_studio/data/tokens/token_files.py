"""The files of the prepared tokens: their names, memory-mapping, and verification.

`meta.json` records a CRC-32 of each MiB of `train.bin` and `val.bin`, and the SHA-256 of every file as a whole. CRC-32
finds every change of up to 32 adjacent bits, and others with a probability of 1 - 2⁻³², at four to six times the speed
of SHA-256 and BLAKE2b; with one per block, damage is found before the whole file is read. Files of earlier versions,
and the masks, have only the SHA-256.
"""

import contextlib
import hashlib
import mmap
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_studio import files
from llm_studio.data.tokens.meta import TokensMeta
from llm_studio.errors import DamagedTokensError, DataError, reason_of
from llm_studio.i18n import _

TRAIN_FILE, VALIDATION_FILE = "train.bin", "val.bin"
TRAIN_MASK, VALIDATION_MASK = "train.mask", "val.mask"
BLOCK = 1 << 20
"""Size in bytes of a block with its own checksum."""


class BlockChecksums:
    """The CRC-32 of each block of a file, in hexadecimal, from its content in parts of any length."""

    def __init__(self) -> None:
        self._sums: list[str] = []
        self._crc = self._length = 0

    def add(self, content: bytes) -> None:
        """Add the next bytes of the file."""
        rest = memoryview(content)
        while rest:
            chunk = rest[: BLOCK - self._length]
            self._crc = zlib.crc32(chunk, self._crc)
            self._length += len(chunk)
            rest = rest[len(chunk) :]
            if self._length == BLOCK:
                self._end_block()

    def text(self) -> str:
        """The checksums of all blocks, eight digits each. Call it at the end of the file: it ends the last block."""
        if self._length:
            self._end_block()
        return "".join(self._sums)

    def _end_block(self) -> None:
        self._sums.append(f"{self._crc:08x}")
        self._crc = self._length = 0


@dataclass(frozen=True)
class TokenFile:
    """One file with its checksums, as recorded in `meta.json`. `crc32`: of each block, "" if unknown.

    `identity` distinguishes it from a file that replaces it when tokens are prepared again; None if unknown.
    """

    path: Path
    sha256: str
    crc32: str = ""
    identity: tuple[int, int] | None = None

    def verify(self) -> Iterator[None]:
        """Read the file, block by block. Raises DamagedTokensError as soon as a difference is found.

        A file that has replaced it is ignored.
        """
        whole = None if self.crc32 else hashlib.sha256()
        buffer, done = bytearray(BLOCK), 0
        try:
            with files.open_regular(self.path) as stream:
                if self.identity not in (None, _identity(os.fstat(stream.fileno()))):
                    return
                while length := _fill(stream.readinto, buffer):
                    block = memoryview(buffer)[:length]
                    if whole is not None:
                        whole.update(block)
                    elif f"{zlib.crc32(block):08x}" != self.crc32[8 * done : 8 * done + 8]:
                        raise damaged_tokens(self.path.name)
                    done += 1
                    yield
        except OSError as error:  # a bad sector, or a disk that is gone
            raise DataError(
                _("{file} can't be read: {reason}.").format(file=self.path.name, reason=reason_of(error))
            ) from error
        if (8 * done != len(self.crc32)) if whole is None else (whole.hexdigest() != self.sha256):
            raise damaged_tokens(self.path.name)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _fill(read_into: Callable[[memoryview], int | None], buffer: bytearray) -> int:
    """Fill the buffer, less at the end of the file: a single read may return fewer bytes at any position."""
    filled, view = 0, memoryview(buffer)
    while filled < len(buffer) and (count := read_into(view[filled:])):
        filled += count
    return filled


def files_of(folder: Path, meta: TokensMeta) -> list[TokenFile]:
    """The files that `meta.json` describes."""
    found: list[TokenFile] = []
    splits = (meta.train, TRAIN_FILE, TRAIN_MASK), (meta.validation, VALIDATION_FILE, VALIDATION_MASK)
    for split, ids, mask in splits:
        found.append(_token_file(folder / ids, split.sha256, split.crc32 if meta.block == BLOCK else ""))
        if split.mask_sha256:
            found.append(_token_file(folder / mask, split.mask_sha256))
    return found


def _token_file(path: Path, sha256: str, crc32: str = "") -> TokenFile:
    identity = None
    with contextlib.suppress(OSError):  # missing: mapping it will raise an error
        identity = _identity(path.stat())
    return TokenFile(path, sha256, crc32, identity)


def mapped(path: Path, dtype: "np.dtype[Any]", count: int) -> NDArray[Any]:
    """The `count` numbers in a file, memory-mapped. Raises DataError."""
    try:
        with files.open_regular(path) as stream:
            size = stream.seek(0, 2)
            if size != count * dtype.itemsize:
                raise DataError(_("{file} is incomplete.").format(file=path.name), prepare_again(), "tokens")
            if size == 0:
                return np.empty(0, dtype=dtype)
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise DataError(_("{file} is missing.").format(file=path.name), prepare_again(), "tokens") from error
    except OSError as error:
        raise DataError(_("{file} can't be read: {reason}.").format(file=path.name, reason=reason_of(error))) from error
    return np.frombuffer(content, dtype=dtype)


def damaged_tokens(file: str) -> DamagedTokensError:
    """The error for a file that has changed since it was prepared."""
    return DamagedTokensError(
        _("The tokens are damaged: {file} has changed since it was prepared.").format(file=file),
        _("Run “llm-studio prepare” again, then resume the run: what it has saved is kept."),
        file,
    )


def prepare_again() -> str:
    """The remedy for most problems with the tokens."""
    return _("Run “llm-studio prepare” again.")

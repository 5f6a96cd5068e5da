"""The temporary file of the near-duplicate index: problems with the disk are one clear message."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_studio.data.cleaning.near_duplicates import NearDuplicateIndex
from llm_studio.errors import DiskFullError, StorageError
from llm_studio.jobs import Job

COUNT = 1_000
"""Documents whose signatures don't fit on the small disk."""


def compare_documents() -> None:
    with NearDuplicateIndex(0.8) as index:
        for number in range(COUNT):
            index.add(number, f"Story number {number} is about {number * 7919} small foxes.")
        index.find(np.arange(COUNT, dtype=np.uint64), np.full(COUNT, 50, np.uint32), np.ones(COUNT, np.bool_), Job())


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files on a file system of 64 kB."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = sys.platform == "linux" and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode == 0  # fmt: skip
    if not mounted:
        pytest.skip("only root can make a small disk, under Linux")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_reported(small_disk: Path) -> None:
    with pytest.raises(DiskFullError, match="The disk is full"):
        compare_documents()


def test_a_missing_folder_for_temporary_files_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: Any) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", none)
    with pytest.raises(StorageError, match="no folder for temporary files"):
        compare_documents()

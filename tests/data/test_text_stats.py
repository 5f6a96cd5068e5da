"""Hashes and lengths on disk: where the disk is full, one clear sentence."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_studio.data.corpus.text_stats import TextStatsWriter
from llm_studio.errors import DiskFullError, StorageError

MANY = 40_000
"""More texts than are kept in memory."""


def measured() -> int:
    with TextStatsWriter() as scale:
        for number in range(MANY):
            scale.put(number << 40, 10)
        return scale.measures().total


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


def test_a_full_disk_is_told(small_disk: Path) -> None:
    with pytest.raises(DiskFullError, match="The disk is full"):
        measured()


def test_no_folder_for_temporary_files_is_told_and_few_texts_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: Any) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", none)
    with pytest.raises(StorageError, match="no folder for temporary files"):
        measured()
    with TextStatsWriter() as scale:
        scale.add("a few words", True)
        assert scale.measures().whole().lengths.tolist() == [11]
        assert np.unique(scale.measures().whole().hashes).size == 1

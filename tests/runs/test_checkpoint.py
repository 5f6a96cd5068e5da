"""Checkpoints are whole, verified, few, and pickle nothing."""

import contextlib
import errno
import math
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from llm_studio import files
from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.errors import CheckpointError, NewerCheckpointError, StorageError
from llm_studio.runs import checkpoint, headers, tensors
from llm_studio.runs.loop_state import LoopState
from llm_studio.training.progress import TrainingProgress

ERROR_DISK_FULL = 112
"""What Windows says."""


def save(run: Path, step: int, loss: float | None = None, history: Sequence[dict[str, Any]] = ()) -> Path:
    state = LoopState(
        step=step, tokens=step * 100, seconds=1.0, vocab_size=300, compute=Compute("cpu", "float32", 2),
        train_loss=3.0, validation_loss=loss, best_loss=loss, data="d", torch_version="t", scaler={},
        history=list(history),
    )  # fmt: skip
    weights = {"w": torch.full((4, 4), float(step))}
    checkpoint.save(run, state, Settings(), "{}", weights, {"w.exp_avg": torch.ones(4, 4)})
    return checkpoint.folder(run, step)


def steps(run: Path) -> list[int]:
    return [c.step for c in checkpoint.listed(run)]


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    saved = checkpoint.read(save(tmp_path, 7, 2.5))
    checkpoint.verify(saved)
    assert saved.state.compute == Compute("cpu", "float32", 2) and saved.state.tokens == 700
    assert torch.equal(saved.weights()["w"], torch.full((4, 4), 7.0))
    assert torch.equal(saved.moments()["w.exp_avg"], torch.ones(4, 4))
    assert saved.settings() == Settings()
    assert {p.suffix for p in saved.path.iterdir()} == {".safetensors", ".json", ".yaml"}


def test_the_last_three_and_the_best_are_kept_and_steps_sort_as_numbers(tmp_path: Path) -> None:
    for step, loss in [(999_998, 2.0), (999_999, 1.0), (1_000_000, 1.5), (1_000_001, 1.6), (1_000_002, None)]:
        save(tmp_path, step, loss)
    assert steps(tmp_path) == [999_999, 1_000_000, 1_000_001, 1_000_002]
    best = checkpoint.best(checkpoint.listed(tmp_path))
    assert best and best.step == 999_999


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.safetensors", "config.yaml", "tokenizer.json", "checkpoint.json"]
)
def test_a_damaged_file_is_found_and_the_previous_checkpoint_serves(tmp_path: Path, name: str) -> None:
    save(tmp_path, 1)
    file = save(tmp_path, 2) / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    found, damaged = checkpoint.newest_intact(tmp_path)
    assert found and found.step == 1 and damaged == ["step-000002"]


@pytest.mark.skipif(sys.platform == "win32", reason="there, files have no holes")
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "config.yaml", "tokenizer.json"])
def test_a_file_that_has_grown_to_a_terabyte_is_damaged_and_not_read(tmp_path: Path, name: str) -> None:
    save(tmp_path, 1)
    os.truncate(save(tmp_path, 2) / name, 1 << 40)
    found, damaged = checkpoint.newest_intact(tmp_path)
    assert found and found.step == 1 and damaged == ["step-000002"]


@pytest.mark.parametrize("header", [b"", b"[]", b"[" * 99_999, b'{"w": {"data_offsets": [0]}}', b'{"w": 5}', b"\xff"])
def test_weights_without_a_header_are_damaged(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CheckpointError):
        headers.read_header(tmp_path / "a.safetensors")


def test_a_missing_file_and_a_truncated_one_are_found(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save(tmp_path, step)
    (checkpoint.folder(tmp_path, 3) / "model.safetensors").unlink()
    record = checkpoint.folder(tmp_path, 2) / "checkpoint.json"
    record.write_text(record.read_text(encoding="utf-8")[:40], encoding="utf-8")
    found, damaged = checkpoint.newest_intact(tmp_path)
    assert found and found.step == 1 and damaged == ["step-000003", "step-000002"]


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1)

    def full(*_args: object) -> None:  # as the library tells it
        number = ERROR_DISK_FULL if sys.platform == "win32" else errno.ENOSPC
        raise SafetensorError(f"Error while serializing: I/O error: No space left (os error {number})")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(StorageError, match="disk is full"):
        save(tmp_path, 2)
    assert steps(tmp_path) == [1] and [p.name for p in tmp_path.iterdir()] == ["step-000001"]


def test_too_little_room_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 10})())
    with pytest.raises(StorageError, match="are free"):
        save(tmp_path, 1)
    assert not list(tmp_path.iterdir())


def test_what_an_interrupted_save_left_is_no_checkpoint_and_goes_with_the_next_save(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / "step-000002.partial").mkdir()
    assert steps(tmp_path) == [1]
    save(tmp_path, 3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000001", "step-000003"]


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_death_while_a_step_is_saved_again_in_its_place_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    save(tmp_path, 5)
    real, done = Path.rename, 0

    def rename(path: Path, target: Path) -> Path:
        nonlocal done
        if done == renames:
            raise KeyboardInterrupt  # the process ends
        done += 1
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        patch.setattr("shutil.rmtree", lambda *_arguments, **_options: None)  # so it removes nothing either
        with contextlib.suppress(KeyboardInterrupt):
            save(tmp_path, 5)
    checkpoint.finish_interrupted(tmp_path)
    found, damaged = checkpoint.newest_intact(tmp_path)
    assert found and found.step == 5 and not damaged
    save(tmp_path, 6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000005", "step-000006"]


def test_what_was_cut_short_or_removed_is_not_taken_for_a_checkpoint(tmp_path: Path) -> None:
    torn, removed = save(tmp_path, 4), save(tmp_path, 5)
    (torn / "model.safetensors").write_bytes(b"")
    torn.rename(files.being_written(torn))
    removed.rename(tmp_path / "step-000005.removed.partial")
    checkpoint.finish_interrupted(tmp_path)
    assert steps(tmp_path) == []


def test_folders_that_the_user_has_made_stay_and_are_not_counted(tmp_path: Path) -> None:
    shutil.copytree(save(tmp_path, 1), tmp_path / "step-000001 - Copie")
    (tmp_path / "step-000002.bak").mkdir()
    for step in range(2, 6):
        save(tmp_path, step)
    assert steps(tmp_path) == [3, 4, 5]
    assert {p.name for p in tmp_path.iterdir()} >= {"step-000001 - Copie", "step-000002.bak"}


def test_a_loss_without_a_number_is_not_the_best(tmp_path: Path) -> None:
    for step, loss in ((1, math.nan), (2, 2.0), (3, math.nan)):
        save(tmp_path, step, loss)
    best = checkpoint.best(checkpoint.listed(tmp_path))
    assert best and best.step == 2
    standing = TrainingProgress()
    assert not standing.measured(math.nan)
    assert standing.measured(3.0) and not standing.measured(math.nan) and standing.measured(2.0)


def test_losses_of_other_texts_are_not_compared(tmp_path: Path) -> None:
    standing = TrainingProgress(step=10, best_loss=1.0)
    standing.changed({"training.eval_interval": 5})
    assert standing.best_loss == 1.0
    standing.changed({"training.loss_on": "answers"})
    assert standing.measured(3.0)
    save(tmp_path, 10, 1.0)
    save(tmp_path, 15, 3.0, standing.history)
    save(tmp_path, 20, 3.5, standing.history)
    best = checkpoint.best(checkpoint.listed(tmp_path))
    assert best and best.step == 15


def test_damaged_later_checkpoints_stay_until_the_run_has_saved_again(tmp_path: Path) -> None:
    for step in (1, 2, 9):
        save(tmp_path, step)
    (checkpoint.folder(tmp_path, 9) / "checkpoint.json").unlink()
    (checkpoint.folder(tmp_path, 2) / "model.safetensors").write_bytes(b"")
    found, damaged = checkpoint.newest_intact(tmp_path)
    assert found and found.step == 1 and damaged == ["step-000009", "step-000002"]
    assert len(list(tmp_path.iterdir())) == 3
    save(tmp_path, 2)
    assert steps(tmp_path) == [1, 2] and len(list(tmp_path.iterdir())) == 2


def test_a_file_that_the_disk_refuses_to_read_counts_as_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)

    def bad_sector(_path: Path) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("llm_studio.files.sha256_of", bad_sector)
    assert checkpoint.newest_intact(tmp_path) == (None, ["step-000001"])
    assert steps(tmp_path) == [1]


def test_a_checkpoint_of_a_newer_program_is_refused_politely(tmp_path: Path) -> None:
    path = save(tmp_path, 1) / "checkpoint.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"version": 1', '"version": 2', 1), encoding="utf-8")
    with pytest.raises(CheckpointError, match="newer LLM Studio"):
        checkpoint.read(path.parent)
    with pytest.raises(NewerCheckpointError):
        checkpoint.newest_intact(tmp_path)
    for step in (2, 3, 4, 5):
        save(tmp_path, step)
    assert path.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permissions of this kind")
def test_weights_may_be_read_by_whoever_may_read_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    tensors.write(tmp_path / "model.safetensors", {"a": torch.zeros(2)})
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "new").stat().st_mode

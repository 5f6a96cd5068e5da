"""Projects with checkpoints and snapshots that no training made, for tests of what is on the disk."""

from dataclasses import replace
from pathlib import Path

import torch

from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.project import Project
from llm_studio.runs import checkpoint, record, registry, snapshots
from llm_studio.runs.loop_state import LoopState

TOKENIZER = '{"tokenizer": "of the run"}'


def empty_project(folder: Path) -> Project:
    """A new project below `folder`."""
    return Project.create(folder / "project", Settings())


def save_run(project: Project, name: str, created: str, conversations: bool = False) -> None:
    """The record of a stopped run."""
    run = record.new(name, Settings(), 1000, "2.0", "data")
    registry.write(project, replace(run, state="stopped", created=created, conversations=conversations))


def save_checkpoint(
    project: Project, run: str, step: int, loss: float | None = None,
    weights: dict[str, torch.Tensor] | None = None, settings: Settings | None = None, conversations: bool = False,
) -> Path:  # fmt: skip
    """A checkpoint with the validation loss `loss`; its weights are its step where none are given."""
    state = LoopState(
        step=step, tokens=step * 100, seconds=1.0, vocab_size=300, compute=Compute("cpu", "float32", 2),
        train_loss=3.0, validation_loss=loss, best_loss=loss, data="d", torch_version="t", scaler={},
    )  # fmt: skip
    folder = registry.folder(project, run)
    tensors = weights or {"w": torch.full((4, 4), float(step))}
    checkpoint.save(
        folder, state, settings or Settings(), TOKENIZER, tensors, {"w.exp_avg": torch.ones(4, 4)}, conversations
    )
    return checkpoint.folder(folder, step)


def save_snapshot(project: Project, run: str, step: int, settings: Settings | None = None) -> Path:
    """A snapshot whose weights are its step."""
    folder = registry.folder(project, run)
    weights = {"w": torch.full((4, 4), float(step))}
    assert snapshots.save(folder, step, weights, 10**9, settings or Settings(), TOKENIZER)
    return snapshots.listed(folder)[step]


def damage(path: Path) -> None:
    """Flip a bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

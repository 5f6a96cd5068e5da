"""Snapshots: weights alone, in half precision, of log-spaced steps: a timeline of what the model could say when."""

import contextlib
import math
from pathlib import Path

import torch

from llm_studio import files
from llm_studio.runs import tensors

_GROWTH = 1.2


def is_due(step: int) -> bool:
    """Whether `step` is one of 0, 1, 2, 3, ... that grow by about a fifth each."""
    if step <= 1:
        return True
    return math.floor(math.log(step, _GROWTH)) > math.floor(math.log(step - 1, _GROWTH))


def folder(run: Path) -> Path:
    """Where the snapshots of a run are."""
    return run / "snapshots"


def save(run: Path, step: int, weights: dict[str, torch.Tensor], limit_bytes: int) -> bool:
    """Write the snapshot of `step`; where all together pass `limit_bytes`, the most crowded ones go.

    Returns whether one was written: a model may be larger than the limit.
    """
    halves = {name: tensor.detach().to(torch.float16) for name, tensor in weights.items()}
    if sum(t.nbytes for t in halves.values()) > limit_bytes:
        return False
    with files.atomic_write(folder(run) / f"step-{step:06d}.safetensors") as beside:
        tensors.write(beside, halves)
    _thin_out(run, limit_bytes)
    return True


def listed(run: Path) -> dict[int, Path]:
    """The snapshots by step."""
    steps = {path.stem.removeprefix("step-"): path for path in folder(run).glob("step-*.safetensors")}
    # what else is there, such as a synchroniser's "step-000001 (1)", isn't ours
    return dict(sorted((int(step), path) for step, path in steps.items() if step.isdecimal()))


def read(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a snapshot, in float16."""
    return tensors.read(path)


def remove_after(run: Path, step: int) -> None:
    """Remove the snapshots of later steps: they are about to be done again, perhaps in another way."""
    for later in [path for found, path in listed(run).items() if found > step]:
        with files.translate_os_errors(later):
            files.retry_while_locked(lambda path=later: path.unlink(missing_ok=True))


def _thin_out(run: Path, limit_bytes: int) -> None:
    """Remove the snapshot with the nearest neighbours, on a logarithmic scale, until the rest fits.

    The first and the last stay, and where there is no room for two the last alone.
    """
    found = listed(run)
    sizes = {step: path.stat().st_size for step, path in found.items()}
    while len(sizes) > 1 and sum(sizes.values()) > limit_bytes:
        steps = list(sizes)
        inner = range(1, len(steps) - 1)
        crowded = min(inner, key=lambda i: math.log((steps[i + 1] + 1) / (steps[i - 1] + 1)), default=0)
        del sizes[steps[crowded]]
        with contextlib.suppress(OSError):  # another program reads it: it goes the next time
            found[steps[crowded]].unlink(missing_ok=True)

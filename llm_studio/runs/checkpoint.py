"""Checkpoints: folders that hold all that is needed to go on, and can be moved. Nothing in them is pickled.

    step-000500/
      model.safetensors        weights, float32
      optimizer.safetensors    the moments of AdamW or Muon
      config.yaml              every setting of the run
      tokenizer.json
      checkpoint.json          step, losses, how it was computed; SHA-256 of the files above

A checkpoint is written beside and renamed, so a folder named `step-…` is whole; what was damaged later is found
by the sums.
"""

import contextlib
import math
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from llm_studio import files
from llm_studio.config import Settings
from llm_studio.config_file import dump, load
from llm_studio.device import Compute
from llm_studio.errors import CheckpointError, DiskFullError, NewerCheckpointError
from llm_studio.events import CheckpointSaved
from llm_studio.i18n import _
from llm_studio.runs import tensors

VERSION = 1
KEPT = 3
"""The last checkpoints kept, besides the best."""
_SPARE_BYTES = 1_000_000
MEASURED = frozenset(("data.weights", "training.loss_on", "training.eval_sequences"))
"""Settings with which validation losses are of other texts."""

_PREFIX = "step-"
_RECORD, _MODEL, _OPTIMIZER, _CONFIG, _TOKENIZER = (
    "checkpoint.json", "model.safetensors", "optimizer.safetensors", "config.yaml", "tokenizer.json",
)  # fmt: skip


@dataclass(frozen=True)
class LoopState:
    """Where a training stands, and how it was computed: with the same, the rest comes out bit for bit the same.

    `validation_loss` was measured at this very step, or is None; `scaler` is the state of float16's loss scaling,
    `recovery` that of what is done about trouble, `history` what was changed on the way.
    """

    step: int
    tokens: int
    seconds: float
    vocab_size: int
    compute: Compute
    train_loss: float | None
    validation_loss: float | None
    best_loss: float | None
    data: str
    torch_version: str
    scaler: dict[str, Any]
    recovery: dict[str, Any] = field(default_factory=dict[str, Any])
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def measured_since(self) -> int:
        """The step at which the user last changed what validation losses mean; 0 where that never was."""
        return max((change["step"] for change in self.history if MEASURED & set(change.get("settings", ()))), default=0)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on the disk, its sums not yet verified. `conversations`: its model was trained on some."""

    path: Path
    state: LoopState
    conversations: bool = False

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.state.step

    def settings(self) -> Settings:
        """The settings of the run."""
        return load(self.path / _CONFIG)

    def tokenizer_json(self) -> str:
        """The tokenizer that made the tokens."""
        return (self.path / _TOKENIZER).read_text(encoding="utf-8")

    def weights(self) -> dict[str, torch.Tensor]:
        """The model's parameters by name."""
        return _read_tensors(self.path / _MODEL)

    def moments(self) -> dict[str, torch.Tensor]:
        """The optimizer's state by name."""
        return _read_tensors(self.path / _OPTIMIZER)


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return tensors.read(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(_("{path} can't be read: {reason}").format(path=path, reason=error)) from error


def folder(run: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return run / f"{_PREFIX}{step:06d}"


def save(
    run: Path, state: LoopState, settings: Settings, tokenizer_json: str,
    weights: dict[str, torch.Tensor], moments: dict[str, torch.Tensor], conversations: bool = False,
    needed: Collection[int] = (),
) -> CheckpointSaved:  # fmt: skip
    """Write a checkpoint whole, then remove those no longer kept. Raises StorageError; older ones stay then.

    Those of the `needed` steps are kept. Where there is no room the oldest of the others go before.
    """
    began = time.perf_counter()
    path = folder(run, state.step)
    with files.translate_os_errors(run):
        run.mkdir(exist_ok=True)  # it may have been renamed by hand
    _make_room(run, _SPARE_BYTES + sum(t.nbytes for t in (*weights.values(), *moments.values())), needed)
    with files.atomic_folder(path) as beside:
        tensors.write(beside / _MODEL, weights)
        tensors.write(beside / _OPTIMIZER, moments)
        (beside / _CONFIG).write_text(dump(settings), encoding="utf-8")
        (beside / _TOKENIZER).write_text(tokenizer_json, encoding="utf-8")
        sums = {name: files.sha256_of(beside / name) for name in (_MODEL, _OPTIMIZER, _CONFIG, _TOKENIZER)}
        record = {"version": VERSION, "state": asdict(state), "conversations": conversations, "files": sums}
        files.write_json(beside / _RECORD, {**record, "fingerprint": files.fingerprint(record)})
    _prune(run, state.step, needed)
    return CheckpointSaved(state.step, path.name, files.folder_size(path), time.perf_counter() - began)


def read(path: Path) -> Checkpoint:
    """The checkpoint in the folder `path`. Raises CheckpointError where there is none that we understand."""
    record = files.read_json(path / _RECORD)
    if record is None:
        raise CheckpointError(_("{path} is no checkpoint, or is damaged.").format(path=path))
    if record.get("version", 0) > VERSION:
        raise NewerCheckpointError(
            _("The checkpoint {path} was made by a newer LLM Studio.").format(path=path), _("Update the program.")
        )
    try:
        fields: dict[str, Any] = dict(record["state"])
        fields["compute"] = Compute(**fields["compute"])
        return Checkpoint(path, LoopState(**fields), record.get("conversations") is True)
    except (KeyError, TypeError) as error:
        raise CheckpointError(_("{path} is no checkpoint, or is damaged.").format(path=path)) from error


def verify(checkpoint: Checkpoint) -> None:
    """Raise CheckpointError unless every file is as it was written."""
    record = files.read_json(checkpoint.path / _RECORD) or {}
    written = record.pop("fingerprint", None)
    damaged = [] if written == files.fingerprint(record) else [_RECORD]
    for name, total in record.get("files", {}).items():
        try:
            intact = files.sha256_of(checkpoint.path / name) == total
        except OSError:  # absent, or a bad sector
            intact = False
        if not intact:
            damaged.append(name)
    if damaged:
        raise CheckpointError(
            _("The checkpoint {name} is damaged ({files}).").format(
                name=checkpoint.path.name, files=", ".join(damaged)
            ),
            _("Use an earlier one."),
        )


def listed(run: Path) -> list[Checkpoint]:
    """The readable checkpoints of a run, by step."""
    found: list[Checkpoint] = []
    for path in _folders(run):
        with contextlib.suppress(CheckpointError):
            found.append(read(path))
    return sorted(found, key=lambda c: c.step)


def _folders(run: Path) -> list[Path]:
    """The folders of checkpoints, by step. What else is there, such as the user's copies, isn't ours."""
    return sorted((p for p in run.glob(f"{_PREFIX}*") if _step_of(p) >= 0 and p.is_dir()), key=_step_of)


def finish_interrupted(run: Path) -> None:
    """Give a checkpoint its name that is whole, where the program was ended just before it did."""
    names = {path.name.partition(".")[0] for path in run.glob(f"{_PREFIX}*") if files.is_partial(path)}
    for place in (run / name for name in sorted(names)):
        for found in (files.being_written(place), files.set_aside(place)):
            if _step_of(place) < 0 or place.exists():
                break
            with contextlib.suppress(CheckpointError, OSError):
                verify(read(found))
                found.rename(place)


def newest_intact(run: Path, latest: int | None = None) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint whose sums are right, and the names of the damaged ones that are newer.

    With `latest` none after that step is looked at.

    Raises NewerCheckpointError where a newer program has gone on with the run: its work isn't to be undone.
    """
    damaged: list[str] = []
    for path in reversed(_folders(run)):
        if latest is not None and _step_of(path) > latest:
            continue
        try:
            checkpoint = read(path)
            verify(checkpoint)
        except NewerCheckpointError:
            raise
        except CheckpointError:
            damaged.append(path.name)
        else:
            return checkpoint, damaged
    return None, damaged


def _step_of(path: Path) -> int:
    digits = path.name.removeprefix(_PREFIX)
    return int(digits) if digits.isdigit() else -1


def best(checkpoints: list[Checkpoint]) -> Checkpoint | None:
    """The one with the lowest validation loss; the newest where none was measured; None where there is none.

    `checkpoints` by step. Losses from before a change of what is measured don't compare with those after it.
    """
    since = checkpoints[-1].state.measured_since if checkpoints else 0
    losses = [math.inf if c.state.validation_loss is None else c.state.validation_loss for c in checkpoints]
    measured = [(loss, c) for loss, c in zip(losses, checkpoints, strict=True) if math.isfinite(loss)]
    comparable = [(loss, c) for loss, c in measured if c.step > since] or measured
    if comparable:
        return min(comparable, key=lambda pair: pair[0])[1]
    return checkpoints[-1] if checkpoints else None


def _make_room(run: Path, size: int, needed: Collection[int]) -> None:
    """See to it that `size` bytes are free: the oldest checkpoints go, but for the last two, the best and the `needed`.

    Raises DiskFullError where that isn't enough.
    """
    checkpoints = listed(run)
    best_one = best(checkpoints)
    dispensable = [c for c in checkpoints[:-2] if c.step not in needed and c != best_one]
    while True:
        try:
            return files.require_space(run, size)
        except DiskFullError:
            if not dispensable:
                raise
            files.remove_folder(dispensable.pop(0).path)


def remove_after(run: Path, step: int) -> None:
    """Remove the checkpoints of later steps, but for a newer program's: they are about to be done again."""
    for path in _folders(run):
        if _step_of(path) > step and not _is_newer(path):
            files.remove_folder(path)


def _prune(run: Path, step: int, needed: Collection[int]) -> None:
    """Remove what is no longer kept now that the checkpoint of `step` is whole.

    That is the older ones but for the last few, the best and the `needed`; later ones, damaged ones and what
    interrupted saves left, which a resume stepped over; but nothing of a newer program. What another program holds
    open stays for the next time.
    """
    checkpoints = [c for c in listed(run) if c.step <= step]
    kept = {c.path for c in checkpoints[-KEPT:]} | {folder(run, step) for step in needed}
    best_one = best(checkpoints)
    for path in _folders(run):
        if path not in kept and not (best_one and path == best_one.path) and not _is_newer(path):
            files.remove_folder(path)
    for path in run.glob(f"{_PREFIX}*"):
        if files.is_partial(path) and _step_of(path.with_name(path.name.partition(".")[0])) >= 0:
            files.remove_folder(path)


def _is_newer(path: Path) -> bool:
    try:
        read(path)
    except NewerCheckpointError:
        return True
    except CheckpointError:
        pass
    return False

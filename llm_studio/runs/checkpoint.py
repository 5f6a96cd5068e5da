"""Checkpoints: folders with everything needed to resume a run. They can be moved, and nothing in them is pickled.

    step-000500/
      model.safetensors        weights, float32
      optimizer.safetensors    the state of AdamW or Muon
      config.yaml              all settings of the run
      tokenizer.json
      checkpoint.json          step, losses, how it was computed; SHA-256 of the files above

A checkpoint is written under a temporary name and renamed, so a folder named `step-…` is complete; later damage is
found by the checksums.
"""

import contextlib
import math
import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from llm_studio import files, records
from llm_studio.config import Settings
from llm_studio.config.yaml_file import dump, load
from llm_studio.data.tokens.bits_per_byte import bits_per_byte
from llm_studio.errors import (
    CheckpointError,
    DiskFullError,
    NewerCheckpointError,
    NewerRecordError,
    RecordError,
    reason_of,
)
from llm_studio.events import CheckpointSaved
from llm_studio.i18n import _
from llm_studio.records import Amount
from llm_studio.runs.headers import read_header
from llm_studio.runs.loop_state import LoopState

if TYPE_CHECKING:
    from llm_studio.runs.tensors import Tensors

VERSION = 1
KEPT = 3
"""Number of most recent checkpoints kept, besides the best."""
_SPARE_BYTES = 1_000_000
_MOST_TEXT = 100_000_000
"""Bytes of the settings or the tokenizer of a checkpoint, of any version."""

RECORD, MODEL, OPTIMIZER, CONFIG, TOKENIZER = (
    "checkpoint.json", "model.safetensors", "optimizer.safetensors", "config.yaml", "tokenizer.json",
)  # fmt: skip
"""The names of its files."""
MODEL_FILES = frozenset((MODEL, CONFIG, TOKENIZER))
"""The files that a model is loaded from; resuming needs the optimizer's as well."""
_PREFIX = "step-"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on the disk, not yet verified. `conversations`: its model was trained on conversations.

    `bytes_per_token`: mean over the tokens of the validation loss; None in checkpoints of earlier versions.
    """

    path: Path
    state: LoopState
    conversations: bool = False
    bytes_per_token: float | None = None

    @property
    def step(self) -> int:
        """Number of optimizer steps done."""
        return self.state.step

    @property
    def bits_per_byte(self) -> float | None:
        """Its validation loss in bits per byte, if it was measured."""
        return bits_per_byte(self.state.validation_loss, self.bytes_per_token)

    def settings(self) -> Settings:
        """The settings of the run."""
        return load(self.path / CONFIG)

    def tokenizer_json(self) -> str:
        """The tokenizer that made the tokens, as JSON."""
        return read_tokenizer_json(self.path)

    def weights(self, like: "Tensors | None" = None) -> "Tensors":
        """The model's parameters by name. Raises CheckpointError, also if they don't fit those of a model."""
        from llm_studio.runs import tensors

        return tensors.read(self.path / MODEL, like)

    def moments(self) -> "Tensors":
        """The optimizer's state by name. Raises CheckpointError."""
        from llm_studio.runs import tensors

        return tensors.read(self.path / OPTIMIZER)


def folder(run: Path, step: int) -> Path:
    """The folder of the checkpoint of a step."""
    return run / f"{_PREFIX}{step:06d}"


def save(
    run: Path, state: LoopState, settings: Settings, tokenizer_json: str,
    weights: "Tensors", moments: "Tensors", conversations: bool = False, needed: Collection[int] = (),
    bytes_per_token: float | None = None,
) -> CheckpointSaved:  # fmt: skip
    """Write a checkpoint atomically, then remove those no longer kept. Raises StorageError without removing any.

    Those of the `needed` steps are kept. When the disk is nearly full, the oldest of the others are removed first.
    """
    from llm_studio.runs import tensors

    began = time.perf_counter()
    path = folder(run, state.step)
    files.require_folder(run.parent)
    with files.translate_os_errors(run):
        run.mkdir(exist_ok=True)  # it may have been renamed by hand
    _make_room(run, _SPARE_BYTES + tensors.size_of(weights) + tensors.size_of(moments), needed)
    with files.atomic_folder(path) as partial:
        tensors.write(partial / MODEL, weights)
        tensors.write(partial / OPTIMIZER, moments)
        (partial / CONFIG).write_text(dump(settings), encoding="utf-8")
        (partial / TOKENIZER).write_text(tokenizer_json, encoding="utf-8")
        sums = {name: files.sha256_of(partial / name) for name in (MODEL, OPTIMIZER, CONFIG, TOKENIZER)}
        record = {"version": VERSION, "state": asdict(state), "conversations": conversations,
                  "bytes_per_token": bytes_per_token, "files": sums}  # fmt: skip
        files.write_json(partial / RECORD, {**record, "fingerprint": files.fingerprint(record)})
    _prune(run, state.step, needed)
    return CheckpointSaved(state.step, path.name, files.folder_size(path), time.perf_counter() - began)


@dataclass(frozen=True)
class _Record:
    """The fields of checkpoint.json, besides its version."""

    state: LoopState
    files: Annotated[dict[str, str], records.checked(records.reader(dict[str, str]), MODEL_FILES.issubset)]
    """SHA-256 by file name."""
    fingerprint: str
    """SHA-256 of all other fields."""
    conversations: bool = False
    bytes_per_token: Amount | None = None


def read(path: Path) -> Checkpoint:
    """Read the record of the checkpoint in the folder `path`. Raises CheckpointError, NewerCheckpointError."""
    _content, record = _load(path)
    return Checkpoint(path, record.state, record.conversations, record.bytes_per_token)


def record_of(path: Path) -> dict[str, Any]:
    """The record of the checkpoint in the folder `path` as a plain object. Raises like `read`."""
    return _load(path)[0]


def _load(path: Path) -> tuple[dict[str, Any], _Record]:
    try:
        content = records.load(path / RECORD, newest=VERSION)
        if content is None:
            raise CheckpointError(_("{path} is not a checkpoint, or is damaged.").format(path=path))
        with records.translate_misfits(path / RECORD):
            return content, records.decode(content, _Record)
    except NewerRecordError as error:
        raise NewerCheckpointError(
            _("The checkpoint {path} was made by a newer LLM Studio.").format(path=path), error.to_do
        ) from error
    except RecordError as error:
        raise CheckpointError(error.what, _("Use another checkpoint.")) from error


def verify(checkpoint: Checkpoint, names: Collection[str] | None = None) -> None:
    """Raise CheckpointError unless the record and the files `names` (all files if None) are unchanged.

    Hashes each of these files: verify only what will be read, and only once.
    """
    record = record_of(checkpoint.path)
    written = record.pop("fingerprint", None)
    damaged = [] if written == files.fingerprint(record) else [RECORD]
    sums: Mapping[str, str] = record.get("files", {})
    damaged += [
        name for name in (MODEL, OPTIMIZER, CONFIG, TOKENIZER)
        if name in sums and (names is None or name in names) and not _is_intact(checkpoint.path / name, sums[name])
    ]  # fmt: skip
    if damaged:
        raise damaged_checkpoint(checkpoint.path, damaged)


def damaged_checkpoint(path: Path, names: Collection[str] = (RECORD,)) -> CheckpointError:
    """The error for a checkpoint in which the files `names` are damaged."""
    return CheckpointError(
        _("The checkpoint {name} is damaged ({files}).").format(name=path.name, files=", ".join(names)),
        _("Use an earlier one."),
    )


def read_tokenizer_json(folder: Path) -> str:
    """The tokenizer in the folder of a checkpoint or of snapshots, as JSON. Raises CheckpointError."""
    from llm_studio.data.tokenizer.tokenizer import MOST_BYTES

    path = folder / TOKENIZER
    try:
        return files.read_text(path, most=MOST_BYTES)
    except (OSError, UnicodeError) as error:
        raise CheckpointError(_("{path} can't be read: {reason}.").format(path=path, reason=reason_of(error)),
                              _("Use another checkpoint.")) from error  # fmt: skip


def _is_intact(path: Path, sha256: str) -> bool:
    try:
        if path.stat().st_size > (_MOST_TEXT if path.name in (CONFIG, TOKENIZER) else read_header(path).size):
            return False  # don't hash a file that may have grown to a terabyte
        return files.sha256_of(path) == sha256
    except (OSError, CheckpointError):  # absent, or a bad sector
        return False


def listed(run: Path) -> list[Checkpoint]:
    """The readable checkpoints of a run, sorted by step."""
    found: list[Checkpoint] = []
    for path in _folders(run):
        with contextlib.suppress(CheckpointError):
            found.append(read(path))
    return sorted(found, key=lambda c: c.step)


def exist(run: Path) -> bool:
    """Whether a run has checkpoints, readable or not."""
    return any(os.path.lexists(path / RECORD) for path in _folders(run))


def newest_first(run: Path) -> Iterator[Checkpoint]:
    """The readable checkpoints of a run, the newest first. Raises NewerCheckpointError at one of a newer version."""
    for path in reversed(_folders(run)):
        try:
            yield read(path)
        except NewerCheckpointError:
            raise
        except CheckpointError:
            continue


def unreadable(run: Path) -> list[tuple[int, Path]]:
    """The steps and folders of the checkpoints whose records are damaged, sorted by step."""
    found: list[tuple[int, Path]] = []
    for path in _folders(run):
        try:
            read(path)
        except NewerCheckpointError:
            continue
        except CheckpointError:
            found.append((_step_of(path), path))
    return found


def _folders(run: Path) -> list[Path]:
    """The folders of the checkpoints, sorted by step. Anything else, such as copies made by the user, is ignored."""
    return sorted((p for p in run.glob(f"{_PREFIX}*") if _step_of(p) >= 0 and p.is_dir()), key=_step_of)


def finish_interrupted(run: Path) -> None:
    """Complete the renaming of checkpoints that were fully written when the program was killed."""
    names = {path.name.partition(".")[0] for path in run.glob(f"{_PREFIX}*") if files.is_partial(path)}
    for target in (run / name for name in sorted(names)):
        for found in (files.being_written(target), files.set_aside(target)):
            if _step_of(target) < 0 or target.exists():
                break
            with contextlib.suppress(CheckpointError, OSError):
                verify(read(found))
                found.rename(target)


def newest_intact(
    run: Path, latest: int | None = None, names: Collection[str] | None = None
) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that passes verification, and the names of the damaged ones that are newer.

    Those after the step `latest` are ignored. `names`: the files to verify, as in `verify`.

    Raises NewerCheckpointError if a newer version has resumed the run: its work must not be overwritten.
    """
    damaged: list[str] = []
    for path in reversed(_folders(run)):
        if latest is not None and _step_of(path) > latest:
            continue
        try:
            checkpoint = read(path)
            verify(checkpoint, names)
        except NewerCheckpointError:
            raise
        except CheckpointError:
            damaged.append(path.name)
        else:
            return checkpoint, damaged
    return None, damaged


def _step_of(path: Path) -> int:
    digits = path.name.removeprefix(_PREFIX)
    return int(digits) if digits.isdecimal() else -1


def best(checkpoints: list[Checkpoint]) -> Checkpoint | None:
    """The checkpoint with the lowest validation loss; the newest if none was measured; None for an empty list.

    `checkpoints` are sorted by step. Losses from before a change of what the validation loss measures aren't compared.
    """
    since = checkpoints[-1].state.measured_since if checkpoints else 0
    losses = [math.inf if c.state.validation_loss is None else c.state.validation_loss for c in checkpoints]
    measured = [(loss, c) for loss, c in zip(losses, checkpoints, strict=True) if math.isfinite(loss)]
    comparable = [(loss, c) for loss, c in measured if c.step > since] or measured
    if comparable:
        return min(comparable, key=lambda pair: pair[0])[1]
    return checkpoints[-1] if checkpoints else None


def _make_room(run: Path, size: int, needed: Collection[int]) -> None:
    """Free `size` bytes: remove the oldest checkpoints, except the last two, the best and the `needed` ones.

    Raises DiskFullError if that isn't enough.
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
    """Remove the checkpoints of later steps, which will be repeated; those of a newer version are kept."""
    for path in _folders(run):
        if _step_of(path) > step and not _is_newer(path):
            files.remove_folder(path)


def _prune(run: Path, step: int, needed: Collection[int]) -> None:
    """Remove what is no longer kept now that the checkpoint of `step` is complete.

    These are older ones except the last few, the best and the `needed` ones; later ones, damaged ones and the remains
    of interrupted saves, which a resume skipped. Nothing of a newer version is removed. Files that another program has
    open are removed the next time.
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

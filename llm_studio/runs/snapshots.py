"""Snapshots: only the weights, at moments of a run (see `moments.py`): a timeline of the model's abilities.

    snapshots/
      config.yaml               every setting of the run
      tokenizer.json
      step-000123.safetensors   the weights at a step, with their SHA-256 and metadata

The weights are float16. If twelve snapshots would exceed the disk space that the settings allow, they are int8 with a
scale per row, stored as the tensor's name followed by ":scale"; if even these would, there are exactly twelve.

Settings and tokenizer are stored once for all snapshots, so that a snapshot can be opened when its run has no
checkpoint left. Runs of earlier versions don't have these two files.
"""

import contextlib
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llm_studio import files, records
from llm_studio.config import ModelSettings, Settings
from llm_studio.config.yaml_file import dump
from llm_studio.errors import CheckpointError
from llm_studio.i18n import _
from llm_studio.runs.checkpoint import CONFIG, TOKENIZER
from llm_studio.runs.headers import read_header

if TYPE_CHECKING:
    from llm_studio.runs.tensors import Tensors

LEAST = 12
"""Minimum number of snapshots that are kept, if the run has as many moments."""
_INT8_SCALES = 1.02
"""Approximate bytes of a weight in int8, including its part of the row's scale."""
_SHA256, _MODEL, _TOKENIZER = "llm_studio.sha256", "llm_studio.model", "llm_studio.tokenizer"
"""Metadata in the file of a snapshot: checksum of its tensors, settings of its model, checksum of its tokenizer. Files
of earlier versions have none."""
_IRRELEVANT = frozenset(("dropout", "vocab_size"))
"""Settings of a model that don't affect its snapshots."""
_PREFIX, _SUFFIX = "step-", ".safetensors"

Precision = Literal["float16", "int8"]


@dataclass(frozen=True)
class Storage:
    """How the snapshots of a run are stored: finally `count` of them, `size` bytes each."""

    precision: Precision
    count: int
    size: int

    @property
    def total(self) -> int:
        """Total bytes."""
        return self.count * self.size


def storage(parameters: int, moments: int, limit_bytes: int) -> Storage:
    """How the snapshots of a model with this many parameters are stored, in a run with this many moments."""
    precision = _precision(2 * parameters, limit_bytes)
    size = 2 * parameters if precision == "float16" else int(_INT8_SCALES * parameters)
    return Storage(precision, min(moments, max(LEAST, limit_bytes // size)) if limit_bytes else 0, size)


def _precision(half_bytes: int, limit_bytes: int) -> Precision:
    """The precision for weights with `half_bytes` bytes in float16."""
    return "float16" if LEAST * half_bytes <= limit_bytes else "int8"


def folder(run: Path) -> Path:
    """The folder of the snapshots of a run."""
    return run / "snapshots"


def save(run: Path, step: int, weights: "Tensors", limit_bytes: int, settings: Settings, tokenizer_json: str) -> None:
    """Write the snapshot of `step`. If all together exceed `limit_bytes`, those with the nearest neighbours are
    removed, but a minimum is kept. Raises StorageError.
    """
    from llm_studio.runs import tensors

    stored = tensors.to_half(weights)
    if _precision(tensors.size_of(stored), limit_bytes) == "int8":
        stored = tensors.to_int8(stored)
    texts = {"format": "pt", _SHA256: tensors.digest(stored), _MODEL: settings.model.model_dump_json(),
             _TOKENIZER: _hash(tokenizer_json)}  # fmt: skip
    files.require_folder(run.parent)
    # first the files needed to open the snapshot; a deleted run of the same name may have left others
    _write_if_changed(folder(run) / CONFIG, dump(settings))
    _write_if_changed(folder(run) / TOKENIZER, tokenizer_json)
    with files.atomic_write(folder(run) / f"{_PREFIX}{step:06d}{_SUFFIX}") as partial:
        tensors.write(partial, stored, texts)
    _thin_out(run, limit_bytes)


def _write_if_changed(path: Path, text: str) -> None:
    try:
        unchanged = files.read_text(path, most=8 * len(text)) == text
    except (OSError, ValueError):
        unchanged = False
    if not unchanged:
        files.write_text(path, text)


def listed(run: Path) -> dict[int, Path]:
    """The snapshots by step."""
    steps = {path.stem.removeprefix(_PREFIX): path for path in folder(run).glob(f"{_PREFIX}*{_SUFFIX}")}
    # anything else, such as the "step-000001 (1)" of a cloud synchroniser, is ignored
    return dict(sorted((int(step), path) for step, path in steps.items() if step.isdecimal()))


def step_of(path: Path) -> int | None:
    """The step of the snapshot in the file `path`; None if it isn't one."""
    digits = path.stem.removeprefix(_PREFIX)
    if path.suffix != _SUFFIX or path.stem == digits or not digits.isdecimal():
        return None
    return int(digits)


def read(path: Path, like: "Tensors | None" = None) -> "Tensors":
    """The weights of a snapshot: float16, or float32 if they were stored as int8.

    Raises CheckpointError, also if they don't fit `like`, the parameters of a model.
    """
    from llm_studio.runs import tensors

    found, written = tensors.read(path, like, half=True), read_header(path).texts.get(_SHA256)
    if written is not None and written != tensors.digest(found):
        raise CheckpointError(_("The snapshot {path} is damaged.").format(path=path), _("Use another one."))
    return tensors.from_int8(found)


def require_same_model(path: Path, model: ModelSettings, tokenizer_json: str) -> None:
    """Raise CheckpointError unless these are the settings and the tokenizer with which a snapshot was saved."""
    texts = read_header(path).texts
    what = ""
    if texts.get(_TOKENIZER, _hash(tokenizer_json)) != _hash(tokenizer_json):
        what = _("The tokenizer of the snapshot {path} is another one than when it was saved.")
    saved, now = records.parse_line(texts.get(_MODEL, "{}")) or {}, model.model_dump(mode="json")
    if any(now.get(name) != value for name, value in saved.items() if name not in _IRRELEVANT):
        what = _("The settings of the snapshot {path} are not those of its model.")
    if what:
        raise CheckpointError(what.format(path=path), _("Use another one."))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def remove_after(run: Path, step: int) -> None:
    """Remove the snapshots of later steps, which will be repeated, perhaps with other settings."""
    for later in [path for found, path in listed(run).items() if found > step]:
        with files.translate_os_errors(later):
            files.retry_while_locked(lambda path=later: path.unlink(missing_ok=True))


def _thin_out(run: Path, limit_bytes: int) -> None:
    """Remove the snapshot with the nearest neighbours, on a logarithmic scale, until the rest fit or few are left.

    The first and the last are kept.
    """
    found = listed(run)
    sizes = {step: path.stat().st_size for step, path in found.items()}
    while len(sizes) > LEAST and sum(sizes.values()) > limit_bytes:
        steps = list(sizes)
        crowded = min(range(1, len(steps) - 1), key=lambda i: math.log((steps[i + 1] + 1) / (steps[i - 1] + 1)))
        del sizes[steps[crowded]]
        with contextlib.suppress(OSError):  # another program reads it: it is removed the next time
            found[steps[crowded]].unlink(missing_ok=True)

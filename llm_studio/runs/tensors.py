"""Named tensors on disk in the safetensors format. The only module of this package that imports torch."""

import contextlib
import hashlib
import os
import re
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TypeAlias

import safetensors.torch
import torch
from safetensors import SafetensorError

from llm_studio import files
from llm_studio.errors import CheckpointError, reason_of
from llm_studio.i18n import _
from llm_studio.runs.headers import MOST_BYTES, read_header

Tensors: TypeAlias = dict[str, torch.Tensor]

_SCALE = ":scale"
"""Suffix of the name of an int8 tensor's row scales."""


def read(path: Path, like: Tensors | None = None, half: bool = False) -> Tensors:
    """The tensors in the file at `path`. Raises CheckpointError if it can't be read.

    With `like`, the parameters of a model, it is also raised unless the tensors have these names and shapes, are
    float32 (with `half`: float16, or int8 with scales), and all numbers are finite. If the file is longer than that,
    only the header is read.
    """
    if like is not None:
        _require_shapes(path, {name: tuple(tensor.shape) for name, tensor in like.items()}, half)
    most = None if like is None else MOST_BYTES + sum(8 * tensor.numel() for tensor in like.values())
    with _translate_errors(path):
        # load_file would keep the file mapped, and a mapped file can't be deleted on Windows
        found = safetensors.torch.load(files.read_bytes(path, most))
    for name, tensor in found.items() if like is not None else ():
        if tensor.dtype != (_snapshot_type(name, found) if half else torch.float32):
            raise _misfit(path, _("“{name}” is of another type of number").format(name=name))
        require_finite(path, name, tensor)
    return found


def _snapshot_type(name: str, found: Tensors) -> torch.dtype:
    """The dtype of a tensor in a snapshot: float16, or int8 if it has scales in float32."""
    if name.endswith(_SCALE):
        return torch.float32
    return torch.int8 if name + _SCALE in found else torch.float16


def require_finite(path: Path, name: str, tensor: torch.Tensor) -> None:
    """Raise CheckpointError unless all numbers of a tensor from the file at `path` are finite."""
    if tensor.numel() and not all(torch.isfinite(bound) for bound in tensor.aminmax()):
        raise _misfit(path, _("“{name}” holds infinite values, or values that aren't numbers").format(name=name))


def _require_shapes(path: Path, shapes: Mapping[str, tuple[int, ...]], half: bool) -> None:
    found = read_header(path).shapes
    if half:  # the rows of an int8 tensor have scales
        shapes = {**shapes, **{name + _SCALE: shape[:1] for name, shape in shapes.items() if name + _SCALE in found}}
    for name in sorted({*found, *shapes}):
        if found.get(name) == shapes.get(name):
            continue
        if name not in found:
            raise _misfit(path, _("“{name}” is missing").format(name=name))
        if name not in shapes:
            raise _misfit(path, _("the model has no “{name}”").format(name=name))
        raise _misfit(path, _("“{name}” is {found} instead of {wanted}").format(
            name=name, found=_size(found[name]), wanted=_size(shapes[name])))  # fmt: skip


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "1"


def _misfit(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        _("The weights in {path} don't fit the settings of their model: {reason}.").format(path=path, reason=reason),
        _("Use another checkpoint."),
    )


@contextlib.contextmanager
def _translate_errors(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        reason = reason_of(error)
    except (SafetensorError, AssertionError, KeyError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        reason = str(error) or type(error).__name__  # the library doesn't have its own error for every problem
    else:
        return
    raise CheckpointError(_("{path} can't be read: {reason}").format(path=path, reason=reason),
                          _("Use another checkpoint."))  # fmt: skip


def digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of names, types, shapes and values."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def write(path: Path, tensors: Mapping[str, torch.Tensor], texts: dict[str, str] | None = None) -> None:
    """Write tensors in their dtype, from any device, and metadata `texts`. Raises OSError, as when the disk is full."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        path.touch()
        mode = path.stat().st_mode
        safetensors.torch.save_file(on_cpu, path, texts)
        path.chmod(mode)  # the library makes it readable by the owner only
    except SafetensorError as error:
        # the library reports a full disk only in words: "I/O error: No space left on device (os error 28)"
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        number = int(code[1])
        raise (
            OSError(None, str(error), str(path), number) if os.name == "nt" else OSError(number, str(error))
        ) from error


def to_half(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """The tensors in float16, on the device where they are."""
    return {name: tensor.detach().to(torch.float16) for name, tensor in tensors.items()}


def to_int8(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """The tensors in int8, each row with its own scale: w ≈ scale x q, |w - scale x q| <= scale / 2.

    The largest entry of a row becomes 127 or -127. One-dimensional tensors, small and sensitive, stay float16.
    """
    made: Tensors = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2:
            made[name] = tensor.detach().to(torch.float16)
            continue
        rows = tensor.detach().float().flatten(1)  # (R, C)
        scale = rows.abs().amax(dim=1, keepdim=True) / 127  # (R, 1)
        quantized = (rows / torch.where(scale > 0, scale, 1.0)).round().clamp(-127, 127)
        made[name] = quantized.to(torch.int8).view(tensor.shape)
        made[name + _SCALE] = scale[:, 0]
    return made


def from_int8(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """The approximate inverse of `to_int8`: int8 tensors become float32, others are unchanged."""
    made: Tensors = {}
    for name, tensor in tensors.items():
        scale = tensors.get(name + _SCALE)
        if scale is not None:
            made[name] = (tensor.flatten(1).float() * scale[:, None]).view(tensor.shape)
        elif not name.endswith(_SCALE):
            made[name] = tensor
    return made


def size_of(tensors: Mapping[str, torch.Tensor]) -> int:
    """Total bytes of the tensors."""
    return sum(tensor.nbytes for tensor in tensors.values())


class Copy:
    """A copy of tensors in the computer's memory, unaffected by later updates.

    From a graphics card they are copied asynchronously: call `wait` before reading them.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors: Tensors = {}
        self._arrived: torch.cuda.Event | None = None
        for name, tensor in tensors.items():
            self.add(name, tensor)

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Copy another tensor."""
        self._tensors[name] = _copy(tensor.detach())
        if tensor.is_cuda:
            self._arrived = self._arrived or torch.cuda.Event()
            self._arrived.record()

    def wait(self) -> Tensors:
        """The tensors, once they are copied. Thread-safe."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._tensors


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_cuda:
        return tensor.clone(memory_format=torch.contiguous_format)
    # into pinned memory the card copies asynchronously, in order with the kernels of the steps
    try:
        pages = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    except RuntimeError:  # no pinned memory left: a slow copy is better than losing a save
        return tensor.cpu()
    return pages.copy_(tensor, non_blocking=True)

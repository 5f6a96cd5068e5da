"""Named tensors on the disk, in the safetensors format. The only module of this package that imports torch."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import safetensors.torch
import torch
from safetensors import SafetensorError

from llm_studio import files
from llm_studio.errors import CheckpointError, reason_of
from llm_studio.i18n import _

Tensors: TypeAlias = dict[str, torch.Tensor]

_SCALE = ":scale"
"""Follows the name of an int8 tensor in that of the scales of its rows."""


def read(path: Path) -> Tensors:
    """The tensors in the file at `path`. Raises CheckpointError where it can't be read."""
    try:
        # load_file would keep the file mapped, and a mapped file can't be deleted on Windows
        return safetensors.torch.load(files.read_bytes(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(_("{path} can't be read: {reason}").format(path=path, reason=reason_of(error))) from error


def write(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors as they are, from any device. Raises OSError, as when the disk is full."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        safetensors.torch.save_file(on_cpu, path)
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
    """The tensors in int8, each row with a scale of its own: w is about scale x q, |w - scale x q| <= scale / 2.

    The largest of a row becomes 127 or -127. Tensors of one dimension, small and sensitive, stay in float16.
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
    """The inverse, as far as there is one: int8 tensors in float32, the others as they are."""
    made: Tensors = {}
    for name, tensor in tensors.items():
        scale = tensors.get(name + _SCALE)
        if scale is not None:
            made[name] = (tensor.flatten(1).float() * scale[:, None]).view(tensor.shape)
        elif not name.endswith(_SCALE):
            made[name] = tensor
    return made


def size_of(tensors: Mapping[str, torch.Tensor]) -> int:
    """Bytes of all tensors together."""
    return sum(tensor.nbytes for tensor in tensors.values())


class Copy:
    """The tensors as they are now, in the computer's memory, unaffected by later updates.

    From a graphics card they are copied asynchronously: call `wait` before reading them.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors: Tensors = {}
        self._arrived: torch.cuda.Event | None = None
        for name, tensor in tensors.items():
            self.add(name, tensor)

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Copy one more."""
        self._tensors[name] = _copy(tensor.detach())
        if tensor.is_cuda:
            self._arrived = self._arrived or torch.cuda.Event()
            self._arrived.record()

    def wait(self) -> Tensors:
        """The tensors; can be called from any thread."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._tensors


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_cuda:
        return tensor.clone(memory_format=torch.contiguous_format)
    # into pinned memory the card copies asynchronously, in order with the kernels of the steps
    try:
        pages = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    except RuntimeError:  # no pinned memory left: waiting for the card is better than losing a save
        return tensor.cpu()
    return pages.copy_(tensor, non_blocking=True)

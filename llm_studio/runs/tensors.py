"""Named tensors on the disk, in the safetensors format: read without mapping, written with the system's own errors."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in the file at `path`. Raises OSError, SafetensorError."""
    # load_file would keep the file mapped, and a mapped file can't be deleted on Windows
    return safetensors.torch.load(path.read_bytes())


def write(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors as they are, from whatever device. Raises OSError, as when the disk is full."""
    here = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        safetensors.torch.save_file(here, path)
    except SafetensorError as error:
        # the library tells a full disk only in words: "I/O error: No space left on device (os error 28)"
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        number = int(code[1])
        raise (
            OSError(None, str(error), str(path), number) if os.name == "nt" else OSError(number, str(error))
        ) from error


class Copy:
    """Tensors as they are now, in the computer's memory, whatever becomes of them after.

    From a graphics card they come while it goes on: `wait` until they are there.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors: dict[str, torch.Tensor] = {}
        self._arrived: torch.cuda.Event | None = None
        for name, tensor in tensors.items():
            self.add(name, tensor)

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Copy one more."""
        self._tensors[name] = _copy(tensor.detach())
        if tensor.is_cuda:
            self._arrived = self._arrived or torch.cuda.Event()
            self._arrived.record()

    def wait(self) -> dict[str, torch.Tensor]:
        """The tensors; from any thread."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._tensors


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_cuda:
        return tensor.clone(memory_format=torch.contiguous_format)
    # into pages that stay where they are, the card copies by itself, in its turn among the steps' kernels
    try:
        pages = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    except RuntimeError:  # the system has none left to give; a save is worth waiting for the card
        return tensor.cpu()
    return pages.copy_(tensor, non_blocking=True)

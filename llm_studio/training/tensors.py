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

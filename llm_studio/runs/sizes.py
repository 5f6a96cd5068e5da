"""Whether a file of a checkpoint can be what was written, by its size alone: one that has grown isn't hashed first."""

import json
import os
from pathlib import Path

from llm_studio import files

_MOST_TEXT = 1 << 28
"""Bytes of settings or of a tokenizer."""
_MOST_HEADER = 100_000_000
"""Bytes of the header of a safetensors file, by its format."""


def can_be_whole(path: Path) -> bool:
    """Whether the file at `path` is as long as its header says, or as a text may be. Raises OSError."""
    with files.open_regular(path) as stream:
        size = stream.seek(0, os.SEEK_END)
        if path.suffix != ".safetensors":
            return size <= _MOST_TEXT
        stream.seek(0)
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if length <= min(_MOST_HEADER, size) else b""
    try:
        tensors = json.loads(header)
        tensors.pop("__metadata__", None)
        return size == 8 + length + max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # there is no such header
        return False

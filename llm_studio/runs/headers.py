"""The header of a safetensors file, read without its tensors: their shapes, and how long the file must be.

8 bytes    length of the header, little-endian
header     JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {...}}
data       of all tensors, one after the other
"""

from dataclasses import dataclass
from pathlib import Path

from llm_studio import files, records
from llm_studio.errors import CheckpointError, reason_of
from llm_studio.i18n import _
from llm_studio.records import Count

MOST_BYTES = 10_000_000
"""Most bytes of a header, which has about a hundred per tensor."""
_LENGTH = 8


@dataclass(frozen=True)
class Header:
    """The shapes of the tensors by name, the metadata, and the expected size of the whole file in bytes."""

    shapes: dict[str, tuple[int, ...]]
    texts: dict[str, str]
    size: int


@dataclass(frozen=True)
class _Entry:
    """The header's entry for one tensor."""

    shape: tuple[Count, ...]
    data_offsets: tuple[Count, Count]


def read_header(path: Path) -> Header:
    """The header of the file at `path`. Raises CheckpointError."""
    try:
        with files.open_regular(path) as stream:
            length = int.from_bytes(stream.read(_LENGTH), "little")
            if length > MOST_BYTES:
                raise records.NotARecord(_("its header is too long"))
            content = records.plain_object(records.parse(stream.read(length)))
        texts: dict[str, str] = records.reader(dict[str, str])(content.pop("__metadata__", {}))
        entries: dict[str, _Entry] = records.reader(dict[str, _Entry])(content)
    except (OSError, records.Misfit) as error:
        reason = reason_of(error) if isinstance(error, OSError) else error
        raise CheckpointError(_("{path} can't be read: {reason}.").format(path=path, reason=reason),
                              _("Use another checkpoint.")) from error  # fmt: skip
    end = max((entry.data_offsets[1] for entry in entries.values()), default=0)
    return Header({name: entry.shape for name, entry in entries.items()}, texts, _LENGTH + length + end)

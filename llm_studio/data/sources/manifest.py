"""The manifest of a source: `<name>.meta.json`, next to its texts in `<name>.parquet`.

A source downloaded in steps is a folder of Parquet files, see `sharded.py`: its manifest lists them as `parts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Source:
    """One origin of texts, as its manifest describes it.

    `bytes` is the size of the texts in UTF-8. `sha256` is that of the documents, whatever the file that holds them and
    the chunks they were cut into. `notes` are messages for the user, `options` the options the texts were read with.
    `conversations`: the texts are rendered by data/sources/conversations.py, with special tokens between the turns.
    """

    name: str
    origin: str
    documents: int
    characters: int
    bytes: int
    sha256: str
    created: str
    notes: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    conversations: bool = False


@dataclass(frozen=True)
class SourcePart:
    """One Parquet file of a sharded source.

    `file` is the size of the file in bytes, `end` the position in the origin after its last document.
    """

    documents: int
    characters: int
    bytes: int
    sha256: str
    file: int
    end: tuple[int, int]


def parquet_path(folder: Path, name: str) -> Path:
    """The path of the texts of the source `name`."""
    return folder / f"{name}.parquet"


def manifest_path(folder: Path, name: str) -> Path:
    """The path of the manifest of the source `name`."""
    return folder / f"{name}.meta.json"


def parts_in(manifest: Mapping[str, Any]) -> list[SourcePart]:
    """The parts that a manifest lists."""
    listed: list[dict[str, Any]] = manifest.get("parts") or []
    return [
        SourcePart(
            part["documents"], part["characters"], part["bytes"], part["sha256"], part["file"], tuple(part["end"])
        )
        for part in listed
    ]


def part_files(path: Path, manifest: Mapping[str, Any]) -> list[tuple[Path, int]]:
    """The files of the sharded source in the folder `path`, and the number of documents in each."""
    return [(path / f"{n:05d}.parquet", part.documents) for n, part in enumerate(parts_in(manifest))]

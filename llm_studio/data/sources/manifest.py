"""The manifest of a source: `<name>.meta.json`, next to its texts in `<name>.parquet`.

A source downloaded in steps is a folder of Parquet files, see `sharded.py`: its manifest lists them as `parts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_studio.errors import StudioError

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
class UnusableSource(Source):
    """A source whose texts can't be read: its figures are those of its manifest, as far as that can be read.

    `problem` says why and `to_do` what to do. `damaged`: it has to be replaced or removed; otherwise it was made by a
    newer program, say, or another program holds its file.
    """

    problem: str = ""
    to_do: str = ""
    damaged: bool = True


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


def source_of(name: str, manifest: Mapping[str, Any]) -> Source | None:
    """The source that a manifest describes; None where the manifest is damaged."""
    fields: dict[str, Any] = {"conversations": False, "notes": [], "options": {}}
    fields |= {key: manifest[key] for key in Source.__dataclass_fields__ if key in manifest}
    fields["name"] = name
    if set(fields) != set(Source.__dataclass_fields__) or not all(map(_is_sound, fields, fields.values())):
        return None
    fields["notes"] = tuple(fields["notes"])
    return Source(**fields)


def _is_sound(key: str, value: object) -> bool:
    """Whether a manifest may have this value."""
    if key == "conversations":
        return isinstance(value, bool)
    if key in ("documents", "characters", "bytes"):
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if key == "notes":
        notes: list[object] = value if isinstance(value, list) else [None]
        return all(isinstance(note, str) for note in notes)
    return isinstance(value, dict if key == "options" else str)


def unusable(name: str, manifest: Mapping[str, Any] | None, error: StudioError, damaged: bool) -> UnusableSource:
    """The source of this name, whose texts can't be read because of `error`."""
    known = source_of(name, manifest or {}) or Source(name, "", 0, 0, 0, "", "")
    return UnusableSource(**vars(known), problem=error.what, to_do=error.to_do, damaged=damaged)


def parts_in(manifest: Mapping[str, Any]) -> list[SourcePart]:
    """The parts that a manifest lists; none where the list is damaged."""
    listed: list[dict[str, Any]] = manifest.get("parts") or []
    try:
        return [
            SourcePart(
                part["documents"], part["characters"], part["bytes"], part["sha256"], part["file"], tuple(part["end"])
            )
            for part in listed
        ]  # fmt: skip
    except (KeyError, TypeError):
        return []


def part_files(path: Path, manifest: Mapping[str, Any]) -> list[tuple[Path, int]]:
    """The files of the sharded source in the folder `path`, and the number of documents in each."""
    return [(path / f"{n:05d}.parquet", part.documents) for n, part in enumerate(parts_in(manifest))]

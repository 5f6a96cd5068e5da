"""The manifest of a source: `<name>.meta.json`, next to its texts in `<name>.parquet`.

A source downloaded in parts is a folder of Parquet files, see `sharded.py`; its manifest lists them as `parts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from llm_studio import records
from llm_studio.data.sources.account import ACCOUNT_VERSION, Account, LeftOut
from llm_studio.errors import StudioError
from llm_studio.records import Count

MANIFEST_VERSION = 1


@dataclass(frozen=True)
class _Options:
    """The entries of `Source.options` that the program reads back."""

    max_documents: Count | None = None
    max_bytes: Count | None = None
    state: str = ""


def _read_account(value: object) -> Account | None:
    """The account in a manifest; None if there is none or if a newer version of the program wrote it."""
    if value is None:
        return None
    account = records.decode(value, Account)
    return account if account.version <= ACCOUNT_VERSION else None


@dataclass(frozen=True)
class Source:
    """One origin of texts, as described by its manifest.

    `bytes` is the size of the texts in UTF-8. `sha256` is the hash of the documents, independent of the chunks they
    were cut into; for several parts, it is the hash of their hashes. `notes` are messages for the user,
    `options` the options with which the texts were read. `conversations`: the texts were rendered by
    data/sources/conversations.py, with special tokens between the turns. `account`: what was read and left out; None
    for sources without one, such as built-in stories and those of earlier versions.
    """

    name: str
    origin: str
    documents: Count
    characters: Count
    bytes: Count
    sha256: str
    created: str
    notes: tuple[str, ...] = ()
    options: Annotated[dict[str, Any], records.like(_Options)] = field(default_factory=dict[str, Any])
    conversations: bool = False
    account: Annotated[Account | None, _read_account] = None


@dataclass(frozen=True)
class UnusableSource(Source):
    """A source whose texts can't be read; its figures come from its manifest, if that can be read.

    `problem` is the reason, `to_do` the remedy. `damaged`: it has to be replaced or removed; otherwise, for instance, a
    newer version made it or another program has locked its file.
    """

    problem: str = ""
    to_do: str = ""
    damaged: bool = True


@dataclass(frozen=True)
class SourcePart:
    """One Parquet file of a sharded source.

    `file` is the size of the file in bytes, `end` the position in the origin after its last document. `records`: the
    number of records read for it, None if an earlier version wrote it; `left_out`: the records that were left out.
    """

    documents: Count
    characters: Count
    bytes: Count
    sha256: str
    file: Count
    end: tuple[Count, Count]
    records: Count | None = None
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class SourceFiles:
    """The Parquet files of a source: `file` is their total size in bytes, `parts` those of a sharded source."""

    file: Count
    parts: list[SourcePart] = field(default_factory=list[SourcePart])


def parquet_path(folder: Path, name: str) -> Path:
    """The path of the texts of the source `name`."""
    return folder / f"{name}.parquet"


def manifest_path(folder: Path, name: str) -> Path:
    """The path of the manifest of the source `name`."""
    return folder / f"{name}.meta.json"


def read_manifest(folder: Path, name: str, newest: int | None = MANIFEST_VERSION) -> tuple[Source, SourceFiles] | None:
    """Read the manifest of the source `name`; returns None if there is none.

    Raises RecordError, and NewerRecordError if its version is above `newest` (None: any version is accepted).
    """
    path = manifest_path(folder, name)
    content = records.load(path, newest=newest, most=records.MOST_BYTES_OF_MANY)
    if content is None:
        return None
    with records.translate_misfits(path):
        return records.decode(content, Source, {"name": name}), records.decode(content, SourceFiles)


def unusable(name: str, known: Source | None, error: StudioError, damaged: bool) -> UnusableSource:
    """The source `name`, whose texts can't be read because of `error`. `known`: its manifest, if readable."""
    known = known or Source(name, "", 0, 0, 0, "", "")
    return UnusableSource(**vars(known), problem=error.what, to_do=error.to_do, damaged=damaged)


def part_files(path: Path, parts: Sequence[SourcePart]) -> list[tuple[Path, int]]:
    """The path and the number of documents of each file of the sharded source in the folder `path`."""
    return [(path / f"{n:05d}.parquet", part.documents) for n, part in enumerate(parts)]

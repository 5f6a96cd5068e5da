"""The manifest of a source: `<name>.meta.json`, next to its texts in `<name>.parquet`.

A source downloaded in steps is a folder of Parquet files, see `sharded.py`: its manifest lists them as `parts`.
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
    """What is used of the options that texts were read with."""

    max_documents: Count | None = None
    max_bytes: Count | None = None
    state: str = ""


def _read_account(value: object) -> Account | None:
    """The account in a manifest; None where there is none, or one that a newer program wrote."""
    if value is None:
        return None
    account = records.decode(value, Account)
    return account if account.version <= ACCOUNT_VERSION else None


@dataclass(frozen=True)
class Source:
    """One origin of texts, as its manifest describes it.

    `bytes` is the size of the texts in UTF-8. `sha256` is that of the documents, whatever the file that holds them and
    the chunks they were cut into. `notes` are messages for the user, `options` the options the texts were read with.
    `conversations`: the texts are rendered by data/sources/conversations.py, with special tokens between the turns.
    `account`: what was read and left out; None for built-in stories and sources of earlier versions.
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

    `file` is the size of the file in bytes, `end` the position in the origin after its last document. `records`: how
    many were read for it, None for a part that an earlier version wrote; `left_out`: those that are no documents.
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
    """The Parquet files of a source: their bytes, all together, and the parts of a sharded one."""

    file: Count
    parts: list[SourcePart] = field(default_factory=list[SourcePart])


def parquet_path(folder: Path, name: str) -> Path:
    """The path of the texts of the source `name`."""
    return folder / f"{name}.parquet"


def manifest_path(folder: Path, name: str) -> Path:
    """The path of the manifest of the source `name`."""
    return folder / f"{name}.meta.json"


def read_manifest(folder: Path, name: str, newest: int | None = MANIFEST_VERSION) -> tuple[Source, SourceFiles] | None:
    """What the manifest of the source `name` says; None where there is none.

    Raises RecordError, NewerRecordError where its version is above `newest`; None: any is read as far as it goes.
    """
    path = manifest_path(folder, name)
    content = records.load(path, newest=newest, most=records.MOST_BYTES_OF_MANY)
    if content is None:
        return None
    with records.translate_misfits(path):
        return records.decode(content, Source, {"name": name}), records.decode(content, SourceFiles)


def unusable(name: str, known: Source | None, error: StudioError, damaged: bool) -> UnusableSource:
    """The source of this name, whose texts can't be read because of `error`. `known`: its manifest, if that can be."""
    known = known or Source(name, "", 0, 0, 0, "", "")
    return UnusableSource(**vars(known), problem=error.what, to_do=error.to_do, damaged=damaged)


def part_files(path: Path, parts: Sequence[SourcePart]) -> list[tuple[Path, int]]:
    """The files of the sharded source in the folder `path`, and the number of documents in each."""
    return [(path / f"{n:05d}.parquet", part.documents) for n, part in enumerate(parts)]

"""A source written in parts: a folder of Parquet files, `<name>.parquet/00000.parquet` ..., and its manifest.

The manifest lists the valid parts and is replaced atomically after each part: after a power failure at any moment, the
source is usable, with the parts written so far and the position to resume from. A part that has been written is
replaced only if it was dropped as damaged.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_studio.data.chunks import Chunk, rechunk
from llm_studio.data.sources.account import MAX_NAMED, Account, LeftOut, merge
from llm_studio.data.sources.manifest import (
    MANIFEST_VERSION,
    SourcePart,
    manifest_path,
    parquet_path,
    read_manifest,
)
from llm_studio.data.sources.rows import rows_of_file
from llm_studio.data.sources.store import SourceTotals, expanded_bytes, write_rows
from llm_studio.errors import RecordError, SourceError
from llm_studio.events import Progress
from llm_studio.files import atomic_write, remove_folder, translate_os_errors, write_json
from llm_studio.jobs import Job

PLAN = "_download.json"
"""File name of the download plan in the source's folder: readers of Parquet folders ignore names with a leading “_”."""


@dataclass(frozen=True)
class RecordsRead:
    """How many records of the origin were read, and which of them were left out."""

    count: int = 0
    left_out: tuple[LeftOut, ...] = ()


def no_account(_parts: Sequence[SourcePart], _state: str) -> Account | None:
    """Return None, the account of a source whose records aren't counted."""
    return None


class ShardedSourceWriter:
    """Appends parts to the source `name` in `folder`. Only one writer may exist at a time.

    `account`: a function that returns the account of a source from its parts and its state.
    """

    def __init__(
        self, folder: Path, name: str, origin: str, options: Mapping[str, Any],
        account: Callable[[Sequence[SourcePart], str], Account | None] = no_account,
    ) -> None:  # fmt: skip
        self.name = name
        self.options = dict(options)
        self._folder = folder
        self._origin = origin
        self._account = account
        self._path = parquet_path(folder, name)
        found = None
        with contextlib.suppress(RecordError):  # damaged: the download starts over
            found = read_manifest(folder, name)
        self.parts = found[1].parts if found else []
        self._created = found[0].created if found else datetime.now(UTC).isoformat(timespec="seconds")
        self._extra: dict[str, object] = asdict(found[0]) if found else {}

    @property
    def documents(self) -> int:
        """Number of documents written so far."""
        return sum(part.documents for part in self.parts)

    @property
    def bytes(self) -> int:
        """Size of all texts in UTF-8, in bytes."""
        return sum(part.bytes for part in self.parts)

    @property
    def end(self) -> tuple[int, int]:
        """The position in the origin to resume from."""
        return self.parts[-1].end if self.parts else (0, 0)

    def append(
        self, chunks: Iterable[Chunk], end: Callable[[], tuple[int, int]], job: Job,
        progress: Callable[[int, int], Progress], records: Callable[[], RecordsRead] | None = None,
    ) -> None:  # fmt: skip
        """Write complete documents as a new part. Raises StorageError.

        `end` and `records` are called after all chunks have been read. To stop, end `chunks`: a part that is
        interrupted by Cancelled is lost.
        """
        totals = SourceTotals()
        path = self._path / f"{len(self.parts):05d}.parquet"
        previous = self.documents, self.bytes

        def total_progress(documents: int, size: int) -> Progress:
            return progress(previous[0] + documents, previous[1] + size)

        with atomic_write(path) as partial:
            write_rows(partial, chunks, totals, job, total_progress)
        digest = totals.to_source("", "", (), None).sha256
        part = SourcePart(totals.documents, totals.characters, totals.bytes, digest, path.stat().st_size, end())
        if records is not None:
            read = records()
            part = replace(part, records=read.count, left_out=self._named(read.left_out))
        self.parts.append(part)
        self.save()

    def move_end(self, end: tuple[int, int], records: RecordsRead = RecordsRead()) -> None:
        """Set the position to resume from, after `records` without text."""
        if self.parts and self.parts[-1].end != end:
            last = self.parts[-1]
            if last.records is not None:
                left_out = merge([*last.left_out, *self._named(records.left_out)])
                last = replace(last, records=last.records + records.count, left_out=left_out)
            self.parts[-1] = replace(last, end=end)
            self.save()

    def _named(self, left_out: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
        """The entries with few enough names that all parts together keep at most MAX_NAMED for each reason."""
        before = {(one.unit, one.reason): len(one.first) for one in merge(e for p in self.parts for e in p.left_out)}
        return tuple(
            replace(entry, first=entry.first[: MAX_NAMED - before.get((entry.unit, entry.reason), 0)])
            for entry in left_out
        )

    def drop_after(self, shard: int) -> None:
        """Drop the parts that end in shard number `shard` or after it."""
        while self.parts and self.parts[-1].end > (shard, 0):
            self.parts.pop()
        self._save_or_remove()

    def drop_damaged(self, job: Job) -> None:
        """Drop the first part whose texts differ from those that were written, and all after it. Raises Cancelled."""
        for n, part in enumerate(self.parts):
            totals = SourceTotals()
            try:
                declared = expanded_bytes(part.bytes, part.documents)
                for chunk in rechunk(rows_of_file(self._path / f"{n:05d}.parquet", self.name, 0, declared)):
                    job.check()
                    totals.add(chunk.text, chunk.text.encode(), chunk.ends)
            except SourceError:
                pass
            if totals.sha256 != part.sha256:
                del self.parts[n:]
                break
        self._save_or_remove()

    def _save_or_remove(self) -> None:
        """Write the manifest, or remove it if no part is left."""
        if self.parts:
            self.save()
        else:
            manifest_path(self._folder, self.name).unlink(missing_ok=True)

    def save(self) -> None:
        """Write the manifest with the parts so far and the options."""
        shas = [part.sha256 for part in self.parts]
        total = shas[0] if len(shas) == 1 else hashlib.sha256("\n".join(shas).encode()).hexdigest()
        account = self._account(self.parts, str(self.options.get("state", "")))
        content = self._extra | {
            "version": MANIFEST_VERSION, "name": self.name, "origin": self._origin, "documents": self.documents,
            "characters": sum(part.characters for part in self.parts), "bytes": self.bytes, "sha256": total,
            "created": self._created, "notes": self._extra.get("notes", []), "options": self.options,
            "file": sum(part.file for part in self.parts), "parts": [asdict(part) for part in self.parts],
            "account": asdict(account) if account else None,
        }  # fmt: skip
        write_json(manifest_path(self._folder, self.name), content)

    def set_field(self, name: str, value: object) -> None:
        """Set an additional field of the manifest, written by the next `save`."""
        self._extra[name] = value

    def remove_if_empty(self) -> None:
        """Remove the folder if no part was written."""
        if not self.parts:
            remove_folder(self._path)


def write_plan(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    """Write the download plan of the source `name`. Raises StorageError."""
    path = parquet_path(folder, name)
    with translate_os_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    write_json(path / PLAN, content)


def plan_files(folder: Path) -> dict[str, Path]:
    """The path of the download plan of each sharded source in `folder`, by source name."""
    paths = sorted(folder.glob(f"*.parquet/{PLAN}")) if folder.is_dir() else []
    return {path.parent.stem: path for path in paths if not path.parent.name.startswith(".")}

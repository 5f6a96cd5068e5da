"""The download of documents from the hub into a sharded source, which can be resumed.

The documents are written in parts, limited in size and time, each with the position after it: after a crash or with a
full disk, the parts written so far are kept, and no document is missing or duplicated once the download is resumed.
"""

import contextlib
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import Account
from llm_studio.data.sources.hub import fields, records
from llm_studio.data.sources.hub.accounting import RecordTally, account_of
from llm_studio.data.sources.hub.plan import CAPPED, COMPLETE, INCOMPLETE, DownloadPlan, DownloadRequest
from llm_studio.data.sources.hub.remote_file import DamagedError
from llm_studio.data.sources.sharded import ShardedSourceWriter
from llm_studio.errors import Cancelled, DownloadError, StudioError
from llm_studio.events import Fetched
from llm_studio.files import require_space, translate_os_errors
from llm_studio.i18n import _
from llm_studio.jobs import Job

MAX_PART_BYTES = 64_000_000
"""Bytes of text after which a part ends."""
MAX_PART_SECONDS = 10.0
"""Seconds after which a part ends."""
_MARGIN = 200_000_000
"""Bytes to leave free on the disk."""
_MAX_BAD = 10_000
"""Number of records without any document after which one whose field isn't a text is an error."""
_REPORT_SECONDS = 0.25
_WINDOW_SECONDS = 8.0
"""Period over which the speed is measured."""


class _Read(NamedTuple):
    """A record that was read, or the end of a file: the position after it, its text or the `reason` it has none."""

    position: tuple[int, int]
    text: str = ""
    reason: str = ""
    is_record: bool = True


class Download:
    """Downloads one source, or more of an existing one."""

    def __init__(self, folder: Path, name: str, plan: DownloadPlan, request: DownloadRequest, job: Job) -> None:
        self._folder = folder
        self._plan = plan
        self._request = request
        self._job = job
        caps = {"max_documents": request.max_documents, "max_bytes": request.max_bytes}
        self._source = ShardedSourceWriter(folder, name, plan.origin, plan.options | caps, partial(account_of, plan))
        self._source.set_field("conversations", plan.conversations)
        self._position = self._source.end
        self._tally = RecordTally()
        self._fraction = 0.0
        self._failure: BaseException | None = None
        self._at_end = False
        self._damaged_shards: set[int] = set()
        self._speed = _SpeedMeter()
        self._documents, self._bytes = self._source.documents, self._source.bytes
        self._reported = 0.0

    def run(self) -> str:
        """Download until the dataset ends, a limit is reached or an error occurs; return the resulting state.

        Errors (StudioError, Cancelled) are raised after what was downloaded has been written.
        """
        rows = self._rows()
        try:
            self._require_space()
            self._set_state(INCOMPLETE)
            while not self._at_end and not self._limit_reached():
                self._write_part(rows)
                if self._failure is not None:
                    rows = self._after_failure()
        finally:
            with contextlib.suppress(StudioError):  # the first error is the one to report
                rows.close()
            self._source.remove_if_empty()
        state = CAPPED if self._limit_reached() and not self._at_end else COMPLETE
        self._set_state(state)
        return state

    @property
    def account(self) -> Account:
        """What was read and left out since the last part was written; for a dataset without any text, that is all."""
        read = self._tally.read()
        return Account(left_out=read.left_out, records_seen=read.count)

    def _set_state(self, state: str) -> None:
        """Write the state and the position into the manifest, if there is one yet."""
        changed = self._source.options.get("state") != state
        self._source.options["state"] = state
        if self._source.parts and (changed or self._source.end != self._position):
            self._source.move_end(self._position, self._tally.read())
            self._tally = RecordTally()
            self._source.save()

    def _limit_reached(self) -> bool:
        documents, size = self._request.max_documents, self._request.max_bytes
        return (documents is not None and self._documents >= documents) or (size is not None and self._bytes >= size)

    # One part

    def _write_part(self, rows: Iterator[_Read]) -> None:
        """Write one part. An error that ends it is kept in `_failure`."""
        chunks = self._chunks(rows)
        first = next(chunks, None)
        if first is None:
            return
        require_space(self._folder, 2 * MAX_PART_BYTES)
        unstoppable = Job(self._job.report)  # so that the part is completed: `chunks` ends if the job should stop
        self._source.append(chain([first], chunks), lambda: self._position, unstoppable, self._progress,
                            self._tally.read)  # fmt: skip
        self._tally = RecordTally()

    def _chunks(self, rows: Iterator[_Read]) -> Iterator[Chunk]:
        size, limit = 0, time.monotonic() + MAX_PART_SECONDS
        try:
            for read in rows:
                position, text = read.position, read.text
                if text:
                    self._documents += 1
                    length = len(text.encode("utf-8", "surrogatepass"))
                    self._bytes += length
                    size += length
                    yield Chunk(text, True)
                # the checksum is compared at the end of a shard
                shard_ends = self._plan.kind != "parquet" and position[0] > self._position[0]
                self._position = position
                if read.is_record:
                    self._tally.add(self._plan.shards[position[0]].path, position[1], read.reason)
                part_full = size >= MAX_PART_BYTES or (size and (shard_ends or time.monotonic() > limit))
                if part_full or self._limit_reached():
                    return
            self._at_end = True
        except (StudioError, Cancelled) as error:
            self._failure = error

    def _rows(self) -> Generator[_Read]:
        """Yield the records from the current position on, and the end of each file."""
        plan = self._plan
        columns = plan.columns()
        start, after = self._position
        for shard in range(start, len(plan.shards)):
            rows = records.rows(plan.dataset_revision, plan.shards[shard], plan.kind, plan.reading, self._job,
                                after=after, columns=columns, on_bytes=self._on_bytes)  # fmt: skip
            with contextlib.closing(rows):  # pyright: ignore[reportArgumentType]  a generator
                for row in rows:
                    self._fraction = row.fraction
                    text, reason = self._text_of(row.record)
                    yield _Read((shard, row.number), text, reason)
            after, self._fraction = 0, 0.0
            yield _Read((shard + 1, 0), is_record=False)

    def _text_of(self, record: Mapping[str, Any]) -> tuple[str, str]:
        """The text of a record and the reason it has none, one of which is "".

        Raises DownloadError if the field isn't a text, and there was no document in the first `_MAX_BAD` records.
        """
        field, conversations = self._plan.field, self._plan.conversations
        try:
            text = fields.text_of(record, field, conversations)
        except DownloadError:
            if not self._documents and self._tally.count > _MAX_BAD:
                raise
            text = None
        if text and not text.isspace():
            return text, ""
        return "", fields.reason_left_out(record, field, conversations)

    def _after_failure(self) -> Generator[_Read]:
        """Restart a shard that was damaged, once; raise any other error."""
        error, self._failure = self._failure, None
        assert error is not None
        shard = self._source.end[0] if self._source.parts else 0
        shard = max(shard, self._position[0])
        if not isinstance(error, DamagedError) or shard in self._damaged_shards:
            raise error
        self._damaged_shards.add(shard)
        if self._plan.kind != "parquet":  # nothing of this file can be trusted until its checksum has been compared
            self._source.drop_after(shard)
        self._position = self._source.end
        self._tally = RecordTally()
        self._documents, self._bytes = self._source.documents, self._source.bytes
        return self._rows()

    # Disk space and progress

    def _require_space(self) -> None:
        """Raise StorageError if the disk doesn't have enough space for the download, whose size may be an estimate."""
        with translate_os_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        plan, request = self._plan, self._request
        needed = sum(shard.size for shard in plan.shards[self._position[0] :])
        per_document = sum(shard.size for shard in plan.shards) / plan.documents if plan.documents else None
        if request.max_documents is not None and per_document is not None:
            needed = min(needed, int(per_document * max(0, request.max_documents - self._documents)))
        elif request.max_documents is not None:
            needed = 0  # checked before each part
        if request.max_bytes is not None:
            needed = min(needed, max(0, request.max_bytes - self._bytes))
        require_space(self._folder, needed + _MARGIN)

    def _on_bytes(self, size: int) -> None:
        self._speed.add(size)
        if time.monotonic() - self._reported > _REPORT_SECONDS:
            self._job.report(self._progress(self._documents, self._bytes))

    def _progress(self, documents: int, size: int) -> Fetched:
        self._reported = time.monotonic()
        done, total, unit = self._measure(documents, size)
        self._speed.reach(done)
        left = self._speed.seconds_left(done, total)
        return Fetched(_("Downloading {name}").format(name=self._source.name), done, total, unit, documents, size,
                       self._speed.speed(), left)  # fmt: skip

    def _measure(self, documents: int, size: int) -> tuple[float, float | None, str]:
        """(done, total, unit) for the limit that will be reached first."""
        request, plan = self._request, self._plan
        limits: list[tuple[float, float, str]] = []
        if request.max_documents is not None:
            limits.append(
                (documents, min(request.max_documents, plan.documents or request.max_documents), _("documents"))
            )
        if request.max_bytes is not None:
            limits.append((size / 1e6, request.max_bytes / 1e6, _("MB")))
        if not limits:
            shard = min(self._position[0], len(plan.shards) - 1)
            before = sum(s.size for s in plan.shards[:shard]) + self._fraction * plan.shards[shard].size
            limits.append((before / 1e6, sum(s.size for s in plan.shards) / 1e6, _("MB")))
        return max(limits, key=lambda limit: limit[0] / max(limit[1], 1e-9))


@dataclass(slots=True)
class _Sample:
    time: float
    value: float


class _SpeedMeter:
    """Measures the speed over the last few seconds."""

    def __init__(self) -> None:
        self._bytes = 0
        self._on_bytes: deque[_Sample] = deque([_Sample(time.monotonic(), 0)])
        self._done: deque[_Sample] = deque()

    def add(self, size: int) -> None:
        """Count received bytes."""
        self._bytes += size
        _append_sample(self._on_bytes, self._bytes)

    def reach(self, done: float) -> None:
        """Record the progress."""
        _append_sample(self._done, done)

    def speed(self) -> float:
        """Bytes per second."""
        return _slope(self._on_bytes)

    def seconds_left(self, done: float, total: float | None) -> float | None:
        """Seconds until `total` is reached; None if unknown."""
        slope = _slope(self._done)
        return (total - done) / slope if total is not None and slope > 0 else None


def _append_sample(points: deque[_Sample], value: float) -> None:
    now = time.monotonic()
    if len(points) > 1 and now - points[-1].time < _REPORT_SECONDS / 5:
        points[-1].value = value
        return
    points.append(_Sample(now, value))
    while len(points) > 2 and now - points[1].time > _WINDOW_SECONDS:
        points.popleft()


def _slope(points: deque[_Sample]) -> float:
    if len(points) < 2:
        return 0.0
    return (points[-1].value - points[0].value) / max(time.monotonic() - points[0].time, 0.05)

"""The download: documents from the hub into a growing source, from wherever it was.

What has come is kept whatever happens: it is written in parts of some megabytes or seconds, and with each part the
place after it, so that neither a kill nor a full disk loses or doubles a document.
"""

import contextlib
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.hub import fields, records
from llm_studio.data.sources.hub.plan import CAPPED, COMPLETE, INCOMPLETE, DownloadPlan, DownloadRequest
from llm_studio.data.sources.hub.remote_file import DamagedError
from llm_studio.data.sources.sharded import ShardedSourceWriter
from llm_studio.errors import Cancelled, StudioError
from llm_studio.events import Fetched
from llm_studio.files import require_space, translate_os_errors
from llm_studio.i18n import _
from llm_studio.jobs import Job

MAX_PART_BYTES = 64_000_000
"""Text in one part at most."""
MAX_PART_SECONDS = 10.0
"""Time after which what has come is put on the disk."""
_MARGIN = 200_000_000
"""Bytes that are left free on the disk."""
_REPORT_EVERY = 0.25
_WINDOW = 8.0


class Download:
    """One call of the download of one source. `run` does it."""

    def __init__(self, folder: Path, name: str, plan: DownloadPlan, request: DownloadRequest, job: Job) -> None:
        self._folder = folder
        self._plan = plan
        self._wanted = request
        self._job = job
        caps = {"max_documents": request.max_documents, "max_bytes": request.max_bytes}
        self._source = ShardedSourceWriter(folder, name, plan.origin, plan.options | caps)
        self._source.set_field("conversations", plan.conversations)
        self._place = self._source.end
        self._share = 0.0
        self._trouble: BaseException | None = None
        self._over = False
        self._damaged: set[int] = set()
        self._meter = _Meter()
        self._documents, self._bytes = self._source.documents, self._source.bytes
        self._reported = 0.0

    def run(self) -> str:
        """Fetch until all is there, the cap is reached or something is in the way. Gives the state it is left in.

        Raises what was in the way when what has come is on the disk: StudioError, Cancelled.
        """
        rows = self._rows()
        try:
            self._require_space()
            self._set_state(INCOMPLETE)
            while not self._over and not self._full():
                self._one_part(rows)
                if self._trouble is not None:
                    rows = self._after_trouble()
        finally:
            with contextlib.suppress(StudioError):  # the first error is the one to tell
                rows.close()
            self._source.remove_if_empty()
        state = CAPPED if self._full() and not self._over else COMPLETE
        self._set_state(state)
        return state

    def _set_state(self, state: str) -> None:
        """Write into the manifest how far it is, where there is one."""
        changed = self._source.options.get("state") != state
        self._source.options["state"] = state
        if self._source.parts and (changed or self._source.end != self._place):
            self._source.move_end(self._place)
            self._source.save()

    def _full(self) -> bool:
        most, size = self._wanted.max_documents, self._wanted.max_bytes
        return (most is not None and self._documents >= most) or (size is not None and self._bytes >= size)

    # One part

    def _one_part(self, rows: "Iterator[tuple[tuple[int, int], str | None]]") -> None:
        """Write what comes until a part is full; what is in the way is kept in `_trouble`."""
        pieces = self._pieces(rows)
        first = next(pieces, None)
        if first is None:
            return
        require_space(self._folder, 2 * MAX_PART_BYTES)
        unstoppable = Job(self._job.report)  # what has come is written: `pieces` ends when the job is to stop
        self._source.append(_chained(first, pieces), lambda: self._place, unstoppable, self._progress)

    def _pieces(self, rows: "Iterator[tuple[tuple[int, int], str | None]]") -> Iterator[Chunk]:
        size, limit = 0, time.monotonic() + MAX_PART_SECONDS
        try:
            for place, text in rows:
                if text is not None:
                    self._documents += 1
                    length = len(text.encode("utf-8", "surrogatepass"))
                    self._bytes += length
                    size += length
                    yield Chunk(text, True)
                shard_ends = self._plan.kind != "parquet" and place[0] > self._place[0]  # then its checksum was right
                self._place = place
                if (
                    (size and shard_ends)
                    or self._full()
                    or size >= MAX_PART_BYTES
                    or (size and time.monotonic() > limit)
                ):
                    return
            self._over = True
        except (StudioError, Cancelled) as trouble:
            self._trouble = trouble

    def _rows(self) -> "Generator[tuple[tuple[int, int], str | None]]":
        """From the place on: the place after each record, and its text."""
        plan = self._plan
        columns = plan.columns()
        start, after = self._place
        for shard in range(start, len(plan.shards)):
            rows = records.rows(plan.dataset_revision, plan.shards[shard], plan.kind, plan.reading, self._job, after=after,
                                columns=columns, on_bytes=self._came)  # fmt: skip
            with contextlib.closing(rows):  # pyright: ignore[reportArgumentType]  a generator
                for row in rows:
                    self._share = row.fraction
                    text = fields.text_of(row.record, plan.field, plan.conversations)
                    yield (shard, row.number), None if text is None or text.isspace() else text
            after, self._share = 0, 0.0
            yield (shard + 1, 0), None

    def _after_trouble(self) -> "Generator[tuple[tuple[int, int], str | None]]":
        """Try once more what came damaged; raise what else was in the way."""
        trouble, self._trouble = self._trouble, None
        assert trouble is not None
        shard = self._source.end[0] if self._source.parts else 0
        shard = max(shard, self._place[0])
        if not isinstance(trouble, DamagedError) or shard in self._damaged:
            raise trouble
        self._damaged.add(shard)
        if self._plan.kind != "parquet":  # what came of this file before its checksum can't be trusted
            self._source.drop_after(shard)
        self._place = self._source.end
        self._documents, self._bytes = self._source.documents, self._source.bytes
        return self._rows()

    # Room and progress

    def _require_space(self) -> None:
        """Raise StorageError where the disk hasn't room for what is wanted, as far as that can be told."""
        with translate_os_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        plan, wanted = self._plan, self._wanted
        needed = sum(shard.size for shard in plan.shards[self._place[0] :])
        per_document = sum(shard.size for shard in plan.shards) / plan.documents if plan.documents else None
        if wanted.max_documents is not None and per_document is not None:
            needed = min(needed, int(per_document * max(0, wanted.max_documents - self._documents)))
        elif wanted.max_documents is not None:
            needed = 0  # it is looked at before each part
        if wanted.max_bytes is not None:
            needed = min(needed, max(0, wanted.max_bytes - self._bytes))
        require_space(self._folder, needed + _MARGIN)

    def _came(self, size: int) -> None:
        self._meter.add(size)
        if time.monotonic() - self._reported > _REPORT_EVERY:
            self._job.report(self._progress(self._documents, self._bytes))

    def _progress(self, documents: int, size: int) -> Fetched:
        self._reported = time.monotonic()
        done, total, unit = self._measure(documents, size)
        self._meter.reach(done)
        left = self._meter.seconds_left(done, total)
        return Fetched(_("Downloading {name}").format(name=self._source.name), done, total, unit, documents, size,
                       self._meter.speed(), left)  # fmt: skip

    def _measure(self, documents: int, size: int) -> tuple[float, float | None, str]:
        """What is done, of how much, in which unit: the nearest end counts."""
        wanted, plan = self._wanted, self._plan
        ways: list[tuple[float, float, str]] = []
        if wanted.max_documents is not None:
            ways.append((documents, min(wanted.max_documents, plan.documents or wanted.max_documents), _("documents")))
        if wanted.max_bytes is not None:
            ways.append((size / 1e6, wanted.max_bytes / 1e6, _("MB")))
        if not ways:
            shard = min(self._place[0], len(plan.shards) - 1)
            before = sum(s.size for s in plan.shards[:shard]) + self._share * plan.shards[shard].size
            ways.append((before / 1e6, sum(s.size for s in plan.shards) / 1e6, _("MB")))
        return max(ways, key=lambda way: way[0] / max(way[1], 1e-9))


@dataclass(slots=True)
class _Point:
    time: float
    value: float


class _Meter:
    """How fast it goes, over the last seconds."""

    def __init__(self) -> None:
        self._bytes = 0
        self._came: deque[_Point] = deque([_Point(time.monotonic(), 0)])
        self._done: deque[_Point] = deque()

    def add(self, size: int) -> None:
        """So many bytes have come."""
        self._bytes += size
        _keep(self._came, self._bytes)

    def reach(self, done: float) -> None:
        """So much is done."""
        _keep(self._done, done)

    def speed(self) -> float:
        """Bytes a second."""
        return _slope(self._came)

    def seconds_left(self, done: float, total: float | None) -> float | None:
        """Until `total`, None where it can't be told yet."""
        slope = _slope(self._done)
        return (total - done) / slope if total is not None and slope > 0 else None


def _keep(points: deque[_Point], value: float) -> None:
    now = time.monotonic()
    if len(points) > 1 and now - points[-1].time < _REPORT_EVERY / 5:
        points[-1].value = value
        return
    points.append(_Point(now, value))
    while len(points) > 2 and now - points[1].time > _WINDOW:
        points.popleft()


def _slope(points: deque[_Point]) -> float:
    if len(points) < 2:
        return 0.0
    return (points[-1].value - points[0].value) / max(time.monotonic() - points[0].time, 0.05)


def _chained(first: Chunk, others: Iterator[Chunk]) -> Iterator[Chunk]:
    yield first
    yield from others

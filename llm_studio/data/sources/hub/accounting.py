"""The account of a download: the files of the repository, the records of the split, and what was left out."""

from collections.abc import Iterable, Sequence

from llm_studio.data.sources.account import (
    FILES,
    MAX_NAMED,
    NOT_DOWNLOADED,
    NOT_REACHED,
    PARTS,
    Account,
    AccountBuilder,
    LeftOut,
    Named,
    merge,
)
from llm_studio.data.sources.hub.plan import CAPPED, DownloadPlan
from llm_studio.data.sources.hub.remote_file import Shard
from llm_studio.data.sources.manifest import SourcePart
from llm_studio.data.sources.sharded import RecordsRead
from llm_studio.i18n import N_

ROW = N_("{path}, row {line}")


def account_of(plan: DownloadPlan, parts: Sequence[SourcePart], state: str) -> Account | None:
    """The account of a source with these parts; None if an earlier version, which didn't count records, wrote one.

    A file counts as read once its first record has been read; the rest of it counts as a part left out.
    """
    if any(part.records is None for part in parts):
        return None
    shard, row = parts[-1].end if parts else (0, 0)
    begun = plan.shards[shard : shard + 1] if row else ()
    files_read = min(shard, len(plan.shards)) + len(begun)
    reason = NOT_REACHED if state == CAPPED else NOT_DOWNLOADED
    left_out = merge([
        *plan.others,
        *_unread(FILES, reason, plan.shards[files_read:]),
        *(entry for part in parts for entry in part.left_out),
        *_unread(PARTS, reason, begun),
    ])  # fmt: skip
    seen = len(plan.shards) + sum(entry.count for entry in plan.others)
    records = sum(part.records or 0 for part in parts)
    return Account(seen, files_read, left_out, records_seen=records, records_read=sum(p.documents for p in parts))


def _unread(unit: str, reason: str, shards: Sequence[Shard]) -> Iterable[LeftOut]:
    if shards:
        yield LeftOut(unit, reason, len(shards), tuple(Named(shard.path) for shard in shards[:MAX_NAMED]))


class RecordTally:
    """Counts the records read since the last part was written."""

    def __init__(self) -> None:
        self.count = 0
        self._left_out = AccountBuilder()

    def add(self, shard: str, row: int, reason: str) -> None:
        """Count record number `row` of a file; `reason`: why it is left out, or ""."""
        self.count += 1
        if reason:
            self._left_out.leave_out_record(reason, shard, row, ROW)

    def read(self) -> RecordsRead:
        """The counts so far."""
        return RecordsRead(self.count, self._left_out.left_out())

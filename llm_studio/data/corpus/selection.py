"""Which documents stay, and which of them are kept aside for validation.

All is decided from hashes and lengths of the cleaned texts: the same whatever the order of the documents, and the same
for equal ones. They lie on disk (measures.py); in memory is a byte for the verdict on each document.
"""

from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from llm_studio.config import DataSettings
from llm_studio.data.cleaning.near_duplicates import LONGEST, NearDuplicate, NearDuplicates
from llm_studio.data.corpus.languages import identify
from llm_studio.data.corpus.text_stats import TextStats, TextStatsWriter
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job

LEAST_VALIDATION = 16_384
"""Characters wanted for validation: about eight contexts of 512 tokens."""


class Verdict(IntEnum):
    """Whether a document stays, and if not, the rule that removed it, in the order of the rules."""

    KEPT = 0
    TOO_SHORT = 1
    TOO_LONG = 2
    OTHER_LANGUAGE = 3
    DUPLICATE = 4
    NEAR_DUPLICATE = 5


# --- Verdicts ---------------------------------------------------------------------------------------------------


class DocumentFilter:
    """Sees the cleaned documents one after the other, then gives a verdict on each.

    It holds temporary files: use it as a context, for as long as its measures are read.
    """

    def __init__(self, settings: DataSettings) -> None:
        self._settings = settings
        self._least = max(1, settings.min_characters)
        self._scale = TextStatsWriter()
        self._verdicts = bytearray()
        self._head = ""
        self._near = NearDuplicates(settings.near_duplicate_similarity) if settings.remove_near_duplicates else None
        self._needs_head = bool(settings.languages) or self._near is not None

    def __enter__(self) -> "DocumentFilter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scale.close()
        if self._near is not None:
            self._near.close()

    def add(self, text: str, ends: bool) -> Verdict | None:
        """The next part of a document. At its end, what can be said of it alone."""
        length = self._scale.add(text, ends)
        if self._needs_head and len(self._head) < LONGEST:
            self._head = self._head + text if self._head else text
        if not ends:
            return None
        verdict = self._alone(length)
        if self._near is not None and verdict == Verdict.KEPT:
            self._near.add(len(self._verdicts), self._head[:LONGEST])
        self._verdicts.append(verdict)
        self._head = ""
        return verdict

    def _alone(self, length: int) -> Verdict:
        if length < self._least:
            return Verdict.TOO_SHORT
        if 0 < self._settings.max_characters < length:
            return Verdict.TOO_LONG
        if self._settings.languages and identify(self._head[:LONGEST]) not in ("", *self._settings.languages):
            return Verdict.OTHER_LANGUAGE
        return Verdict.KEPT

    def verdicts(self, job: Job) -> "FilterResult":
        """The verdicts on all documents seen. Raises Cancelled."""
        judged = self.alone()
        if self._settings.remove_duplicates:
            judged.verdicts[duplicates(judged.measures, judged.kept)] = Verdict.DUPLICATE
        if self._near is not None:
            near = self.near_duplicates(judged, job)
            judged.verdicts[[pair.removed for pair in near]] = Verdict.NEAR_DUPLICATE
        return judged

    def alone(self) -> "FilterResult":
        """The verdicts so far, of each document by itself."""
        return FilterResult(self._scale.measures(), np.frombuffer(self._verdicts, np.uint8).copy())

    def near_duplicates(self, judged: "FilterResult", job: Job) -> list[NearDuplicate]:
        """The near duplicates among those that are kept so far. Raises Cancelled."""
        if self._near is None:
            return []
        job.report(Progress(_("Comparing the documents"), 0, None, _("documents")))
        whole = judged.measures.whole()
        return self._near.found(whole.hashes, whole.lengths, judged.kept, job)


@dataclass(frozen=True)
class FilterResult:
    """All documents with the verdict on each."""

    measures: TextStats
    verdicts: NDArray[np.uint8]

    @property
    def kept(self) -> NDArray[np.bool_]:
        return self.verdicts == Verdict.KEPT

    def count(self, verdict: Verdict) -> int:
        """Documents with this verdict."""
        return int((self.verdicts == verdict).sum())


def duplicates(documents: TextStats, allowed: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The places of those `allowed` documents that are equal to an earlier one of them."""
    found = [np.zeros(0, np.intp)]
    for part in documents.in_parts():
        may = allowed[part.places]
        places = part.places[may]
        others = np.ones(len(places), np.bool_)
        others[np.unique(part.hashes[may], return_index=True)[1]] = False
        found.append(places[others])
    return np.concatenate(found)


# --- Validation -------------------------------------------------------------------------------------------------


def draw(units: TextStats, share: float) -> NDArray[np.bool_]:
    """Which units are kept aside: in the order of their hashes each that still fits into `share` of all characters.

    Equal units stay together. Where none fits, the shortest is taken; where all are equal, none.
    """
    room, different = int(units.total * share), 0
    aside = np.zeros(units.count, np.bool_)
    least, shortest = np.iinfo(np.int64).max, np.zeros(0, np.intp)
    for part in units.in_parts():
        sorting = np.argsort(part.hashes, kind="stable")
        order, hashes = part.places[sorting], part.hashes[sorting]
        starts = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]))
        lengths = np.add.reduceat(part.lengths[sorting], starts, dtype=np.int64)
        taken = _fill(lengths, room)
        aside[order] = np.repeat(taken, np.diff(starts, append=len(order)))
        room -= int(lengths[taken].sum())
        different += len(starts)
        first = int(lengths.argmin())
        if lengths[first] < least:
            least, shortest = int(lengths[first]), order[starts[first] : np.append(starts, len(order))[first + 1]]
    if different > 1 and not aside.any():
        aside[shortest] = True
    return aside if different > 1 else np.zeros_like(aside)


def _fill(lengths: NDArray[np.int64], room: int) -> NDArray[np.bool_]:
    """Which of `lengths` are taken by one who walks along them and takes what still fits into `room`."""
    taken = np.zeros(len(lengths), np.bool_)
    places = np.flatnonzero(lengths <= room)
    while len(places):
        filled = np.cumsum(lengths[places])
        fitting = int(np.searchsorted(filled, room, "right"))  # at least one: each alone fits
        taken[places[:fitting]] = True
        room -= int(filled[fitting - 1])
        places = places[fitting:]
        places = places[lengths[places] <= room]
    return taken


def too_little(units: TextStats, validation: NDArray[np.bool_], share: float) -> bool:
    """Whether so little is kept aside that long documents should be cut."""
    aside = units.characters(validation)
    return aside < max(LEAST_VALIDATION, min(0.01, share / 5) * units.total)

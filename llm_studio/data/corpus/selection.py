"""Selection of the documents to keep, and of those for validation.

Everything is decided from hashes and lengths of the cleaned texts: independent of the order of the documents, and the
same for equal documents.
"""

from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from llm_studio.config import DataSettings
from llm_studio.data.cleaning.near_duplicates import MAX_CHARACTERS, NearDuplicate, NearDuplicateIndex
from llm_studio.data.corpus.languages import identify
from llm_studio.data.corpus.text_stats import TextStats, TextStatsWriter
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job

MIN_VALIDATION_CHARACTERS = 16_384
"""Characters of validation text to aim for: about eight contexts of 512 tokens."""


class Verdict(IntEnum):
    """Whether a document is kept, and if not, the rule that removed it, in the order of the rules."""

    KEPT = 0
    TOO_SHORT = 1
    TOO_LONG = 2
    OTHER_LANGUAGE = 3
    DUPLICATE = 4
    NEAR_DUPLICATE = 5


# --- Verdicts ---------------------------------------------------------------------------------------------------


class DocumentFilter:
    """Receives the cleaned documents one after the other, then gives a verdict on each.

    The index of near duplicates holds a temporary file: use the filter as a context manager.
    """

    def __init__(self, settings: DataSettings) -> None:
        self._settings = settings
        self._min_characters = max(1, settings.min_characters)
        self._stats = TextStatsWriter()
        self._verdicts = bytearray()
        self._head = ""
        """Beginning of the current document, kept only for language detection and near duplicates."""
        self._near = NearDuplicateIndex(settings.near_duplicate_similarity) if settings.remove_near_duplicates else None
        self._needs_head = bool(settings.languages) or self._near is not None

    def __enter__(self) -> "DocumentFilter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._near is not None:
            self._near.close()

    def add(self, text: str, ends: bool) -> Verdict | None:
        """Add the next chunk of a document; at its end, return the verdict that doesn't depend on other documents."""
        length = self._stats.add(text, ends)
        if self._needs_head and len(self._head) < MAX_CHARACTERS:
            self._head = self._head + text if self._head else text
        if not ends:
            return None
        verdict = self._single_verdict(length)
        if self._near is not None and verdict == Verdict.KEPT:
            self._near.add(len(self._verdicts), self._head[:MAX_CHARACTERS])
        self._verdicts.append(verdict)
        self._head = ""
        return verdict

    def _single_verdict(self, length: int) -> Verdict:
        if length < self._min_characters:
            return Verdict.TOO_SHORT
        if 0 < self._settings.max_characters < length:
            return Verdict.TOO_LONG
        if self._settings.languages and identify(self._head[:MAX_CHARACTERS]) not in ("", *self._settings.languages):
            return Verdict.OTHER_LANGUAGE
        return Verdict.KEPT

    def verdicts(self, job: Job) -> "FilterResult":
        """The verdicts on all documents. Raises Cancelled."""
        result = self.single_verdicts()
        if self._settings.remove_duplicates:
            result.verdicts[find_duplicates(result.stats, result.kept)] = Verdict.DUPLICATE
        if self._near is not None:
            near = self.near_duplicates(result, job)
            result.verdicts[[pair.removed for pair in near]] = Verdict.NEAR_DUPLICATE
        return result

    def single_verdicts(self) -> "FilterResult":
        """The verdicts that don't depend on other documents."""
        return FilterResult(self._stats.stats(), np.frombuffer(self._verdicts, np.uint8).copy())

    def near_duplicates(self, result: "FilterResult", job: Job) -> list[NearDuplicate]:
        """The near duplicates among the documents that are kept so far. Raises Cancelled."""
        if self._near is None:
            return []
        job.report(Progress(_("Comparing the documents"), 0, None, _("documents")))
        return self._near.find(result.stats.hashes, result.stats.lengths, result.kept, job)


@dataclass(frozen=True)
class FilterResult:
    """All documents with the verdict on each."""

    stats: TextStats
    verdicts: NDArray[np.uint8]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which documents are kept."""
        return self.verdicts == Verdict.KEPT

    def count(self, verdict: Verdict) -> int:
        """Number of documents with this verdict."""
        return int((self.verdicts == verdict).sum())


def find_duplicates(documents: TextStats, candidates: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The indices of those `candidates` that are equal to an earlier one of them."""
    found = [np.zeros(0, np.intp)]
    for bucket in documents.hash_buckets():
        indices = bucket[candidates[bucket]]
        repeated = np.ones(len(indices), np.bool_)
        repeated[np.unique(documents.hashes[indices], return_index=True)[1]] = False
        found.append(indices[repeated])
    return np.concatenate(found)


# --- Validation -------------------------------------------------------------------------------------------------


def draw_validation(units: TextStats, fraction: float) -> NDArray[np.bool_]:
    """Select units for validation, up to `fraction` of all characters.

    They are selected in the order of their hashes, each that still fits. Equal units stay together. If none fits, the
    shortest is selected; if all are equal, none.
    """
    room, distinct = int(units.total * fraction), 0
    validation = np.zeros(units.count, np.bool_)
    min_length, shortest = np.iinfo(np.int64).max, np.zeros(0, np.intp)
    for bucket in units.hash_buckets():
        order = bucket[np.argsort(units.hashes[bucket], kind="stable")]
        hashes = units.hashes[order]
        starts = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]))
        lengths = np.add.reduceat(units.lengths[order], starts, dtype=np.int64)
        taken = _fill(lengths, room)
        validation[order] = np.repeat(taken, np.diff(starts, append=len(order)))
        room -= int(lengths[taken].sum())
        distinct += len(starts)
        first = int(lengths.argmin())
        if lengths[first] < min_length:
            min_length, shortest = int(lengths[first]), order[starts[first] : np.append(starts, len(order))[first + 1]]
    if distinct > 1 and not validation.any():
        validation[shortest] = True
    return validation if distinct > 1 else np.zeros_like(validation)


def _fill(lengths: NDArray[np.int64], room: int) -> NDArray[np.bool_]:
    """Go through `lengths` in order and take each that still fits into `room`."""
    taken = np.zeros(len(lengths), np.bool_)
    candidates = np.flatnonzero(lengths <= room)
    while len(candidates):
        filled = np.cumsum(lengths[candidates])
        fitting = int(np.searchsorted(filled, room, "right"))  # at least one: each alone fits
        taken[candidates[:fitting]] = True
        room -= int(filled[fitting - 1])
        candidates = candidates[fitting:]
        candidates = candidates[lengths[candidates] <= room]
    return taken


def too_little_validation(units: TextStats, validation: NDArray[np.bool_], fraction: float) -> bool:
    """Whether there is so little validation text that long documents should be cut."""
    characters = units.characters(validation)
    return characters < max(MIN_VALIDATION_CHARACTERS, min(0.01, fraction / 5) * units.total)

"""The corpus: one cleaned stream of documents, from which both the tokenizer is trained and the tokens are made.

A scan decides which documents are kept and which are for training or validation, from the texts alone (selection.py):
independent of the order of the sources, and the same for equal texts. If there would be too little validation text (one
novel is one document), long documents are cut into units at paragraph breaks, and the units are divided instead.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llm_studio.config import DataSettings
from llm_studio.data.chunks import safe_cut, white_space_start
from llm_studio.data.cleaning import TEXT_RULES, Cleaner
from llm_studio.data.cleaning.lines import RepeatedLineFinder
from llm_studio.data.corpus.selection import (
    DocumentFilter,
    FilterResult,
    Verdict,
    draw_validation,
    too_little_validation,
)
from llm_studio.data.corpus.text_stats import DocumentMask, TextStats, TextStatsWriter
from llm_studio.data.sources.conversations import USER
from llm_studio.data.sources.manifest import Source
from llm_studio.data.sources.store import read_chunks, read_verified, scan_sources
from llm_studio.errors import DataError, SourceError
from llm_studio.events import Progress
from llm_studio.files import fingerprint
from llm_studio.i18n import _, number
from llm_studio.jobs import Job

Split = Literal["train", "validation"]

MAX_UNIT = 8_000
MIN_UNIT = 400
"""Limits of the length to aim for, in characters. Units are half to twice as long; shorter documents stay whole."""
_VALIDATION_UNITS = 5
_REPORT_CHARACTERS = 4_000_000


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A span of text. Consecutive spans up to one that `ends` are one text, followed by <|endoftext|>."""

    source: str
    text: str
    ends: bool


class Corpus:
    """All documents of a project. Creating it reads only the manifests of the sources.

    `sources` are the readable ones; the texts of the others are left out. `found` includes both.
    """

    def __init__(self, folder: Path, settings: DataSettings) -> None:
        self.folder = folder
        self.settings = settings
        self.found = scan_sources(folder)
        self.sources: list[Source] = self.found.usable

    def fingerprint(self) -> str:
        """Changes with the content or the name of a source and with the settings that affect the corpus.

        Sources that can't be read now are represented by their manifests: existing tokens of their texts stay valid.
        """
        return self._fingerprint(self.found.all())

    def readable_fingerprint(self) -> str:
        """The fingerprint of the readable sources: for measurements without the others."""
        return self._fingerprint(self.sources)

    def require_all(self) -> None:
        """Raise SourceError if a source can't be read, so that nothing is left out silently."""
        for source in self.found.unusable:
            raise SourceError(source.problem, source.to_do, "sources")

    def _fingerprint(self, sources: Sequence[Source]) -> str:
        contents = [(source.name, source.sha256, *(["chat"] if source.conversations else [])) for source in sources]
        return fingerprint(contents, _relevant_settings(self.settings))

    def plan(self, job: Job) -> "CorpusPlan":
        """Read all texts and decide which documents are kept, and which are for training or validation.

        Finding repeated lines and cutting documents take another pass each. Raises DataError if nothing is left or
        nothing can be used for validation.
        """
        if not self.sources:
            self.require_all()
            raise DataError(_("This project has no texts yet."), _("Add some first."))
        repeated = self.repeated_lines(job)
        with DocumentFilter(self.settings) as document_filter:
            result = self._filter(document_filter, repeated, job)
        texts = _KeptTexts(self.folder, tuple(self.sources), self.settings, repeated, DocumentMask.of(result.kept))
        return self._split(result, texts, job)

    def _split(self, result: FilterResult, texts: "_KeptTexts", job: Job) -> "CorpusPlan":
        """Decide which of the kept texts are for validation."""
        kept = result.kept
        if not kept.any():
            raise _nothing_left(result, self.settings)
        fraction = self.settings.validation_share
        units = result.stats.select(kept)
        validation = draw_validation(units, fraction)
        size = max(MIN_UNIT, min(MAX_UNIT, int(units.total * fraction / _VALIDATION_UNITS)))
        cut = too_little_validation(units, validation, fraction) and units.longest >= 2 * size
        if cut:
            units = _scan_units(texts, size, units.total, job)
            validation = draw_validation(units, fraction)
        if not validation.any():
            raise DataError(
                _("Nothing can be set aside for validation: there is a single text of {characters} characters.").format(
                    characters=number(units.total)
                ),
                _("Add more text: at least a few pages; a megabyte is a good start."),
            )
        removed = {verdict: result.count(verdict) for verdict in Verdict if verdict is not Verdict.KEPT}
        validation_characters = units.characters(validation)
        return CorpusPlan(
            documents=len(result.verdicts) - sum(removed.values()), removed=removed, characters=units.total,
            train_characters=units.total - validation_characters, validation_characters=validation_characters, cut=cut,
            _kept=texts, _validation=DocumentMask.of(validation), _size=size,
        )  # fmt: skip

    def repeated_lines(self, job: Job) -> dict[str, frozenset[str]]:
        """The patterns of the repeated lines of each source; none if the rule is off."""
        if not self.settings.remove_repeated_lines:
            return {}
        found: dict[str, frozenset[str]] = {}
        before = TEXT_RULES[: TEXT_RULES.index("remove_repeated_lines")]
        report = self._reporter(job, _("Looking for repeated lines"))
        for source in self.sources:
            cleaner, lines = Cleaner(self.settings, only=before), RepeatedLineFinder()
            for chunk in read_chunks(self.folder, source):
                lines.add(cleaner.feed(chunk.text, chunk.ends), chunk.ends)
                report(len(chunk.text))
            found[source.name] = lines.patterns()
        return found

    def _filter(self, document_filter: DocumentFilter, repeated: dict[str, frozenset[str]], job: Job) -> FilterResult:
        report = self._reporter(job, _("Reading the texts"))
        for source in self.sources:
            cleaner = Cleaner(self.settings, repeated.get(source.name, frozenset()))
            for chunk in read_verified(self.folder, source):
                document_filter.add(cleaner.feed(chunk.text, chunk.ends), chunk.ends)
                report(len(chunk.text))
        return document_filter.verdicts(job)

    def _reporter(self, job: Job, task: str) -> Callable[[int], None]:
        return _reporter(job, task, sum(source.characters for source in self.sources))


_FIRST_SETTINGS = ("normalize_unicode", "remove_duplicates", "min_characters", "validation_share")
"""Settings of the first version, which are part of every fingerprint."""


def _relevant_settings(settings: DataSettings) -> dict[str, object]:
    """The settings that affect the corpus. Later settings are included only if they have an effect.

    So the fingerprints of projects made before these settings existed stay valid.
    """
    relevant: dict[str, object] = {name: getattr(settings, name) for name in _FIRST_SETTINGS}
    for name in (
        "repair_mojibake",
        "remove_invisible",
        "remove_html",
        "remove_licence",
        "remove_repeated_lines",
        "tidy_spaces",
    ):
        if getattr(settings, name):
            relevant[name] = True
    if not settings.remove_controls:
        relevant["remove_controls"] = False
    if settings.max_characters:
        relevant["max_characters"] = settings.max_characters
    if settings.languages:
        relevant["languages"] = sorted(set(settings.languages))
    if settings.remove_near_duplicates:
        relevant["near_duplicates"] = settings.near_duplicate_similarity
    return relevant


def _nothing_left(result: FilterResult, settings: DataSettings) -> DataError:
    documents, short = len(result.verdicts), result.count(Verdict.TOO_SHORT)
    if short == documents:
        return DataError(
            _("No document is left: all {documents} are shorter than {limit} characters.").format(
                documents=number(documents), limit=number(max(1, settings.min_characters))
            ),
            _("Add longer texts, or lower “min_characters”."),
        )
    return DataError(
        _("No document is left: of {documents}, {short} too short, {long} too long, {other} in another "
          "language.").format(documents=number(documents), short=number(short),
                              long=number(result.count(Verdict.TOO_LONG)),
                              other=number(result.count(Verdict.OTHER_LANGUAGE))),
        _("Add other texts, or change the cleaning rules: “llm-studio clean” shows what each one removes."),
    )  # fmt: skip


def _scan_units(texts: "_KeptTexts", size: int, total: int, job: Job) -> TextStats:
    """The hash and length of each unit of the kept documents."""
    report = _reporter(job, _("Cutting the long texts"), total)
    writer = TextStatsWriter()
    for _source, text, _last in texts.units(size):
        writer.add(text, True)
        report(len(text))
    return writer.stats()


def _reporter(job: Job, task: str, total: int) -> Callable[[int], None]:
    """Return a function to call with the number of characters read: it reports progress and raises Cancelled."""
    done = reported = 0

    def read(characters: int) -> None:
        nonlocal done, reported
        job.check()
        done += characters
        if done - reported >= _REPORT_CHARACTERS or reported == 0:
            reported = done
            job.report(Progress(task, done, total, _("characters")))

    return read


# --- Reading ----------------------------------------------------------------------------------------------------

_SENTENCE_END = re.compile(r"""[.!?…]+(?:\s?[»”"’')\]])*(?=[ \t\n])""")


@dataclass(frozen=True, eq=False)
class _KeptTexts:
    """The cleaned texts of the kept documents."""

    folder: Path
    sources: tuple[Source, ...]
    settings: DataSettings
    repeated: dict[str, frozenset[str]]
    kept: DocumentMask

    def spans(self, selected: NDArray[np.bool_]) -> Iterator[TextSpan]:
        """The selected documents, cleaned. Raises DataError if the number of documents has changed."""
        flags, count, document = selected.tobytes() + b"\0", len(selected), 0
        for source in self.sources:
            cleaner = Cleaner(self.settings, self.repeated.get(source.name, frozenset()))
            for chunk in read_chunks(self.folder, source):
                if flags[document]:
                    yield TextSpan(source.name, cleaner.feed(chunk.text, chunk.ends), chunk.ends)
                if chunk.ends:
                    document += 1
                    if document > count:
                        raise _changed()
        if document != count:
            raise _changed()

    def units(self, size: int) -> Iterator[tuple[str, str, bool]]:
        """(source, text, whether the document ends) of each unit of the kept documents."""
        pending, conversations = "", frozenset(source.name for source in self.sources if source.conversations)
        for span in self.spans(self.kept.mask()):
            text, start = pending + span.text, 0
            while len(text) - start >= 2 * size:
                cut = unit_end(text, start, size, span.source in conversations)
                yield span.source, text[start:cut], False
                start = cut
            pending = text[start:]
            if span.ends:
                yield span.source, pending, True
                pending = ""


def unit_end(text: str, start: int, size: int, conversation: bool = False) -> int:
    """The end of a unit of about `size` characters that starts at `start`; `text` must have twice as many from there.

    It is at a blank line, otherwise at the end of a line, a sentence or a word, always before the white space; in a
    conversation before a question, if there is one.
    """
    low, aim, high = start + size // 2, start + size, start + size * 3 // 2
    if conversation:
        question = text.rfind(USER, low, aim)
        question = text.find(USER, aim, high) if question < 0 else question
        if question > low:
            return question
    for mark in ("\n\n", "\n"):
        position = text.rfind(mark, low, aim)
        if position < 0:
            position = text.find(mark, aim, high)
        cut = white_space_start(text, start, position) if position >= 0 else start
        if cut >= low:
            return cut
    sentence = _SENTENCE_END.search(text, aim, high) or _SENTENCE_END.search(text, low, high)
    if sentence is not None:
        return sentence.end()
    return safe_cut(text, start, aim)


def _changed() -> DataError:
    return DataError(_("The texts changed while they were being read."), _("Start again."))


@dataclass(frozen=True, eq=False)
class CorpusPlan:
    """The result of a scan of the corpus: which documents are kept, and the split of each. Small; can be pickled.

    `documents` and `characters` count what is kept, `removed` the other documents. `cut`: documents were cut to have
    enough validation text.
    """

    documents: int
    removed: dict[Verdict, int]
    characters: int
    train_characters: int
    validation_characters: int
    cut: bool
    _kept: _KeptTexts
    _validation: DocumentMask
    _size: int

    @property
    def left_out(self) -> dict[str, int]:
        """Number of documents left out, by reason: the names of the verdicts in lower case."""
        return {verdict.name.lower(): count for verdict, count in self.removed.items()}

    @property
    def duplicates(self) -> int:
        """Documents left out because an equal one is kept."""
        return self.removed[Verdict.DUPLICATE]

    @property
    def too_short(self) -> int:
        """Documents left out because they are too short."""
        return self.removed[Verdict.TOO_SHORT]

    @property
    def conversations(self) -> frozenset[str]:
        """The names of the sources whose texts are conversations."""
        return frozenset(source.name for source in self._kept.sources if source.conversations)

    def whole_documents(self) -> Iterator[TextSpan]:
        """All kept documents, uncut, in the order of the sources."""
        return self._kept.spans(self._kept.kept.mask())

    def texts(self, split: Split) -> Iterator[TextSpan]:
        """The texts of one split, in the order of the sources. Raises DataError if they have changed since the scan."""
        validation = self._validation.mask()
        in_split = validation if split == "validation" else ~validation
        if self.cut:
            yield from self._units(in_split)
            return
        selected = self._kept.kept.mask()
        selected[selected] = in_split
        for span in self._kept.spans(selected):
            if span.text or span.ends:
                yield span

    def _units(self, selected: NDArray[np.bool_]) -> Iterator[TextSpan]:
        """Neighbouring units of one document are one text, which ends where a unit of the other split begins."""
        flags, count = selected.tobytes() + b"\0", len(selected)
        unit = 0
        for source, text, last in self._kept.units(self._size):
            if unit >= count:
                raise _changed()
            if flags[unit]:
                yield TextSpan(source, text, last or not flags[unit + 1])
            unit += 1
        if unit != count:
            raise _changed()

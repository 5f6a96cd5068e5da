"""The corpus: one cleaned stream of documents, read alike by the tokenizer and by the tokens.

A scan decides which documents are kept and on which side each is, from the texts alone (choosing.py): the same
whatever the order of the sources, and the same for equal texts. Where too little would be kept aside for
validation (one novel is one document), long documents are cut into units at paragraph breaks, and it is the
units that are shared out.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llm_studio.config import DataSettings
from llm_studio.data.chunks import safe_cut, white_space_start
from llm_studio.data.cleaning import TEXT_RULES, Cleaner
from llm_studio.data.cleaning.lines import RepeatedLines
from llm_studio.data.corpus.selection import DocumentFilter, FilterResult, Verdict, draw, too_little
from llm_studio.data.corpus.text_stats import Choice, TextStats, TextStatsWriter
from llm_studio.data.sources.conversations import USER
from llm_studio.data.sources.manifest import Source
from llm_studio.data.sources.store import list_sources, read_chunks
from llm_studio.errors import DataError
from llm_studio.events import Progress
from llm_studio.files import fingerprint
from llm_studio.i18n import _, number
from llm_studio.jobs import Job

Side = Literal["train", "validation"]

LONGEST_UNIT = 8_000
SHORTEST_UNIT = 400
"""Characters aimed at when a document is cut. Units are from half to twice as long; shorter documents stay whole."""
_UNITS_WANTED = 5

_REPORT_EVERY = 4_000_000


@dataclass(frozen=True, slots=True)
class TextSpan:
    """Consecutive stretches until `ends` are one text, which <|endoftext|> follows."""

    source: str
    text: str
    ends: bool


class Corpus:
    """All documents of a project. Making one reads only the manifests of its sources."""

    def __init__(self, folder: Path, settings: DataSettings) -> None:
        self.folder = folder
        self.settings = settings
        self.sources: list[Source] = list_sources(folder)

    def fingerprint(self) -> str:
        """Changes with the content or the name of a source and with the settings that matter."""
        told = [(source.name, source.sha256, *(["chat"] if source.conversations else [])) for source in self.sources]
        return fingerprint(told, _that_matter(self.settings))

    def plan(self, job: Job) -> "Plan":
        """Read all texts, once more to find repeated lines or where documents must be cut, and decide which are kept
        and on which side.

        Raises DataError where nothing is left, or nothing can be kept aside.
        """
        if not self.sources:
            raise DataError(_("This project has no texts yet."), _("Add some first."))
        repeated = self.repeated_lines(job)
        with DocumentFilter(self.settings) as judge, TextStatsWriter() as cut_texts:
            judged = self._judged(judge, repeated, job)
            texts = _Texts(self.folder, tuple(self.sources), self.settings, repeated, Choice.of(judged.kept))
            return self._shared_out(judged, texts, cut_texts, job)

    def _shared_out(self, judged: FilterResult, texts: "_Texts", scale: TextStatsWriter, job: Job) -> "Plan":
        """The plan: which of the texts that are kept are for validation. `scale` takes units where they are cut."""
        kept = judged.kept
        if not kept.any():
            raise _nothing_left(judged, self.settings)
        share = self.settings.validation_share
        units = judged.measures.only(kept)
        validation = draw(units, share)
        size = max(SHORTEST_UNIT, min(LONGEST_UNIT, int(units.total * share / _UNITS_WANTED)))
        cut = too_little(units, validation, share) and units.longest >= 2 * size
        if cut:
            units = _scan_units(texts, size, units.total, scale, job)
            validation = draw(units, share)
        if not validation.any():
            raise DataError(
                _(
                    "Nothing can be kept aside for validation: the texts are one piece of {characters} characters."
                ).format(characters=number(units.total)),
                _("Add more text: a few pages are the least, a megabyte is a good start."),
            )
        removed = {verdict: judged.count(verdict) for verdict in Verdict if verdict is not Verdict.KEPT}
        aside = units.characters(validation)
        return Plan(len(judged.verdicts) - sum(removed.values()), removed, units.total, units.total - aside, aside, cut,
                    texts, Choice.of(validation), size)  # fmt: skip

    def repeated_lines(self, job: Job) -> dict[str, frozenset[str]]:
        """The patterns of the repeated lines of each source; none where they are not to be removed."""
        if not self.settings.remove_repeated_lines:
            return {}
        found: dict[str, frozenset[str]] = {}
        before = TEXT_RULES[: TEXT_RULES.index("remove_repeated_lines")]
        report = self._reporter(job, _("Looking for repeated lines"))
        for source in self.sources:
            cleaner, lines = Cleaner(self.settings, only=before), RepeatedLines()
            for piece in read_chunks(self.folder, source):
                lines.add(cleaner.feed(piece.text, piece.ends), piece.ends)
                report(len(piece.text))
            found[source.name] = lines.found()
        return found

    def _judged(self, judge: DocumentFilter, repeated: dict[str, frozenset[str]], job: Job) -> FilterResult:
        report = self._reporter(job, _("Reading the texts"))
        for source in self.sources:
            cleaner = Cleaner(self.settings, repeated.get(source.name, frozenset()))
            for piece in read_chunks(self.folder, source):
                judge.add(cleaner.feed(piece.text, piece.ends), piece.ends)
                report(len(piece.text))
        return judge.verdicts(job)

    def _reporter(self, job: Job, task: str) -> Callable[[int], None]:
        return _reporter(job, task, sum(source.characters for source in self.sources))


_SINCE_THE_BEGINNING = ("normalize_unicode", "remove_duplicates", "min_characters", "validation_share")
"""Settings that were in each fingerprint before there were others."""


def _that_matter(settings: DataSettings) -> dict[str, object]:
    """The settings by which the corpus would be another. Those that came later count where they do something."""
    matter: dict[str, object] = {name: getattr(settings, name) for name in _SINCE_THE_BEGINNING}
    for name in ("remove_invisible", "remove_html", "remove_repeated_lines", "tidy_spaces"):
        if getattr(settings, name):
            matter[name] = True
    if not settings.remove_controls:
        matter["remove_controls"] = False
    if settings.max_characters:
        matter["max_characters"] = settings.max_characters
    if settings.languages:
        matter["languages"] = sorted(set(settings.languages))
    if settings.remove_near_duplicates:
        matter["near_duplicates"] = settings.near_duplicate_similarity
    return matter


def _nothing_left(judged: FilterResult, settings: DataSettings) -> DataError:
    documents, short = len(judged.verdicts), judged.count(Verdict.TOO_SHORT)
    if short == documents:
        return DataError(
            _("Nothing is left: all {documents} documents are shorter than {limit} characters.").format(
                documents=number(documents), limit=number(max(1, settings.min_characters))
            ),
            _("Add longer texts, or lower “min_characters”."),
        )
    return DataError(
        _("Nothing is left: of {documents} documents {short} are too short, {long} too long and {other} in another "
          "language.").format(documents=number(documents), short=number(short),
                              long=number(judged.count(Verdict.TOO_LONG)),
                              other=number(judged.count(Verdict.OTHER_LANGUAGE))),
        _("Add other texts, or change the rules of cleaning: “llm-studio clean” shows what each removes."),
    )  # fmt: skip


def _scan_units(texts: "_Texts", size: int, total: int, scale: TextStatsWriter, job: Job) -> TextStats:
    """The hash and length of each unit of the kept documents."""
    report = _reporter(job, _("Cutting the long texts"), total)
    for _source, text, _last in texts.units(size):
        scale.add(text, True)
        report(len(text))
    return scale.measures()


def _reporter(job: Job, task: str, total: int) -> Callable[[int], None]:
    """A function to be told the characters that were read: it reports now and then, and raises Cancelled."""
    done = reported = 0

    def read(characters: int) -> None:
        nonlocal done, reported
        job.check()
        done += characters
        if done - reported >= _REPORT_EVERY or reported == 0:
            reported = done
            job.report(Progress(task, done, total, _("characters")))

    return read


# --- Reading ----------------------------------------------------------------------------------------------------

_SENTENCE_END = re.compile(r"""[.!?…]+(?:\s?[»”"’')\]])*(?=[ \t\n])""")


@dataclass(frozen=True, eq=False)
class _Texts:
    """The cleaned texts of the documents that are kept."""

    folder: Path
    sources: tuple[Source, ...]
    settings: DataSettings
    repeated: dict[str, frozenset[str]]
    kept: Choice

    def pieces(self, chosen: NDArray[np.bool_]) -> Iterator[TextSpan]:
        """The pieces of the chosen documents, cleaned. Raises DataError if there are not as many as expected."""
        choice, count, document = chosen.tobytes() + b"\0", len(chosen), 0
        for source in self.sources:
            cleaner = Cleaner(self.settings, self.repeated.get(source.name, frozenset()))
            for piece in read_chunks(self.folder, source):
                if choice[document]:
                    yield TextSpan(source.name, cleaner.feed(piece.text, piece.ends), piece.ends)
                if piece.ends:
                    document += 1
                    if document > count:
                        raise _changed()
        if document != count:
            raise _changed()

    def units(self, size: int) -> Iterator[tuple[str, str, bool]]:
        """(source, text, whether its document ends) of each unit of the kept documents."""
        waiting, conversations = "", frozenset(source.name for source in self.sources if source.conversations)
        for piece in self.pieces(self.kept.mask()):
            text, start = waiting + piece.text, 0
            talks = piece.source in conversations
            while len(text) - start >= 2 * size:
                cut = unit_end(text, start, size, talks)
                yield piece.source, text[start:cut], False
                start = cut
            waiting = text[start:]
            if piece.ends:
                yield piece.source, waiting, True
                waiting = ""


def unit_end(text: str, start: int, size: int, conversation: bool = False) -> int:
    """Where a unit of about `size` characters that begins at `start` ends; at least twice as many must be there.

    At a blank line, else at the end of a line, of a sentence, of a word: each time before the white space. In a
    conversation before a question, where there is one.
    """
    low, aim, high = start + size // 2, start + size, start + size * 3 // 2
    if conversation:
        question = text.rfind(USER, low, aim)
        question = text.find(USER, aim, high) if question < 0 else question
        if question > low:
            return question
    for mark in ("\n\n", "\n"):
        place = text.rfind(mark, low, aim)
        if place < 0:
            place = text.find(mark, aim, high)
        cut = white_space_start(text, start, place) if place >= 0 else start
        if cut >= low:
            return cut
    sentence = _SENTENCE_END.search(text, aim, high) or _SENTENCE_END.search(text, low, high)
    if sentence is not None:
        return sentence.end()
    return safe_cut(text, start, aim)


def _changed() -> DataError:
    return DataError(_("The texts changed while they were read."), _("Start again."))


@dataclass(frozen=True, eq=False)
class Plan:
    """What a scan of the corpus found: which documents are kept, and the side of each. Small; can be pickled.

    `documents` and `characters` are of what is kept, `removed` counts the other documents. `cut`: documents were cut to
    have enough for validation.
    """

    documents: int
    removed: dict[Verdict, int]
    characters: int
    train_characters: int
    validation_characters: int
    cut: bool
    _kept: _Texts
    _validation: Choice
    _size: int

    @property
    def left_out(self) -> dict[str, int]:
        """How many documents are left out, by reason: the names of the verdicts, in small letters."""
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

    def documents_whole(self) -> Iterator[TextSpan]:
        """The documents that are kept, both sides of them and none cut, in the order of the sources."""
        return self._kept.pieces(self._kept.kept.mask())

    def texts(self, side: Side) -> Iterator[TextSpan]:
        """The texts of one side, in the order of the sources. Raises DataError if they have changed since the scan."""
        aside = self._validation.mask()
        wanted = aside if side == "validation" else ~aside
        if self.cut:
            yield from self._units(wanted)
            return
        chosen = self._kept.kept.mask()
        chosen[chosen] = wanted
        for stretch in self._kept.pieces(chosen):
            if stretch.text or stretch.ends:
                yield stretch

    def _units(self, wanted: NDArray[np.bool_]) -> Iterator[TextSpan]:
        """A text goes on over neighbouring units of one document, and ends where the other side begins."""
        choice, count = wanted.tobytes() + b"\0", len(wanted)
        unit = 0
        for source, text, last in self._kept.units(self._size):
            if unit >= count:
                raise _changed()
            if choice[unit]:
                yield TextSpan(source, text, last or not choice[unit + 1])
            unit += 1
        if unit != count:
            raise _changed()

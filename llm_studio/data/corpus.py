"""The corpus: one cleaned stream of documents, read alike by the tokenizer and by the tokens.

A scan decides which documents are kept and on which side each is, from hashes of the texts alone: the same
whatever the order of the sources, and the same for equal texts. Where too little would be kept aside for
validation (one novel is one document), long documents are cut into units at paragraph breaks, and it is the
units that are shared out.
"""

import hashlib
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llm_studio.config import DataSettings
from llm_studio.data.cleaning import clean
from llm_studio.data.raw import Source, before_white_space, read_pieces, safe_cut, sources
from llm_studio.errors import DataError
from llm_studio.events import Progress
from llm_studio.files import fingerprint
from llm_studio.i18n import _, number
from llm_studio.jobs import Job

Side = Literal["train", "validation"]

LEAST_VALIDATION = 16_384
"""Characters wanted for validation: about eight contexts of 512 tokens."""
LONGEST_UNIT = 8_000
SHORTEST_UNIT = 400
"""Characters aimed at when a document is cut. Units are from half to twice as long; shorter documents stay whole."""
_UNITS_WANTED = 5
_REPORT_EVERY = 4_000_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive stretches until `ends` are one text, which <|endoftext|> follows."""

    source: str
    text: str
    ends: bool


class Corpus:
    """All documents of a project. Making one reads only the manifests of its sources."""

    def __init__(self, folder: Path, settings: DataSettings) -> None:
        self.folder = folder
        self.settings = settings
        self.sources: list[Source] = sources(folder)

    def fingerprint(self) -> str:
        """Changes with the content or the name of a source and with the settings, but for the weights in training."""
        told = [(source.name, source.sha256, *(["chat"] if source.conversations else [])) for source in self.sources]
        return fingerprint(told, self.settings.model_dump(exclude={"weights"}))

    def plan(self, job: Job) -> "Plan":
        """Read all texts, twice where documents must be cut, and decide which are kept and on which side.

        Raises DataError where nothing is left, or nothing can be kept aside.
        """
        if not self.sources:
            raise DataError(_("This project has no texts yet."), _("Add some first."))
        share, limit = self.settings.validation_share, max(1, self.settings.min_characters)
        documents = self._scan(job)
        kept, duplicates, too_short = _kept(documents, limit, self.settings.remove_duplicates)
        texts = _Texts(self.folder, tuple(self.sources), self.settings, kept)
        if not kept.any():
            raise DataError(
                _("Nothing is left: all {documents} documents are shorter than {limit} characters.").format(
                    documents=number(len(kept)), limit=number(limit)
                ),
                _("Add longer texts, or lower “min_characters”."),
            )
        units = documents.only(kept)
        validation = _draw(units, share)
        size = max(SHORTEST_UNIT, min(LONGEST_UNIT, int(units.total * share / _UNITS_WANTED)))
        cut = _too_little(units, validation, share) and int(units.lengths.max()) >= 2 * size
        if cut:
            units = _scan_units(texts, size, units.total, job)
            validation = _draw(units, share)
        if not validation.any():
            raise DataError(
                _(
                    "Nothing can be kept aside for validation: the texts are one piece of {characters} characters."
                ).format(characters=number(units.total)),
                _("Add more text: a few pages are the least, a megabyte is a good start."),
            )
        aside = int(units.lengths[validation].sum(dtype=np.int64))
        return Plan(int(kept.sum()), duplicates, too_short, units.total, units.total - aside, aside, cut,
                    texts, validation, size)  # fmt: skip

    def _scan(self, job: Job) -> "_Measures":
        """The hash and length of each document."""
        scale = _Scale()
        report = _reporter(job, _("Reading the texts"), sum(source.characters for source in self.sources))
        for source in self.sources:
            for piece in read_pieces(self.folder, source):
                scale.add(clean(piece.text, self.settings), piece.ends)
                report(len(piece.text))
        return scale.measures()


def _scan_units(texts: "_Texts", size: int, total: int, job: Job) -> "_Measures":
    """The hash and length of each unit of the kept documents."""
    scale = _Scale()
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


# --- Measuring and choosing -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Measures:
    """A 64-bit hash and a length in characters for each of many texts."""

    hashes: NDArray[np.uint64]
    lengths: NDArray[np.uint32]

    @property
    def total(self) -> int:
        return int(self.lengths.sum(dtype=np.int64))

    def only(self, chosen: NDArray[np.bool_]) -> "_Measures":
        return _Measures(self.hashes[chosen], self.lengths[chosen])


class _Scale:
    """Measures texts one by one, at twelve bytes for each."""

    def __init__(self) -> None:
        self._hashes = bytearray()
        self._lengths = array("I")
        self._open = hashlib.blake2b(digest_size=8)
        self._length = 0

    def add(self, text: str, ends: bool) -> None:
        self._open.update(text.encode())
        self._length += len(text)
        if ends:
            self._hashes += self._open.digest()
            self._lengths.append(min(self._length, 2**32 - 1))  # one so long is cut, and counted in units
            self._open = hashlib.blake2b(digest_size=8)
            self._length = 0

    def measures(self) -> _Measures:
        return _Measures(np.frombuffer(self._hashes, "<u8"), np.frombuffer(self._lengths, np.uint32))


def _kept(documents: _Measures, limit: int, unique: bool) -> tuple[NDArray[np.bool_], int, int]:
    """Which documents stay; how many are duplicates; how many are too short."""
    kept = documents.lengths >= limit
    too_short = len(kept) - int(kept.sum())
    if not unique:
        return kept, 0, too_short
    places = np.flatnonzero(kept)
    firsts = np.unique(documents.hashes[places], return_index=True)[1]
    kept[:] = False
    kept[places[firsts]] = True
    return kept, len(places) - len(firsts), too_short


def _draw(units: _Measures, share: float) -> NDArray[np.bool_]:
    """Which units are kept aside: in the order of their hashes each that still fits into `share` of all characters.

    Equal units stay together. Where none fits, the shortest is taken; where all are equal, none.
    """
    order = np.argsort(units.hashes, kind="stable")
    starts = np.flatnonzero(np.diff(units.hashes[order], prepend=~units.hashes[order[:1]]))
    aside = np.zeros(len(order), np.bool_)
    if len(starts) < 2:
        return aside
    lengths = np.add.reduceat(units.lengths[order], starts, dtype=np.int64)
    taken = _fill(lengths, int(units.total * share))
    if not taken.any():
        taken[lengths.argmin()] = True
    aside[order] = np.repeat(taken, np.diff(starts, append=len(order)))
    return aside


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


def _too_little(units: _Measures, validation: NDArray[np.bool_], share: float) -> bool:
    """Whether so little is kept aside that long documents should be cut."""
    aside = int(units.lengths[validation].sum(dtype=np.int64))
    return aside < max(LEAST_VALIDATION, min(0.01, share / 5) * units.total)


# --- Reading ----------------------------------------------------------------------------------------------------

_SENTENCE_END = re.compile(r"""[.!?…]+(?:\s?[»”"’')\]])*(?=[ \t\n])""")


@dataclass(frozen=True, eq=False)
class _Texts:
    """The cleaned texts of the documents that are kept."""

    folder: Path
    sources: tuple[Source, ...]
    settings: DataSettings
    kept: NDArray[np.bool_]

    def pieces(self, chosen: NDArray[np.bool_]) -> Iterator[Stretch]:
        """The pieces of the chosen documents, cleaned. Raises DataError if there are not as many as expected."""
        choice, count, document = chosen.tobytes() + b"\0", len(chosen), 0
        for source in self.sources:
            for piece in read_pieces(self.folder, source):
                if choice[document]:
                    yield Stretch(source.name, clean(piece.text, self.settings), piece.ends)
                if piece.ends:
                    document += 1
                    if document > count:
                        raise _changed()
        if document != count:
            raise _changed()

    def units(self, size: int) -> Iterator[tuple[str, str, bool]]:
        """(source, text, whether its document ends) of each unit of the kept documents."""
        waiting = ""
        for piece in self.pieces(self.kept):
            text, start = waiting + piece.text, 0
            while len(text) - start >= 2 * size:
                cut = unit_end(text, start, size)
                yield piece.source, text[start:cut], False
                start = cut
            waiting = text[start:]
            if piece.ends:
                yield piece.source, waiting, True
                waiting = ""


def unit_end(text: str, start: int, size: int) -> int:
    """Where a unit of about `size` characters that begins at `start` ends; at least twice as many must be there.

    At a blank line, else at the end of a line, of a sentence, of a word: each time before the white space.
    """
    low, aim, high = start + size // 2, start + size, start + size * 3 // 2
    for mark in ("\n\n", "\n"):
        place = text.rfind(mark, low, aim)
        if place < 0:
            place = text.find(mark, aim, high)
        cut = before_white_space(text, start, place) if place >= 0 else start
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

    `documents` and `characters` are of what is kept. `cut`: documents were cut to have enough for validation.
    """

    documents: int
    duplicates: int
    too_short: int
    characters: int
    train_characters: int
    validation_characters: int
    cut: bool
    _kept: _Texts
    _validation: NDArray[np.bool_]
    _size: int

    @property
    def conversations(self) -> frozenset[str]:
        """The names of the sources whose texts are conversations."""
        return frozenset(source.name for source in self._kept.sources if source.conversations)

    def documents_whole(self) -> Iterator[Stretch]:
        """The documents that are kept, both sides of them and none cut, in the order of the sources."""
        return self._kept.pieces(self._kept.kept)

    def texts(self, side: Side) -> Iterator[Stretch]:
        """The texts of one side, in the order of the sources. Raises DataError if they have changed since the scan."""
        wanted = self._validation if side == "validation" else ~self._validation
        if self.cut:
            yield from self._units(wanted)
            return
        chosen = self._kept.kept.copy()
        chosen[chosen] = wanted
        for stretch in self._kept.pieces(chosen):
            if stretch.text or stretch.ends:
                yield stretch

    def _units(self, wanted: NDArray[np.bool_]) -> Iterator[Stretch]:
        """A text goes on over neighbouring units of one document, and ends where the other side begins."""
        choice, count = wanted.tobytes() + b"\0", len(wanted)
        unit = 0
        for source, text, last in self._kept.units(self._size):
            if unit >= count:
                raise _changed()
            if choice[unit]:
                yield Stretch(source, text, last or not choice[unit + 1])
            unit += 1
        if unit != count:
            raise _changed()

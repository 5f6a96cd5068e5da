"""What a corpus is made of, measured in one pass: how long its documents are, their words, their languages.

Memory doesn't grow with the text: sixteen bytes for each document, and what word_counts.py says for the words.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llm_studio.data.corpus.languages import identify
from llm_studio.data.corpus.word_counts import WordCounts, words_of
from llm_studio.data.sources.conversations import without_markers
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.data.corpus.corpus import Plan, TextSpan

FREQUENT = 50
"""Words that are listed."""
_BARS = 24
_EXACT_LENGTH = 10_000
_REPORT_EVERY = 1_000_000
_SENTENCE_ENDS = str.maketrans(dict.fromkeys("!?…。！？", "."))


# --- How long documents are --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lengths:
    """How long the documents are, in characters: `counts[i]` of them from `edges[i]` to less than `edges[i + 1]`."""

    documents: int
    median: int
    shortest: int
    longest: int
    edges: tuple[int, ...]
    counts: tuple[int, ...]


def histogram(values: NDArray[np.int64], counts: NDArray[np.int64] | None = None) -> Lengths:
    """Of lengths, or of different lengths with how often each occurs. At least one; bars of equal width, or of widths
    that grow where some are very much longer than most.
    """
    counts = np.ones(len(values), np.int64) if counts is None else counts
    order = np.argsort(values, kind="stable")
    values, counts = values[order], counts[order]
    sums = np.cumsum(counts)
    total = int(sums[-1])
    middle = values[np.searchsorted(sums, [(total - 1) // 2, total // 2], side="right")]
    median, shortest, longest = int(middle.mean()), int(values[0]), int(values[-1])
    bars = max(1, min(_BARS, longest - shortest, 4 + total))
    if longest > 10 * max(median, 1):
        edges = np.geomspace(max(shortest, 1), longest + 1, bars + 1)
        edges[0] = shortest
    else:
        edges = np.linspace(shortest, longest + 1, bars + 1)
    edges = np.unique(edges.round().astype(np.int64))
    bars_counts = np.histogram(values, edges, weights=counts)[0].astype(np.int64)
    return Lengths(total, median, shortest, longest, tuple(edges.tolist()), tuple(bars_counts.tolist()))


def _rounded(length: int) -> int:
    """A length as it is counted: those above ten thousand to three digits, so that few differ."""
    if length < _EXACT_LENGTH:
        return length
    unit = 10 ** (len(str(length)) - 3)
    return round(length / unit) * unit


# --- The figures -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """Of a source or of the whole corpus, as cleaned.

    `distinct_words` is an estimate unless `distinct_exact`, and then the counts of `frequent` may be short by at most
    `frequent_error`. `duplicates` are equal to a document before, `near_duplicates` have the words of one before in
    the same order, with other capitals, punctuation or spaces. `languages`: characters of the documents in each, by
    its code, "" where it isn't sure. `word_length` is in letters, `sentence_length` in words.
    """

    documents: int
    characters: int
    words: int
    distinct_words: int
    distinct_exact: bool
    word_length: float
    sentence_length: float
    duplicates: int
    near_duplicates: int
    languages: tuple[tuple[str, int], ...]
    frequent: tuple[tuple[str, int], ...]
    frequent_error: int
    lengths: Lengths


@dataclass(frozen=True)
class Statistics:
    """Of the documents that cleaning keeps: together, and by source. The others are counted in `left_out`."""

    corpus: Figures
    sources: dict[str, Figures]
    left_out: dict[str, int]
    """How many documents cleaning leaves out, by the reason, as in `Plan.left_out`."""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> "Statistics":
        """The inverse of `to_json`. Raises KeyError, TypeError, ValueError."""
        sources = {str(name): _figures(content) for name, content in values["sources"].items()}
        return Statistics(_figures(values["corpus"]), sources, dict(values["left_out"]))


def _figures(values: dict[str, Any]) -> Figures:
    read: dict[str, Any] = dict(values)
    lengths: dict[str, Any] = dict(values["lengths"])
    for name in ("edges", "counts"):
        lengths[name] = tuple(map(int, lengths[name]))
    read["lengths"] = Lengths(**lengths)
    for name in ("languages", "frequent"):
        read[name] = tuple((str(a), int(b)) for a, b in values[name])
    return Figures(**read)


def measure(plan: "Plan", job: Job) -> Statistics:
    """Read all that cleaning keeps, once. Raises Cancelled."""
    whole, figures = _Meter(), dict[str, Figures]()
    done = told = 0
    # a source's stretches follow one another, so that no more than one is being measured
    for name, stretches in groupby(_worded(plan.documents_whole(), plan.conversations), key=itemgetter(0)):
        meter = _Meter()
        for _name, text, ends in stretches:
            job.check()
            meter.add(text, ends)
            done += len(text)
            if done - told >= _REPORT_EVERY or told == 0:
                told = done
                job.report(Progress(_("Counting words"), min(done, plan.characters), plan.characters, _("characters")))
        figures[name] = meter.figures()
        whole.merge(meter)
    return Statistics(whole.figures(), figures, plan.left_out)


def _worded(stretches: "Iterable[TextSpan]", conversations: frozenset[str]) -> Iterable[tuple[str, str, bool]]:
    for stretch in stretches:
        talks = stretch.source in conversations
        yield stretch.source, without_markers(stretch.text) if talks else stretch.text, stretch.ends


class _Meter:
    """Measures documents that come in pieces."""

    def __init__(self) -> None:
        self._words = WordCounts()
        self._characters = self._sentences = 0
        self._languages: Counter[str] = Counter()
        self._lengths: Counter[int] = Counter()
        self._texts, self._wordings = array("q"), array("q")
        """A hash of each document, and one of its words: of this process alone."""
        self._begin_document()

    def _begin_document(self) -> None:
        self._length = self._ends = 0
        self._language: str | None = None
        self._text_hash = self._wording_hash = 0

    def add(self, text: str, ends: bool) -> None:
        """Measure the next piece."""
        words = words_of(text)
        self._words.add(words)
        self._length += len(text)
        self._ends += _sentence_ends(text)
        self._text_hash = hash((self._text_hash, text))
        self._wording_hash = hash((self._wording_hash, tuple(words)))
        if self._language is None:
            self._language = identify(text)
        if ends:
            self._characters += self._length
            self._sentences += max(1, self._ends)
            self._languages[self._language] += self._length
            self._lengths[_rounded(self._length)] += 1
            self._texts.append(self._text_hash)
            self._wordings.append(self._wording_hash)
            self._begin_document()

    def merge(self, other: "_Meter") -> None:
        """Measure all that `other` has measured."""
        self._words.merge(other._words)
        self._characters += other._characters
        self._sentences += other._sentences
        self._languages.update(other._languages)
        self._lengths.update(other._lengths)
        self._texts.extend(other._texts)
        self._wordings.extend(other._wordings)

    def figures(self) -> Figures:
        """What was found; at least one document must have ended."""
        documents = len(self._texts)
        same_text, same_words = (documents - len(np.unique(np.frombuffer(hashes, np.int64)))
                                 for hashes in (self._texts, self._wordings))  # fmt: skip
        values, counts = (np.array(list(part), np.int64) for part in (self._lengths, self._lengths.values()))
        words = self._words
        return Figures(
            documents=documents,
            characters=self._characters,
            words=words.total,
            distinct_words=words.distinct,
            distinct_exact=words.exact,
            word_length=round(words.letters / max(words.total, 1), 3),
            sentence_length=round(words.total / max(self._sentences, 1), 3),
            duplicates=same_text,
            near_duplicates=max(0, same_words - same_text),
            languages=tuple(self._languages.most_common()),
            frequent=words.frequent(FREQUENT),
            frequent_error=words.error,
            lengths=histogram(values, counts),
        )


def _sentence_ends(text: str) -> int:
    """About how many sentences end in `text`: runs of marks that end one, before white space or the end."""
    marked = text if text.isascii() and "!" not in text and "?" not in text else text.translate(_SENTENCE_ENDS)
    return marked.count(". ") + marked.count(".\n") + marked.endswith(".")

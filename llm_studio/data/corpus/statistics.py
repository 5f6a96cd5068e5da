"""Statistics of a corpus, measured in one pass: the lengths of its documents, their words and their languages.

Memory use: sixteen bytes for each document, and a bounded table of words (word_counts.py).
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
from llm_studio.records import Amount, Count

if TYPE_CHECKING:
    from llm_studio.data.corpus.corpus import CorpusPlan, TextSpan

FREQUENT = 50
"""Number of frequent words that are listed."""
_BARS = 24
_EXACT_LENGTH = 10_000
_REPORT_CHARACTERS = 1_000_000
_SENTENCE_ENDS = str.maketrans(dict.fromkeys("!?…。！？", "."))


# --- Lengths -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lengths:
    """A histogram of document lengths in characters: `counts[i]` from `edges[i]` to less than `edges[i + 1]`."""

    documents: Count
    median: Count
    shortest: Count
    longest: Count
    edges: tuple[Count, ...]
    counts: tuple[Count, ...]


def histogram(values: NDArray[np.int64], counts: NDArray[np.int64] | None = None) -> Lengths:
    """The histogram of lengths, at least one, or of distinct lengths with their counts.

    The bars have equal widths, or growing ones if some documents are much longer than most.
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
    """A length above ten thousand is rounded to three digits, so that there are few distinct ones."""
    if length < _EXACT_LENGTH:
        return length
    unit = 10 ** (len(str(length)) - 3)
    return round(length / unit) * unit


# --- Figures -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """The figures of a source or of the whole corpus, after cleaning.

    `distinct_words` is an estimate unless `distinct_exact`; then the counts in `frequent` may be too small by at most
    `frequent_error`. `duplicates` are equal to an earlier document; `near_duplicates` have the same words in the same
    order as another, with different capitals, punctuation or spaces. `languages`: characters of the documents in each
    language, by its code, "" if uncertain. `word_length` is in letters, `sentence_length` in words.
    """

    documents: Count
    characters: Count
    words: Count
    distinct_words: Count
    distinct_exact: bool
    word_length: Amount
    sentence_length: Amount
    duplicates: Count
    near_duplicates: Count
    languages: tuple[tuple[str, Count], ...]
    frequent: tuple[tuple[str, Count], ...]
    frequent_error: Count
    lengths: Lengths


@dataclass(frozen=True)
class Statistics:
    """The figures of the documents that cleaning keeps: all together, and by source. `left_out` counts the others."""

    corpus: Figures
    sources: dict[str, Figures]
    left_out: dict[str, Count]
    """Number of documents that cleaning leaves out, by reason, as in `CorpusPlan.left_out`."""

    def to_json(self) -> dict[str, Any]:
        """The statistics as plain values."""
        return asdict(self)


def measure(plan: "CorpusPlan", job: Job) -> Statistics:
    """Measure the documents that cleaning keeps, in one pass. Raises Cancelled."""
    whole, figures = _Meter(), dict[str, Figures]()
    done = reported = 0
    # the spans of a source are contiguous, so that only one meter is needed at a time
    for name, spans in groupby(_without_markers(plan.whole_documents(), plan.conversations), key=itemgetter(0)):
        meter = _Meter()
        for _name, text, ends in spans:
            job.check()
            meter.add(text, ends)
            done += len(text)
            if done - reported >= _REPORT_CHARACTERS or reported == 0:
                reported = done
                job.report(Progress(_("Counting words"), min(done, plan.characters), plan.characters, _("characters")))
        figures[name] = meter.figures()
        whole.merge(meter)
    return Statistics(whole.figures(), figures, plan.left_out)


def _without_markers(spans: "Iterable[TextSpan]", conversations: frozenset[str]) -> Iterable[tuple[str, str, bool]]:
    for span in spans:
        text = without_markers(span.text) if span.source in conversations else span.text
        yield span.source, text, span.ends


class _Meter:
    """Measures documents that come in chunks."""

    def __init__(self) -> None:
        self._words = WordCounts()
        self._characters = self._sentences = 0
        self._languages: Counter[str] = Counter()
        self._lengths: Counter[int] = Counter()
        self._texts, self._wordings = array("q"), array("q")
        """A hash of each document, and one of its words; they are valid in this process only."""
        self._start_document()

    def _start_document(self) -> None:
        self._length = self._ends = 0
        self._language: str | None = None
        self._text_hash = self._wording_hash = 0

    def add(self, text: str, ends: bool) -> None:
        """Measure the next chunk."""
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
            self._start_document()

    def merge(self, other: "_Meter") -> None:
        """Add what `other` has measured."""
        self._words.merge(other._words)
        self._characters += other._characters
        self._sentences += other._sentences
        self._languages.update(other._languages)
        self._lengths.update(other._lengths)
        self._texts.extend(other._texts)
        self._wordings.extend(other._wordings)

    def figures(self) -> Figures:
        """The figures; at least one document must have ended."""
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
    """The approximate number of sentences that end in `text`: terminal marks before white space or the end."""
    marked = text if text.isascii() and "!" not in text and "?" not in text else text.translate(_SENTENCE_ENDS)
    return marked.count(". ") + marked.count(".\n") + marked.endswith(".")

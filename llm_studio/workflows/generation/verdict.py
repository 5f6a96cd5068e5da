"""A verdict on what a model writes, from statistics of its texts compared with those of held-out documents.

letters    Most of what it writes are not words of the training texts.
words      Nearly all are words, but in random order, or the text is a loop.
sentences  Word sequences and sentence lengths are like those of the training texts, but the end of a text has little to
           do with its beginning.
stories    Names and things from the beginning occur again later in the text, nearly as often as in the documents.

No statistic means much by itself: a corpus of poems has few full stops, a small corpus few known pairs of words. So
each is compared with the same statistic of held-out documents of the same length.
"""

import math
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llm_studio.data.corpus.words import letter_words
from llm_studio.i18n import _

if TYPE_CHECKING:
    from llm_studio.data.corpus.occurrences import Occurrences

Verdict = Literal["letters", "words", "sentences", "stories"]

_WORDS_REAL, _SENTENCES_REAL = 0.8, 0.96
"""Minimum rates of real words for "words" and for "sentences", relative to that of held-out documents. Even randomly
drawn tokens form real words in more than half of the places."""
_PAIRS, _TRIPLES = 0.75, 0.4
"""The same for known sequences of two and three words, for "sentences"."""
_SENTENCES = 3
"""Sentences may be shorter or longer by at most this factor."""
_REPEATED = 0.3
"""A text is a loop if the fraction of repeated 4-grams exceeds that of held-out documents by this much."""
_COHESION, _LEAST_COHESION = 0.6, 0.02
_COMMON = 100
"""Number of most frequent words, which don't characterize the topic of a text."""
_COMPARED = (40, 120)
"""Minimum and maximum number of words of a text for which cohesion is measured."""
_MARKS = re.compile(r"[.!?…。！？]+")


@dataclass(frozen=True)
class WritingFigures:
    """Statistics of some texts. All but the first are fractions, 0 to 1.

    `real_words`: words that occur in the training texts. `pairs`, `triples`: sequences of two and three words that do.
    `copied`: words inside sequences of eight that do. `repeated`: sequences of four words that occurred earlier in
    the same text. `sentence_ends`: end-of-sentence marks per word. `cohesion`: how much more often a rare word of the
    second half of a text occurs in its own first half than in that of another text, minus the standard error of the
    difference, since a few such words are due to chance.
    """

    words: int
    real_words: float
    pairs: float
    triples: float
    copied: float
    repeated: float
    sentence_ends: float
    cohesion: float


def common_words(texts: Sequence[Sequence[str]]) -> frozenset[str]:
    """The most frequent words of held-out documents."""
    counts = Counter(word for words in texts for word in words)
    return frozenset(word for word, _count in counts.most_common(_COMMON))


def figures(texts: Sequence[str], known: "Occurrences", common: frozenset[str]) -> WritingFigures:
    """The statistics of these texts. `known`: what occurs in the training texts."""
    split = [letter_words(text) for text in texts]
    count = sum(map(len, split))
    ends = sum(len(_MARKS.findall(text)) for text in texts)
    return WritingFigures(
        words=count,
        real_words=known.known_words(split),
        pairs=known.known_sequences(split, 2),
        triples=known.known_sequences(split, 3),
        copied=known.copied(split),
        repeated=_repeated(split),
        sentence_ends=ends / count if count else 0.0,
        cohesion=_cohesion(split, common),
    )


def verdict_of(own: WritingFigures, held_out: WritingFigures) -> Verdict:
    """The verdict on the texts of a model, compared with held-out documents."""
    if not own.words or own.real_words < _WORDS_REAL * held_out.real_words:
        return "letters"
    looping = own.repeated > held_out.repeated + _REPEATED
    like_texts = own.real_words >= _SENTENCES_REAL * held_out.real_words
    like_texts &= own.pairs >= _PAIRS * held_out.pairs and own.triples >= _TRIPLES * held_out.triples
    if looping or not like_texts or not _has_sentences(own, held_out):
        return "words"
    coherent = own.cohesion >= max(_LEAST_COHESION, _COHESION * held_out.cohesion)
    return "stories" if coherent else "sentences"


def _has_sentences(own: WritingFigures, held_out: WritingFigures) -> bool:
    """Whether sentences are about as long as in held-out documents; True if those have no full stops."""
    if held_out.sentence_ends * _COMPARED[1] < 1:
        return True
    return held_out.sentence_ends / _SENTENCES <= own.sentence_ends <= held_out.sentence_ends * _SENTENCES


def _repeated(texts: Sequence[Sequence[str]]) -> float:
    total = again = 0
    for words in texts:
        sequences = [tuple(words[place : place + 4]) for place in range(len(words) - 3)]
        total, again = total + len(sequences), again + len(sequences) - len(set(sequences))
    return again / total if total else 0.0


def _cohesion(texts: Sequence[Sequence[str]], common: frozenset[str]) -> float:
    least, most = _COMPARED
    halves = [
        (words[: len(words) // 2], words[len(words) // 2 :])
        for words in (t[:most] for t in texts)
        if len(words) >= least
    ]
    if len(halves) < 2:
        return 0.0
    firsts = [set(first) for first, _second in halves]
    total = 0
    gains: list[float] = []
    for place, (_first, second) in enumerate(halves):
        rare = [word for word in second if word not in common]
        others = firsts[:place] + firsts[place + 1 :]
        within = sum(word in firsts[place] for word in rare)
        across = sum(word in first for word in rare for first in others) / len(others)
        total += len(rare)
        gains.append(within - across)
    error = statistics.stdev(gains) * math.sqrt(len(gains))
    return (sum(gains) - error) / total if total else 0.0


def sentences(verdict: Verdict, copies: bool) -> str:
    """The verdict for the user; `copies`: most of what the model writes is copied from the training texts."""
    text = {
        "letters": _("It writes letters: most of what it writes are not words yet."),
        "words": _("It writes words: most are real, but they do not form sentences yet."),
        "sentences": _("It writes sentences, but they do not yet tell one story."),
        "stories": _("It writes stories: sentences that belong together."),
    }[verdict]
    return text + " " + _("Most of it is copied word for word from the texts.") if copies else text

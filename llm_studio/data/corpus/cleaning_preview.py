"""What each rule of cleaning does to the corpus, before it is applied.

Each rule is measured on what the rules before it leave. A rule that is not set is measured too, to tell what it would
do, but its result goes no further. Duplicates are looked for among all documents; what the rules for texts do can be
estimated from a sample.
"""

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from llm_studio.config import DataSettings
from llm_studio.data.cleaning import TEXT_RULES, Cleaner
from llm_studio.data.cleaning.near_duplicates import NearDuplicate
from llm_studio.data.corpus.corpus import Corpus
from llm_studio.data.corpus.selection import DocumentFilter, FilterResult, Verdict, duplicates
from llm_studio.data.sources.manifest import Source
from llm_studio.data.sources.store import read_chunks, read_from
from llm_studio.events import CleaningExample, Progress, RuleMeasured
from llm_studio.i18n import _
from llm_studio.jobs import Job

EXAMPLES = 3
"""Shown of each rule."""
SNIPPET = 160
"""Characters of an example."""
_BEFORE = 40
"""Characters before a change that are shown."""
_REPORT_SECONDS = 0.5

DOCUMENT_RULES = {
    Verdict.TOO_SHORT: "min_characters",
    Verdict.TOO_LONG: "max_characters",
    Verdict.OTHER_LANGUAGE: "languages",
    Verdict.DUPLICATE: "remove_duplicates",
    Verdict.NEAR_DUPLICATE: "remove_near_duplicates",
}
"""The setting that leads to each verdict, in order."""


@dataclass(frozen=True)
class Preview:
    """What all rules do. `documents` and `characters` are of the texts as they came, the others of what is left."""

    documents: int
    characters: int
    kept_documents: int
    kept_characters: int
    sampled_documents: int
    rules: tuple[RuleMeasured, ...]


@dataclass
class _Effect:
    """What one rule has done so far."""

    rule: str
    on: bool
    removes: bool
    documents: int = 0
    characters: int = 0
    examples: list[CleaningExample] = field(default_factory=list[CleaningExample])

    def measured(self, scale: float, final: bool) -> RuleMeasured:
        """`scale`: documents there are for each that was looked at."""
        documents, characters = round(self.documents * scale), round(self.characters * scale)
        return RuleMeasured(self.rule, self.on, self.removes, documents, characters, scale > 1, final,
                            tuple(self.examples))  # fmt: skip


class _TextRule:
    """Applies one rule to the texts of one source and looks at what it does."""

    def __init__(self, effect: _Effect, settings: DataSettings, repeated: frozenset[str], source: str) -> None:
        self.effect = effect
        set_alone = settings.model_copy(update={effect.rule: True})
        self._cleaner = Cleaner(set_alone, repeated, only=(effect.rule,))
        self._source = source
        self._parts = 0
        self._sums = [0, 0]
        self._lengths = [0, 0]

    def feed(self, text: str, ends: bool, measure: bool) -> str:
        """The next part of a document, cleaned; `measure`: it counts."""
        out = self._cleaner.feed(text, ends)
        if measure:
            self._look(text, out, ends)
        return out

    def _look(self, text: str, out: str, ends: bool) -> None:
        if self._parts == 0 and len(self.effect.examples) < EXAMPLES and text != out:
            self._show(text, out)
        if self._parts == 0 and ends:
            changed, fewer = text != out, len(text) - len(out)
        else:  # what waits in the cleaner makes the parts differ
            for n, part in enumerate((text, out)):
                self._sums[n] = zlib.crc32(part.encode("utf-8", "surrogatepass"), self._sums[n])
                self._lengths[n] += len(part)
            self._parts += 1
            if not ends:
                return
            changed = self._sums[0] != self._sums[1]
            fewer = self._lengths[0] - self._lengths[1]
            self._parts, self._sums, self._lengths = 0, [0, 0], [0, 0]
        self.effect.documents += changed
        self.effect.characters += fewer

    def _show(self, text: str, out: str) -> None:
        place = first_difference(text, out)
        if place < len(out) or len(text) - len(out) < SNIPPET:  # not only something that waits
            start = max(0, place - _BEFORE)
            self.effect.examples.append(
                CleaningExample(self._source, text[start : start + SNIPPET], out[start : start + SNIPPET])
            )


def first_difference(left: str, right: str) -> int:
    """The first place where two texts differ, or the end of the shorter one."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class Previewer:
    """Measures the rules on all texts of a corpus."""

    def __init__(self, corpus: Corpus, job: Job, sample_characters: int | None) -> None:
        """Of `sample_characters`, if there are more, the effect of the rules for texts is estimated."""
        self._corpus, self._job, self._settings = corpus, job, corpus.settings
        total = sum(source.characters for source in corpus.sources)
        self._every = max(1, -(-total // sample_characters)) if sample_characters else 1
        self._total = total
        self._seen = self._sampled = self._read = 0
        self._counts: list[int] = []
        self._texts = [_Effect(name, getattr(self._settings, name), False) for name in TEXT_RULES]
        on = {Verdict.TOO_SHORT: True, Verdict.TOO_LONG: self._settings.max_characters > 0,
              Verdict.OTHER_LANGUAGE: bool(self._settings.languages),
              Verdict.DUPLICATE: self._settings.remove_duplicates,
              Verdict.NEAR_DUPLICATE: self._settings.remove_near_duplicates}  # fmt: skip
        self._documents = {verdict: _Effect(name, on[verdict], True) for verdict, name in DOCUMENT_RULES.items()}
        self._last_report = 0.0

    def run(self) -> Preview:
        """Read everything and measure. Raises Cancelled."""
        measured = {"remove_repeated_lines": True}
        looking = Corpus(self._corpus.folder, self._settings.model_copy(update=measured))
        self._repeated = looking.repeated_lines(self._job)
        with DocumentFilter(self._settings.model_copy(update={"remove_near_duplicates": True})) as judge:
            for source in self._corpus.sources:
                self._read_source(source, judge)
            judged = judge.alone()
            self._report(final=Verdict.OTHER_LANGUAGE)
            self._find_duplicates(judged, judge)
            kept = judged.kept
            characters = judged.measures.characters(kept)
        rules = self._report(final=Verdict.NEAR_DUPLICATE)
        return Preview(self._seen, self._total, int(kept.sum()), characters, self._sampled, tuple(rules))

    # --- Texts, and documents by themselves -------------------------------------------------------------------

    def _read_source(self, source: Source, judge: DocumentFilter) -> None:
        repeated = self._repeated.get(source.name, frozenset())
        rules = [_TextRule(effect, self._settings, repeated, source.name) for effect in self._texts]
        before, head, length = self._seen, "", 0
        for piece in read_chunks(self._corpus.folder, source):
            self._job.check()
            sampled = self._seen % self._every == 0
            text = piece.text
            for rule in rules:
                if rule.effect.on or sampled:
                    out = rule.feed(text, piece.ends, sampled)
                    text = out if rule.effect.on else text
            length += len(text)
            head = head if len(head) >= SNIPPET else (head + text)[:SNIPPET]
            verdict = judge.add(text, piece.ends)
            if verdict is not None:
                if verdict in self._documents:
                    self._removed(self._documents[verdict], length, CleaningExample(source.name, head, ""))
                self._seen += 1
                self._sampled += sampled
                head, length = "", 0
            self._tell(len(piece.text))
        self._counts.append(self._seen - before)

    @staticmethod
    def _removed(effect: _Effect, length: int, example: CleaningExample) -> None:
        effect.documents += 1
        effect.characters += length
        if len(effect.examples) < EXAMPLES:
            effect.examples.append(example)

    def _tell(self, characters: int) -> None:
        self._read += characters
        now = time.monotonic()
        if now - self._last_report >= _REPORT_SECONDS:
            self._last_report = now
            self._job.report(Progress(_("Trying the rules of cleaning"), self._read, self._total, _("characters")))
            self._report(final=None)

    def _report(self, final: Verdict | None) -> list[RuleMeasured]:
        """Tell what is known; the rules up to that of `final` are done."""
        scale = self._seen / max(self._sampled, 1) if self._every > 1 else 1.0
        rules = [effect.measured(max(scale, 1.0), final is not None) for effect in self._texts]
        rules += [effect.measured(1.0, final is not None and verdict <= final)
                  for verdict, effect in self._documents.items()]  # fmt: skip
        for rule in rules:
            self._job.report(rule)
        return rules

    # --- Documents beside others ------------------------------------------------------------------------------

    def _find_duplicates(self, judged: FilterResult, judge: DocumentFilter) -> None:
        effect = self._documents[Verdict.DUPLICATE]
        places = duplicates(judged.measures, judged.kept)
        self._count(effect, places, judged)
        effect.examples += [
            CleaningExample(source, text[:SNIPPET], "") for source, text in map(self._beginning, places[:EXAMPLES])
        ]
        if effect.on:
            judged.verdicts[places] = Verdict.DUPLICATE
        self._report(final=Verdict.DUPLICATE)
        effect = self._documents[Verdict.NEAR_DUPLICATE]
        pairs = judge.near_duplicates(judged, self._job)
        self._count(effect, np.array([pair.removed for pair in pairs], np.intp), judged)
        effect.examples += list(self._pairs(pairs))
        if effect.on:
            judged.verdicts[[pair.removed for pair in pairs]] = Verdict.NEAR_DUPLICATE

    @staticmethod
    def _count(effect: _Effect, places: NDArray[np.intp], judged: FilterResult) -> None:
        removed = np.zeros(len(judged.verdicts), np.bool_)
        removed[places] = True
        effect.documents, effect.characters = len(places), judged.measures.characters(removed)

    def _pairs(self, pairs: list[NearDuplicate]) -> Iterator[CleaningExample]:
        """The least similar pair, one in between and the most similar one, around their first difference."""
        pairs = sorted(pairs, key=lambda pair: pair.similarity)
        for place in sorted({0, len(pairs) // 2, len(pairs) - 1}) if pairs else ():
            source, removed = self._beginning(pairs[place].removed)
            _other, kept = self._beginning(pairs[place].kept)
            start = max(0, first_difference(removed, kept) - _BEFORE)
            yield CleaningExample(source, removed[start : start + SNIPPET], kept[start : start + SNIPPET])

    def _beginning(self, document: int) -> tuple[str, str]:
        """The source and the first part of a document, by its number in the corpus, cleaned."""
        document = int(document)
        for source, count in zip(self._corpus.sources, self._counts, strict=True):
            if document < count:
                cleaner = Cleaner(self._settings, self._repeated.get(source.name, frozenset()))
                for piece in read_from(self._corpus.folder, source, document):
                    self._job.check()
                    if (text := cleaner.feed(piece.text, piece.ends)) or piece.ends:
                        return source.name, text
            document -= count
        return "", ""

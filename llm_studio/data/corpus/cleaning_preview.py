"""Preview of the effect of each cleaning rule on the corpus.

Each rule is measured on the result of the rules before it. A rule that is off is measured too, to show what it would
do, but its result is discarded. Duplicates are searched among all documents; the effect of the rules for texts can be
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
from llm_studio.data.corpus.selection import DocumentFilter, FilterResult, Verdict, find_duplicates
from llm_studio.data.sources.manifest import Source
from llm_studio.data.sources.store import read_chunks, read_from
from llm_studio.events import CleaningExample, Progress, RuleMeasured
from llm_studio.i18n import _
from llm_studio.jobs import Job

EXAMPLES = 3
"""Number of examples for each rule."""
SNIPPET = 160
"""Length of an example, in characters."""
_CONTEXT = 40
"""Characters shown before a change."""
_REPORT_SECONDS = 0.5

DOCUMENT_RULES = {
    Verdict.TOO_SHORT: "min_characters",
    Verdict.TOO_LONG: "max_characters",
    Verdict.OTHER_LANGUAGE: "languages",
    Verdict.DUPLICATE: "remove_duplicates",
    Verdict.NEAR_DUPLICATE: "remove_near_duplicates",
}
"""The setting that causes each verdict, in order."""


@dataclass(frozen=True)
class CleaningPreview:
    """The effect of all rules. `documents` and `characters` count the original texts, the others what is left."""

    documents: int
    characters: int
    kept_documents: int
    kept_characters: int
    sampled_documents: int
    rules: tuple[RuleMeasured, ...]


@dataclass
class _Effect:
    """The effect of one rule so far."""

    rule: str
    on: bool
    removes: bool
    documents: int = 0
    characters: int = 0
    examples: list[CleaningExample] = field(default_factory=list[CleaningExample])

    def measured(self, scale: float, final: bool) -> RuleMeasured:
        """The event for this rule. `scale`: the number of documents for each one in the sample."""
        documents, characters = round(self.documents * scale), round(self.characters * scale)
        return RuleMeasured(self.rule, self.on, self.removes, documents, characters, scale > 1, final,
                            tuple(self.examples))  # fmt: skip


class _TextRule:
    """Applies one rule to the texts of one source and measures its effect."""

    def __init__(self, effect: _Effect, settings: DataSettings, repeated: frozenset[str], source: str) -> None:
        self.effect = effect
        enabled = settings.model_copy(update={effect.rule: True})
        self._cleaner = Cleaner(enabled, repeated, only=(effect.rule,))
        self._source = source
        self._chunks = 0
        self._sums = [0, 0]
        self._lengths = [0, 0]

    def feed(self, text: str, ends: bool, measure: bool) -> str:
        """Return the next chunk cleaned; `measure`: it is part of the sample."""
        out = self._cleaner.feed(text, ends)
        if measure:
            self._measure(text, out, ends)
        return out

    def _measure(self, text: str, out: str, ends: bool) -> None:
        if self._chunks == 0 and len(self.effect.examples) < EXAMPLES and text != out:
            self._add_example(text, out)
        if self._chunks == 0 and ends:
            changed, removed = text != out, len(text) - len(out)
        else:  # what the cleaner holds back makes the chunks differ: compare whole documents
            for n, chunk in enumerate((text, out)):
                self._sums[n] = zlib.crc32(chunk.encode("utf-8", "surrogatepass"), self._sums[n])
                self._lengths[n] += len(chunk)
            self._chunks += 1
            if not ends:
                return
            changed = self._sums[0] != self._sums[1]
            removed = self._lengths[0] - self._lengths[1]
            self._chunks, self._sums, self._lengths = 0, [0, 0], [0, 0]
        self.effect.documents += changed
        self.effect.characters += removed

    def _add_example(self, text: str, out: str) -> None:
        position = first_difference(text, out)
        if position < len(out) or len(text) - len(out) < SNIPPET:  # not only text that is held back
            start = max(0, position - _CONTEXT)
            self.effect.examples.append(
                CleaningExample(self._source, text[start : start + SNIPPET], out[start : start + SNIPPET])
            )


def first_difference(left: str, right: str) -> int:
    """The first position where two texts differ, or the end of the shorter one."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class CleaningPreviewer:
    """Measures the rules on all texts of a corpus."""

    def __init__(self, corpus: Corpus, job: Job, sample_characters: int | None) -> None:
        """The effect of the rules for texts is estimated from about `sample_characters`; None: measured on all."""
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

    def run(self) -> CleaningPreview:
        """Read everything and measure. Raises Cancelled."""
        with_repeated_lines = self._settings.model_copy(update={"remove_repeated_lines": True})
        self._repeated = Corpus(self._corpus.folder, with_repeated_lines).repeated_lines(self._job)
        with_near_duplicates = self._settings.model_copy(update={"remove_near_duplicates": True})
        with DocumentFilter(with_near_duplicates) as document_filter:
            for source in self._corpus.sources:
                self._read_source(source, document_filter)
            result = document_filter.single_verdicts()
            self._report(final=Verdict.OTHER_LANGUAGE)
            self._find_duplicates(result, document_filter)
            kept = result.kept
            characters = result.stats.characters(kept)
        rules = self._report(final=Verdict.NEAR_DUPLICATE)
        return CleaningPreview(self._seen, self._total, int(kept.sum()), characters, self._sampled, tuple(rules))

    # --- Texts and single documents ---------------------------------------------------------------------------

    def _read_source(self, source: Source, document_filter: DocumentFilter) -> None:
        repeated = self._repeated.get(source.name, frozenset())
        rules = [_TextRule(effect, self._settings, repeated, source.name) for effect in self._texts]
        before, head, length = self._seen, "", 0
        for chunk in read_chunks(self._corpus.folder, source):
            self._job.check()
            sampled = self._seen % self._every == 0
            text = chunk.text
            for rule in rules:
                if rule.effect.on or sampled:
                    out = rule.feed(text, chunk.ends, sampled)
                    text = out if rule.effect.on else text
            length += len(text)
            head = head if len(head) >= SNIPPET else (head + text)[:SNIPPET]
            verdict = document_filter.add(text, chunk.ends)
            if verdict is not None:
                if verdict in self._documents:
                    self._removed(self._documents[verdict], length, CleaningExample(source.name, head, ""))
                self._seen += 1
                self._sampled += sampled
                head, length = "", 0
            self._report_progress(len(chunk.text))
        self._counts.append(self._seen - before)

    @staticmethod
    def _removed(effect: _Effect, length: int, example: CleaningExample) -> None:
        effect.documents += 1
        effect.characters += length
        if len(effect.examples) < EXAMPLES:
            effect.examples.append(example)

    def _report_progress(self, characters: int) -> None:
        self._read += characters
        now = time.monotonic()
        if now - self._last_report >= _REPORT_SECONDS:
            self._last_report = now
            self._job.report(Progress(_("Trying the cleaning rules"), self._read, self._total, _("characters")))
            self._report(final=None)

    def _report(self, final: Verdict | None) -> list[RuleMeasured]:
        """Report what is known so far; the rules up to that of `final` are finished."""
        scale = self._seen / max(self._sampled, 1) if self._every > 1 else 1.0
        rules = [effect.measured(max(scale, 1.0), final is not None) for effect in self._texts]
        rules += [effect.measured(1.0, final is not None and verdict <= final)
                  for verdict, effect in self._documents.items()]  # fmt: skip
        for rule in rules:
            self._job.report(rule)
        return rules

    # --- Comparisons between documents ------------------------------------------------------------------------

    def _find_duplicates(self, result: FilterResult, document_filter: DocumentFilter) -> None:
        effect = self._documents[Verdict.DUPLICATE]
        documents = find_duplicates(result.stats, result.kept)
        self._count(effect, documents, result)
        effect.examples += [
            CleaningExample(source, text[:SNIPPET], "") for source, text in map(self._beginning, documents[:EXAMPLES])
        ]
        if effect.on:
            result.verdicts[documents] = Verdict.DUPLICATE
        self._report(final=Verdict.DUPLICATE)
        effect = self._documents[Verdict.NEAR_DUPLICATE]
        pairs = document_filter.near_duplicates(result, self._job)
        self._count(effect, np.array([pair.removed for pair in pairs], np.intp), result)
        effect.examples += list(self._pairs(pairs))
        if effect.on:
            result.verdicts[[pair.removed for pair in pairs]] = Verdict.NEAR_DUPLICATE

    @staticmethod
    def _count(effect: _Effect, documents: NDArray[np.intp], result: FilterResult) -> None:
        removed = np.zeros(len(result.verdicts), np.bool_)
        removed[documents] = True
        effect.documents, effect.characters = len(documents), result.stats.characters(removed)

    def _pairs(self, pairs: list[NearDuplicate]) -> Iterator[CleaningExample]:
        """The least similar pair, one in between and the most similar one, around their first difference."""
        pairs = sorted(pairs, key=lambda pair: pair.similarity)
        for index in sorted({0, len(pairs) // 2, len(pairs) - 1}) if pairs else ():
            source, removed = self._beginning(pairs[index].removed)
            _other, kept = self._beginning(pairs[index].kept)
            start = max(0, first_difference(removed, kept) - _CONTEXT)
            yield CleaningExample(source, removed[start : start + SNIPPET], kept[start : start + SNIPPET])

    def _beginning(self, document: int) -> tuple[str, str]:
        """The source and the cleaned beginning of a document, by its number in the corpus."""
        document = int(document)
        for source, count in zip(self._corpus.sources, self._counts, strict=True):
            if document < count:
                cleaner = Cleaner(self._settings, self._repeated.get(source.name, frozenset()))
                for chunk in read_from(self._corpus.folder, source, document):
                    self._job.check()
                    if (text := cleaner.feed(chunk.text, chunk.ends)) or chunk.ends:
                        return source.name, text
            document -= count
        return "", ""

"""Statistics of a tokenizer on the project's own texts: how often each token is used, and how well it compresses."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio import files, records
from llm_studio.errors import DataError, RecordError, StorageError
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.records import Amount, Count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llm_studio.data.corpus.corpus import CorpusPlan
    from llm_studio.workflows.tokenizer.lab import Lab

_SAMPLE = 300_000
"""Number of characters of validation text on which a tokenizer is measured."""
_POINTS = 9
"""Number of vocabulary sizes that are measured, including the tokenizer's own."""
_BLOCK = 4_000_000
"""Ids counted between two checks whether to stop."""


# --- Token frequencies -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """How often each token occurs in the training data, and the number of tokens in the corpus."""

    frequencies: "NDArray[np.int64]"
    corpus_tokens: int

    @property
    def used(self) -> float:
        """Fraction of the vocabulary that is used at all."""
        import numpy as np

        return float(np.count_nonzero(self.frequencies)) / max(1, len(self.frequencies))

    def sorted(self, ids: "NDArray[np.int64]") -> "NDArray[np.int64]":
        """The ids sorted by frequency, the most frequent first."""
        import numpy as np

        return ids[np.argsort(-self.frequencies[ids], kind="stable")]


def count_tokens(project: Project, lab: "Lab", job: Job) -> Counts:
    """Count the prepared tokens. Raises Cancelled, DataError if they weren't made with this tokenizer."""
    import numpy as np

    from llm_studio.data.tokens.dataset import open_tokens

    with open_tokens(project.processed) as tokens:
        if tokens.tokenizer != lab.fingerprint:
            raise DataError(_("The tokens were prepared with another tokenizer."), "", "tokens")
        total = len(tokens.train)
        found = np.zeros(lab.vocab_size, dtype=np.int64)
        for start in range(0, total, _BLOCK):
            job.check()
            block = tokens.train[start : start + _BLOCK]
            tokens.require_in_vocabulary(block)
            found += np.bincount(block, minlength=lab.vocab_size)
            job.report(Progress(_("Counting the tokens"), min(start + _BLOCK, total), total, _("tokens")))
        return Counts(found, total + len(tokens.validation))


# --- Compression -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """How well a tokenizer encodes texts that it was not trained on.

    `exact`: how many of `texts` texts were restored byte for byte. `curve`: (vocabulary size, characters per token) of
    the same tokenizer with fewer merges; the last point is the tokenizer itself.
    """

    characters: Count
    characters_per_token: Amount
    tokens_per_word: Amount
    exact: Count
    texts: Count
    curve: tuple[tuple[Count, Amount], ...]


def measure(project: Project, lab: "Lab", job: Job) -> Figures:
    """Measure on validation text; the result for the same texts and tokenizer is cached in a file. Raises DataError."""
    from llm_studio.data.corpus.corpus import Corpus

    corpus = Corpus(project.raw, project.settings().data)
    key = files.fingerprint(corpus.readable_fingerprint(), lab.fingerprint, _SAMPLE)
    kept = project.processed / "tokenizer.figures.json"
    known = _known(kept, key)
    if known is not None:
        return known
    figures = figures_of(lab, list(_sample(corpus.plan(job), job)), job)
    with contextlib.suppress(StorageError):  # it is measured again the next time
        files.write_json(kept, {"version": 1, "key": key, **asdict(figures)})
    return figures


def _known(path: Path, key: str) -> Figures | None:
    """The cached measurement; None if it is damaged, or for other texts or another tokenizer."""
    with contextlib.suppress(RecordError, records.Misfit):
        content = records.load(path)
        if content and content.get("key") == key:
            return records.decode(content, Figures)
    return None


def _sample(plan: "CorpusPlan", job: Job) -> Iterator[str]:
    """About _SAMPLE characters of validation texts, evenly spread over all of them."""
    seen = taken = 0
    share = _SAMPLE / max(plan.validation_characters, 1)
    for stretch in plan.texts("validation"):
        job.check()
        seen += len(stretch.text)
        if stretch.text and taken <= share * seen:
            text = stretch.text[:20_000]
            taken += len(text)
            yield text


def figures_of(lab: "Lab", texts: Sequence[str], job: Job) -> Figures:
    """Measure a tokenizer on these texts."""
    characters, words = sum(map(len, texts)), sum(len(text.split()) for text in texts)
    tokens = exact = 0
    for text in texts:
        job.check()
        ids = lab.tokenizer.encode(text)
        tokens += len(ids)
        exact += b"".join(map(lab.bytes_of, ids)) == text.encode()
    rate = characters / max(tokens, 1)
    curve = [*_curve(lab, texts, characters, job), (lab.vocab_size, rate)]
    return Figures(characters, rate, tokens / max(words, 1), exact, len(texts), tuple(curve))


def _curve(lab: "Lab", texts: Sequence[str], characters: int, job: Job) -> Iterator[tuple[int, float]]:
    """The first N merges are those of a smaller vocabulary, since merges are learned in order."""
    whole = len(lab.merges)
    base = lab.merges.base_vocabulary_size()
    ratio = ((base + whole) / base) ** (1 / (_POINTS - 1))
    counts = sorted({round(base * ratio**point) - base for point in range(_POINTS - 1)})
    for done, count in enumerate(counts):
        job.report(Progress(_("Measuring smaller vocabularies"), done, len(counts), ""))
        if count >= whole:
            continue
        library, size = lab.merges.truncated(count, lab.library)
        tokens = 0
        for start in range(0, len(texts), 64):
            job.check()
            encoded = library.encode_batch_fast(texts[start : start + 64], add_special_tokens=False)
            tokens += sum(len(encoding.ids) for encoding in encoded)
        yield size, characters / max(tokens, 1)

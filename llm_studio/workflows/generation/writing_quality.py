"""How well a trained model writes, measured on what it writes: real words, known word sequences, and a verdict.

The model continues the beginnings of ten held-out documents, at temperature 0.8, until it has written 2,000 words. The
words are looked up in the training texts. Each figure is compared with that of held-out documents: no model can be
expected to write more like the training texts than these do.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio import files, records
from llm_studio.data.corpus.words import letter_words, whole_words
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs.locate import BEST, ModelRef, locate
from llm_studio.workflows.generation.verdict import Verdict, WritingFigures, common_words, figures, verdict_of

if TYPE_CHECKING:
    from llm_studio.data.corpus.occurrences import Occurrences
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.data.tokens.beginnings import Beginning
    from llm_studio.data.tokens.dataset import Tokens

VERSION = 2
FILE = "writing.json"
"""File in the folder of a run with the measurements of its checkpoints."""
_KEPT = 20
"""Number of measurements kept in that file."""
_WORDS = 2000
"""Minimum number of words to write."""
_ROUNDS = 12
"""Most texts written per beginning: a model may end each at once, or write no words at all."""
_BLOCK, _BLOCKS = 1_000_000, 32
"""Training tokens that are searched: all of them if they are few, otherwise evenly spaced blocks."""


@dataclass(frozen=True)
class Sample:
    """The beginning of a held-out document, and the model's continuation."""

    prompt: str
    text: str


@dataclass(frozen=True)
class WritingQuality:
    """The measurements of the model `checkpoint`: `own` of its texts, `held_out` of held-out documents."""

    checkpoint: str
    own: WritingFigures
    held_out: WritingFigures
    samples: tuple[Sample, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict on what it writes."""
        return verdict_of(self.own, self.held_out)

    @property
    def copies(self) -> bool:
        """Whether most of what it writes is copied from the training texts, much more than of held-out documents."""
        return self.own.copied > 0.5 and self.own.copied > 2 * self.held_out.copied


def writing_quality(project: Project, job: Job, checkpoint: str = BEST) -> WritingQuality:
    """Measure how the model that `checkpoint` names writes, or return an earlier measurement.

    Raises ProjectError if there is no model or there are no tokens, DataError if no text is held out, Cancelled.
    """
    from llm_studio.training import memory
    from llm_studio.workflows.training.open_data import open_training_data

    ref = locate(project, checkpoint)
    with open_training_data(project) as (tokens, tokenizer, data):
        file, key = _file(ref), files.fingerprint(VERSION, _weights(ref), data)
        known = _read(file).get(key)
        if known is not None:
            return known
        with memory.translate_memory_errors():
            found = _measured(ref, tokens, tokenizer, job)
    _write(file, key, found)
    return found


def _measured(ref: ModelRef, tokens: "Tokens", tokenizer: "Tokenizer", job: Job) -> WritingQuality:
    from llm_studio.data.corpus.occurrences import Occurrences
    from llm_studio.data.tokens.beginnings import beginnings

    places = beginnings(tokens.validation, tokenizer)
    samples = _written(ref, places, tokenizer, job)
    texts = [whole_words(sample.text, sample.prompt) for sample in samples]
    held_out = [whole_words(beginning.rest, beginning.prompt) for documents in places for beginning in documents]
    held_out_words = [letter_words(text) for text in held_out]
    known = Occurrences([*map(letter_words, texts), *held_out_words])
    _search(known, tokens, tokenizer, job)
    common = common_words(held_out_words)
    own, theirs = figures(texts, known, common), figures(held_out, known, common)
    return WritingQuality(ref.name, own, theirs, tuple(samples[: len(places)]))


def _written(
    ref: ModelRef, places: "Sequence[Sequence[Beginning]]", tokenizer: "Tokenizer", job: Job
) -> list[Sample]:  # fmt: skip
    """What the model writes after the beginnings, one per place and round, until there are enough words."""
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.inference.load import load_model
    from llm_studio.workflows.generation.continuations import continuations

    own = Tokenizer.from_json(ref.tokenizer_json())
    model, same = load_model(ref, own.vocab_size), own.fingerprint == tokenizer.fingerprint
    written: list[Sample] = []
    words = 0
    for turn in range(_ROUNDS):
        job.report(Progress(_("Reading what the model writes"), words, _WORDS, _("words")))
        chosen = [documents[turn % len(documents)] for documents in places]
        texts = continuations(model, own, chosen, same, turn, job)
        written += [Sample(one.prompt, text) for one, text in zip(chosen, texts, strict=True)]
        words += sum(len(letter_words(text)) for text in texts)
        if words >= _WORDS:
            break
    return written


def _search(known: "Occurrences", tokens: "Tokens", tokenizer: "Tokenizer", job: Job) -> None:
    """Look up the words in the training texts."""
    from llm_studio.data.tokens.decoding import decoded

    ids = tokens.train
    count = min(_BLOCKS, -(-len(ids) // _BLOCK))
    for block in range(count):
        start = len(ids) * block // count
        end = min(len(ids) * (block + 1) // count, start + _BLOCK)
        for text, ends in decoded(ids[start:end], tokenizer):
            job.check()
            known.read(letter_words(text), ends)
        job.report(Progress(_("Searching the texts"), end, len(ids), _("tokens")))


# --- Earlier measurements ------------------------------------------------------------------------------------


def _file(ref: ModelRef) -> Path:
    """The file with the measurements, beside the checkpoints of the run."""
    run = ref.path.parent if ref.checkpoint else ref.path.parent.parent
    return run / FILE


def _weights(ref: ModelRef) -> object:
    """The identity of the weights."""
    from llm_studio.runs import checkpoint

    if ref.checkpoint is None:
        stat = ref.path.stat()
        return [ref.step, stat.st_size, stat.st_mtime_ns]
    return checkpoint.record_of(ref.path).get("fingerprint")


@dataclass(frozen=True)
class _Record:
    measured: dict[str, WritingQuality]
    version: int = 0


def _read(file: Path) -> dict[str, WritingQuality]:
    """Earlier measurements, by weights and tokens; empty if the file is damaged or of another version."""
    stored = records.recall(file, _Record, newest=VERSION)
    return stored.measured if stored and stored.version == VERSION else {}


def _write(file: Path, key: str, found: WritingQuality) -> None:
    known = {**_read(file), key: found}
    newest = {name: asdict(known[name]) for name in list(known)[-_KEPT:]}
    files.write_json(file, {"version": VERSION, "measured": newest})

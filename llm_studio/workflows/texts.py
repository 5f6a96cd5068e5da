"""From texts to tokens: gathering sources, training the tokenizer, preparing the tokens."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio import files
from llm_studio.errors import ProjectError, SourceError
from llm_studio.events import Notice
from llm_studio.i18n import _, number
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project, State
from llm_studio.workflows.projects import steps, tokenizer_inputs

if TYPE_CHECKING:
    from llm_studio.data.dataset import Prepared
    from llm_studio.data.raw import Piece, Source

STORIES = "stories"
DEFAULT_STORIES = 20_000
_HELD_OUT_CHARACTERS = 2_000_000


def add_stories(project: Project, language: str, count: int, job: Job, seed: int = 0) -> "Source":
    """Add `count` of the built-in stories as a source; the same again replaces itself."""
    from llm_studio.data.raw import Piece
    from llm_studio.data.stories import generate_stories

    pieces = (Piece(story, ends=True) for story in generate_stories(language, count, seed))
    options = {"language": language, "count": count, "seed": seed}
    name = f"{STORIES}-{language}"
    return _add(project, name, name, pieces, options, [], job)


def add_files(
    project: Project, path: Path, job: Job, *,
    separator: str | None = None, text_field: str = "text", max_documents: int | None = None,
) -> "Source":  # fmt: skip
    """Add a text file, or all of a folder, as a source; the same path again replaces itself. Raises SourceError."""
    from llm_studio.data.files import ReadOptions, read_path

    notes: list[str] = []

    def notice(text: str) -> None:
        notes.append(text)
        job.report(Notice(text, "warning"))

    try:
        path = path.expanduser()
        there = path.exists()
    except (OSError, RuntimeError):  # a name too long, or the home of no one
        there = False
    if not there:
        raise SourceError(_("{path} is neither a file or folder here nor a known data set.").format(path=path),
                          _("The built-in data set is “stories”."))  # fmt: skip
    pieces = read_path(path, ReadOptions(separator=separator, text_field=text_field), notice, job)
    options = {"separator": separator, "text_field": text_field, "max_documents": max_documents}
    wanted = path.resolve().stem or path.resolve().name
    return _add(project, wanted, str(path.resolve()), _first(pieces, max_documents), options, notes, job)


def _first(pieces: "Iterator[Piece]", documents: int | None) -> "Iterator[Piece]":
    """The pieces of the first `documents` documents, of all where it is None."""
    if documents is None:
        yield from pieces
        return
    done = 0
    for piece in pieces:
        if done >= documents:
            return
        yield piece
        done += piece.ends


def _add(
    project: Project, wanted: str, origin: str, pieces: "Iterator[Piece]", options: Mapping[str, object],
    notes: list[str], job: Job,
) -> "Source":  # fmt: skip
    from llm_studio.data import raw

    with project.writing("data"):
        same = (s.name for s in raw.sources(project.raw) if s.origin == origin)
        name = next(same, None) or raw.source_name(project.raw, wanted)
        return raw.write_source(project.raw, name, origin, pieces, job, notes=notes, options=options)


def remove_source(project: Project, name: str) -> None:
    """Remove a source from the project. Raises SourceError where there is none, BusyError."""
    from llm_studio.data import raw

    with project.writing("data"):
        raw.remove_source(project.raw, name)


@dataclass(frozen=True)
class TrainedTokenizer:
    """What came out of a tokenizer training, measured on validation text."""

    vocab_size: int
    asked: int
    characters_per_token: float
    tokens_per_word: float


def train_tokenizer(project: Project, job: Job, vocab_size: int | None = None) -> TrainedTokenizer:
    """Train the tokenizer on the corpus. A `vocab_size` given is kept in config.yaml. Raises TokenizerError."""
    from llm_studio.data.tokenizer_training import quality
    from llm_studio.data.tokenizer_training import train_tokenizer as train

    with project.writing("tokenizer"):
        corpus = _corpus(project)
        if vocab_size is not None:
            project.change_settings({"model.vocab_size": vocab_size})
        settings = project.settings()
        asked = settings.model.vocab_size
        plan = corpus.plan(job)
        tokenizer = train(plan, asked, settings.tokenizer, job)
        measured = quality(tokenizer, (s.text for s in plan.texts("validation")), _HELD_OUT_CHARACTERS)
        job.check()
        result = TrainedTokenizer(tokenizer.vocab_size, asked, measured.characters_per_token, measured.tokens_per_word)
        tokenizer.save(project.tokenizer_file)
        files.write_json(project.tokenizer_meta, {
            "version": 1, "asked": asked, "vocab_size": tokenizer.vocab_size, "fingerprint": tokenizer.fingerprint,
            "characters_per_token": result.characters_per_token, "tokens_per_word": result.tokens_per_word,
            "inputs": tokenizer_inputs(settings, corpus.fingerprint()),
        })  # fmt: skip
    return result


def prepare(project: Project, job: Job) -> "Prepared":
    """Turn the corpus into `train.bin` and `val.bin`. Raises ProjectError where a step before is missing."""
    from llm_studio.data import dataset
    from llm_studio.data.tokenizer import Tokenizer

    if not project.tokenizer_file.exists():
        raise ProjectError(
            _("This project has no tokenizer yet."),
            _("Train one first: “llm-studio train-tokenizer {path}”.").format(path=quoted(project.root)),
            "tokenizer",
        )
    tokenizer = Tokenizer.load(project.tokenizer_file)
    if steps(project).tokenizer is State.OUT_OF_DATE:
        job.report(Notice(
            _("The texts or the settings have changed since the tokenizer was trained: it serves, but a new one would "
              "fit them better."),
            "warning",
            _("Make it with “llm-studio train-tokenizer {path}”.").format(path=quoted(project.root)),
        ))  # fmt: skip
    with project.writing("tokens"):
        corpus = _corpus(project)
        prepared = dataset.prepare(corpus.plan(job), tokenizer, project.processed, corpus.fingerprint(), job)
    needed = project.settings().model.max_seq_len + 1
    if prepared.train_tokens < needed:
        job.report(Notice(
            _("The training part has {tokens} tokens, less than one context of {context}: add texts, or set a smaller "
              "model.max_seq_len.").format(tokens=number(prepared.train_tokens), context=number(needed - 1)),
            "warning",
        ))  # fmt: skip
    return prepared


def _corpus(project: Project):
    from llm_studio.data.corpus import Corpus

    corpus = Corpus(project.raw, project.settings().data)
    if not corpus.sources:
        raise ProjectError(
            _("This project has no texts yet."),
            _("Add some first: “llm-studio download {path} --dataset stories”, or name your own file.").format(
                path=quoted(project.root)
            ),
            "data",
        )
    return corpus

"""From texts to tokens: gathering sources, training the tokenizer, preparing the tokens."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio import files
from llm_studio.data.sources.readers.options import KINDS as KINDS
from llm_studio.errors import ProjectError, SourceError
from llm_studio.events import Notice, Progress
from llm_studio.i18n import N_, _, ngettext, number
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project, State
from llm_studio.workflows.projects import steps, tokenizer_inputs

if TYPE_CHECKING:
    from llm_studio.data.sources.readers.inspect import Inspection
    from llm_studio.data.sources.store import Chunk, Source
    from llm_studio.data.tokens.dataset import Prepared

STORIES = "stories"
DEFAULT_STORIES = 20_000
BYTES = N_("bytes")
"""The unit of a Progress that counts bytes."""
_HELD_OUT_CHARACTERS = 2_000_000


def add_stories(project: Project, language: str, count: int, job: Job, seed: int = 0) -> "Source":
    """Add `count` of the built-in stories as a source; the same again replaces itself."""
    from llm_studio.data.sources.store import Chunk
    from llm_studio.data.sources.stories.grammar import generate_stories

    pieces = (Chunk(story, ends=True) for story in generate_stories(language, count, seed))
    options = {"language": language, "count": count, "seed": seed}
    name = f"{STORIES}-{language}"

    def progress(documents: int, _bytes: int) -> Progress:
        return Progress(_("Writing the texts"), documents, count, _("documents"))

    return _add(project, name, name, pieces, options, [], job, progress)


def add_files(
    project: Project, path: Path, job: Job, *,
    separator: str | None = None, text_field: str | None = None, max_documents: int | None = None,
) -> "Source":  # fmt: skip
    """Add a file, or all of a folder or an archive, as a source; the same path again replaces itself.

    `text_field` names the field, or column, that holds the text of a record; None: it is found by itself. Files that
    can't be read are told, and listed in the source's notes. Raises SourceError where none can.
    """
    from llm_studio.data.sources.readers.options import ReadOptions
    from llm_studio.data.sources.readers.read import Reading

    notes: list[str] = []

    def notice(text: str) -> None:
        notes.append(text)
        job.report(Notice(text, "warning"))

    path = _existing(path)
    reading = Reading(path, ReadOptions(separator=separator, text_field=text_field or None), notice, job)
    total = _size(path) if max_documents is None else 0
    name = path.name

    def progress(documents: int, _bytes: int) -> Progress:
        if not total:
            return Progress(_("Writing the texts"), documents, None, _("documents"))
        return Progress(_("Reading {name}").format(name=name), min(reading.bytes_read, total), total, _(BYTES))

    options = {"separator": separator, "text_field": text_field, "max_documents": max_documents}
    origin = path.resolve()
    wanted = (Path(origin.stem).stem if origin.suffix.lower() == ".gz" else origin.stem) or origin.name
    with contextlib.closing(reading.pieces()) as pieces:
        return _add(project, wanted, str(origin), _first(pieces, max_documents), options, notes, job, progress,
                    lambda: reading.conversations)  # fmt: skip


def look(path: Path, job: Job, *, separator: str | None = None, text_field: str | None = None) -> "Inspection":
    """A first look at a file, an archive or a folder: quick, whatever its size. Raises SourceError."""
    from llm_studio.data.sources.readers.inspect import look
    from llm_studio.data.sources.readers.options import ReadOptions

    return look(_existing(path), ReadOptions(separator=separator, text_field=text_field or None), job)


def _existing(path: Path) -> Path:
    """`path` with the home folder written out. Raises SourceError where nothing is there."""
    try:
        path = path.expanduser()
        there = path.exists()
    except (OSError, RuntimeError):  # a name too long, or the home of no one
        there = False
    if not there:
        raise SourceError(_("{path} is neither a file or folder here nor a known data set.").format(path=path),
                          _("The built-in data set is “stories”."))  # fmt: skip
    return path


def add_several(
    project: Project, paths: "Sequence[Path]", job: Job, *, separator: str | None = None,
    text_field: str | None = None, fields: Mapping[Path, str] = {},
) -> "list[Source]":  # fmt: skip
    """Add files and folders, each as a source, one after the other. `fields` may name a `text_field` for each of them.

    One that can't be read doesn't hold up the others: the SourceError is raised when they are added.
    """
    added: list[Source] = []
    refused: list[SourceError] = []
    for path in paths:
        try:
            added.append(add_files(project, path, job, separator=separator, text_field=fields.get(path) or text_field))
        except SourceError as error:
            refused.append(error)
    if refused and len(paths) == 1:
        raise refused[0]
    if refused:
        what = ngettext("{n} of {all} could not be added. {reason}",
                        "{n} of {all} could not be added. The first: {reason}", len(refused))  # fmt: skip
        raise SourceError(what.format(n=number(len(refused)), all=number(len(paths)), reason=refused[0].what),
                          refused[0].to_do)  # fmt: skip
    return added


def _size(path: Path) -> int:
    """Bytes to be read at `path`: what the progress of adding is measured by."""
    try:
        if path.is_dir():
            return sum(file.stat().st_size for file in path.rglob("*") if file.suffix.lower() in KINDS)
        return path.stat().st_size
    except OSError:
        return 0


def _first(pieces: "Iterator[Chunk]", documents: int | None) -> "Iterator[Chunk]":
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
    project: Project, wanted: str, origin: str, pieces: "Iterator[Chunk]", options: Mapping[str, object],
    notes: list[str], job: Job, progress: "Callable[[int, int], Progress]",
    conversations: "Callable[[], bool]" = lambda: False,
) -> "Source":  # fmt: skip
    from llm_studio.data.sources import store

    with project.writing("data"):
        same = (s.name for s in store.sources(project.raw) if s.origin == origin)
        name = next(same, None) or store.source_name(project.raw, wanted)
        return store.write_source(project.raw, name, origin, pieces, job, notes=notes, options=options,
                                progress=progress, conversations=conversations)  # fmt: skip


def remove_source(project: Project, name: str, *, undoable: bool = False) -> None:
    """Remove a source from the project. Raises SourceError where there is none, BusyError.

    `undoable`: it can be had back by `restore_source` until the next one is removed.
    """
    from llm_studio.data.sources import store

    trash = _trash(project)
    with project.writing("data"):
        aside = {path.stem for path in trash.glob("*.parquet")}
        if undoable:
            store.move_source(project.raw, name, trash)
        else:
            store.remove_source(project.raw, name)
        for old in aside - ({name} if undoable else set[str]()):
            store.remove_source(trash, old)


def restore_source(project: Project, name: str) -> None:
    """Undo the last removal, if it was of `name`. Raises SourceError where it can't be had back, BusyError."""
    from llm_studio.data.sources import store

    trash = _trash(project)
    with project.writing("data"):
        if any(source.name == name for source in store.sources(project.raw)):
            raise SourceError(_("There is a source “{name}” again: the removed one stays away.").format(name=name))
        store.move_source(trash, name, project.raw)


def _trash(project: Project) -> Path:
    return project.raw.parent / ".trash"


@dataclass(frozen=True)
class TrainedTokenizer:
    """What came out of a tokenizer training, measured on validation text."""

    vocab_size: int
    asked: int
    characters_per_token: float
    tokens_per_word: float


def train_tokenizer(project: Project, job: Job, vocab_size: int | None = None) -> TrainedTokenizer:
    """Train the tokenizer on the corpus. A `vocab_size` given is kept in config.yaml. Raises TokenizerError."""
    from llm_studio.data.tokenizer.training import quality
    from llm_studio.data.tokenizer.training import train_tokenizer as train

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
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.data.tokens import dataset

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
    from llm_studio.data.corpus.corpus import Corpus

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

"""Using a tokenizer of another model, and measuring how well it fits the project's texts."""

from typing import TYPE_CHECKING

from llm_studio import files
from llm_studio.data.tokenizer.record import recall_record
from llm_studio.project import Project
from llm_studio.workflows.projects import tokenizer_fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_studio.data.sources.manifest import Source
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

_SAMPLE = 100_000
"""Number of characters of each source that are read for an estimate."""


def borrow_tokenizer(project: Project, content: str, origin: str) -> None:
    """Make the tokenizer in the JSON `content`, of the model `origin`, the project's tokenizer.

    Tokens made with another one are then out of date. Raises TokenizerError, BusyError, StorageError.
    """
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_json(content)
    with project.writing("tokenizer"):
        if tokenizer_fingerprint(project) == tokenizer.fingerprint:
            return
        with files.translate_os_errors(project.tokenizer_file):
            project.tokenizer_meta.unlink(missing_ok=True)
        tokenizer.save(project.tokenizer_file)
        files.write_json(project.tokenizer_meta, {
            "version": 1, "origin": origin, "asked": tokenizer.vocab_size, "vocab_size": tokenizer.vocab_size,
            "fingerprint": tokenizer.fingerprint, "inputs": {},
        })  # fmt: skip


def is_borrowed(project: Project) -> bool:
    """Whether the project's tokenizer comes from another model: a new model gets a new tokenizer instead."""
    return bool(recall_record(project.tokenizer_meta).origin) and project.tokenizer_file.exists()


def is_imported(project: Project) -> bool:
    """Whether the user has imported the project's tokenizer: it is never replaced."""
    return project.tokenizer_file.exists() and not project.tokenizer_meta.exists()


def bytes_per_token(project: Project, tokenizer: "Tokenizer") -> float:
    """Mean bytes per token in the project's texts, from the beginning of each source."""
    size = tokens = 0.0
    for source, text in samples(project):
        size += source.bytes
        tokens += source.bytes * len(tokenizer.encode(text)) / len(text.encode())
    return size / tokens if tokens else 1.0


def samples(project: Project) -> "Iterator[tuple[Source, str]]":
    """The beginning of each source that holds text."""
    from llm_studio.data.sources import store

    for source in store.list_sources(project.raw):
        text = ""
        for chunk in store.read_chunks(project.raw, source):
            text += chunk.text[: _SAMPLE - len(text)]
            if len(text) >= _SAMPLE:
                break
        if text:
            yield source, text

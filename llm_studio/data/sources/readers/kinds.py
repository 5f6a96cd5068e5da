"""The kinds of files that can be read. A new one needs a reader module and its line in KINDS."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.readers import (
    delimited,
    docx,
    epub,
    html,
    json_files,
    parquet,
    pdf,
    subtitles,
    text,
)  # fmt: skip
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.items import InputFile, suffix_of
from llm_studio.data.sources.readers.records import FieldChoice


@dataclass(frozen=True)
class Kind:
    """Files with one of these suffixes, and the function that reads the documents in one."""

    suffixes: tuple[str, ...]
    read: Callable[[InputFile, Context], Iterator[Chunk]]


@dataclass(frozen=True)
class RecordKind:
    """Files of records: `choose` finds the field that holds the text, `read` the documents in that field."""

    suffixes: tuple[str, ...]
    choose: Callable[[InputFile, Context], FieldChoice]
    read: Callable[[InputFile, Context, FieldChoice], Iterator[Chunk]]


KINDS: tuple[Kind | RecordKind, ...] = (
    Kind((".txt", ".md"), text.read_text),
    RecordKind((".jsonl",), json_files.choose_lines, json_files.read_lines),
    RecordKind((".json",), json_files.choose_values, json_files.read_values),
    RecordKind((".csv", ".tsv"), delimited.choose, delimited.read),
    RecordKind((".parquet",), parquet.choose, parquet.read),
    Kind((".html", ".htm"), html.read_html),
    Kind((".epub",), epub.read_epub),
    Kind((".docx",), docx.read_docx),
    Kind((".pdf",), pdf.read_pdf),
    Kind((".srt",), subtitles.read_srt),
)
_KIND_OF = {suffix: kind for kind in KINDS for suffix in kind.suffixes}

ARCHIVES = (".zip", ".gz")
SUFFIXES = (*_KIND_OF, *ARCHIVES)
"""Suffixes of the files that can be read. A file without a suffix is read if it turns out to be text."""


def is_readable(name: str) -> bool:
    """Whether a file of this name is of a kind that can be read; others in a folder or an archive are left out."""
    suffix = suffix_of(name)
    return not suffix or suffix in SUFFIXES


def kind_of(suffix: str) -> Kind | RecordKind | None:
    """The kind of a file with this suffix; plain text without one, None for an archive or an unknown suffix."""
    return _KIND_OF.get(suffix) if suffix else KINDS[0]


def record_kind(suffix: str) -> RecordKind | None:
    """The kind of a file of records with this suffix, None for other files."""
    kind = _KIND_OF.get(suffix)
    return kind if isinstance(kind, RecordKind) else None

"""The kinds of files that can be read. A new one needs a reader module and its line in KINDS."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.readers import (
    chat_exports,
    chat_texts,
    delimited,
    docx,
    epub,
    html,
    json_files,
    latex,
    mail,
    mediawiki,
    notebooks,
    odt,
    packed,
    parquet,
    pdf,
    rtf,
    subtitles,
    text,
    xlsx,
)  # fmt: skip
from llm_studio.data.sources.readers.chat_texts import ChatStyle
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.items import InputFile, suffix_of
from llm_studio.data.sources.readers.records import FieldChoice


@dataclass(frozen=True)
class Kind:
    """A kind of files: their suffixes, and the function that reads the documents of one file.

    `chat_style`: for kinds that may be chats, the function that returns the style of a chat, or None for other files.
    `read_chat` reads a chat as conversations.
    """

    suffixes: tuple[str, ...]
    read: Callable[[InputFile, Context], Iterator[Chunk]]
    chat_style: Callable[[InputFile], ChatStyle | None] | None = None
    read_chat: Callable[[InputFile, Context], Iterator[Chunk]] = text.read_text


@dataclass(frozen=True)
class RecordKind:
    """A kind of files with records: `choose` finds the field that holds the text, `read` reads it as documents."""

    suffixes: tuple[str, ...]
    choose: Callable[[InputFile, Context], FieldChoice]
    read: Callable[[InputFile, Context, FieldChoice], Iterator[Chunk]]


_CODE = (
    ".py", ".pyi", ".js", ".mjs", ".ts", ".jsx", ".tsx", ".vue", ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh",
    ".cs", ".java", ".kt", ".kts", ".scala", ".groovy", ".go", ".rs", ".swift", ".m", ".mm", ".rb", ".php", ".pl",
    ".pm", ".lua", ".r", ".jl", ".sh", ".bash", ".zsh", ".fish", ".ps1", ".bat", ".cmd", ".sql", ".css", ".scss",
    ".less", ".hs", ".ml", ".mli", ".fs", ".clj", ".lisp", ".el", ".scm", ".ex", ".exs", ".erl", ".dart", ".pas",
    ".f90", ".f95", ".for", ".asm", ".s", ".v", ".vhd", ".ada", ".adb", ".nim", ".zig", ".d", ".tcl", ".vb", ".vbs",
    ".bib", ".org", ".adoc", ".textile", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties",
    ".cmake", ".mk", ".gradle", ".proto", ".graphql", ".diff", ".patch", ".po",
)  # fmt: skip
"""Source code, and configuration and markup files written by hand: read as plain text."""

KINDS: tuple[Kind | RecordKind, ...] = (
    Kind(
        (".txt", ".md", ".text", ".markdown", ".rst", ".log"),
        text.read_text,
        chat_texts.chat_style,
        chat_texts.read_chat,
    ),
    RecordKind((".jsonl", ".ndjson"), json_files.choose_lines, json_files.read_lines),
    RecordKind((".json",), json_files.choose_values, json_files.read_values),
    RecordKind((".csv", ".tsv", ".tab"), delimited.choose, delimited.read),
    RecordKind((".parquet",), parquet.choose, parquet.read),
    RecordKind((".xlsx", ".xlsm"), xlsx.choose, xlsx.read),
    Kind((".html", ".htm", ".xhtml"), html.read_html),
    Kind((".epub",), epub.read_epub),
    Kind((".docx",), docx.read_docx),
    Kind((".odt", ".ott"), odt.read_odt),
    Kind((".rtf",), rtf.read_rtf),
    Kind((".pdf",), pdf.read_pdf),
    Kind((".srt", ".vtt"), subtitles.read_subtitles),
    Kind((".ipynb",), notebooks.read_notebook),
    Kind((".tex", ".latex"), latex.read_latex),
    Kind((".mbox", ".mbx", ".eml", *mail.SAVED_PAGES), mail.read_mail),
    Kind((".xml",), mediawiki.read_mediawiki),
    Kind(_CODE, text.read_text),
)
_KIND_OF = {suffix: kind for kind in KINDS for suffix in kind.suffixes}
_CHAT_EXPORT = Kind((), chat_exports.read_export, chat_exports.export_style, chat_exports.read_conversations)
"""A .json file exported by a chat program."""

ARCHIVES = (".zip", ".tar")
LISTED = (
    *(suffix for kind in KINDS if kind.suffixes is not _CODE for suffix in kind.suffixes), *ARCHIVES, *packed.SUFFIXES
)  # fmt: skip
"""Suffixes listed for the user: all except those of source code."""
SUFFIXES = (*LISTED, *_CODE)
"""Suffixes of the files that can be read. A file without a suffix is read if it turns out to be text."""


def is_readable(name: str) -> bool:
    """Whether a file with this name is of a readable kind. Other files in folders and archives are left out."""
    suffix = suffix_of(name)
    return not suffix or suffix in SUFFIXES


def kind_of(suffix: str) -> Kind | RecordKind | None:
    """The kind of a file with this suffix: plain text for "", None for an archive or an unknown suffix."""
    return _KIND_OF.get(suffix) if suffix else KINDS[0]


def kind_of_file(item: InputFile) -> Kind | RecordKind | None:
    """The kind of a file, judging by its suffix and, for .json, its beginning."""
    if item.suffix == ".json" and chat_exports.is_export(item):
        return _CHAT_EXPORT
    return kind_of(item.suffix)


def may_be_chat(suffix: str) -> bool:
    """Whether a file with this suffix may hold conversations, as records or as a text."""
    kind = kind_of(suffix)
    return isinstance(kind, RecordKind) or (isinstance(kind, Kind) and kind.chat_style is not None)

"""OpenDocument texts (.odt, as LibreOffice writes them): paragraphs, tables and notes, streamed from the XML inside.

Tracked changes are read as accepted. Notes come at the end; hidden text and comments are left out and counted.
"""

from collections.abc import Iterator, Mapping

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import COMMENTS, HIDDEN_TEXT, PARTS
from llm_studio.data.sources.readers import xml_parts
from llm_studio.data.sources.readers.archives import member, open_zip
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, password_protected, translate_read_errors
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.i18n import _

_CONTENT = "content.xml"
_MANIFEST = "META-INF/manifest.xml"
_MAX_SPACES = 1000
_SKIPPED = frozenset(("tracked-changes", "note-citation", "forms", "desc", "title", "ruby-text", "binary-data"))
_HIDDEN = frozenset(("hidden-text", "hidden-paragraph"))
_PARAGRAPHS = frozenset(("p", "h"))


def read_odt(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The text of the document: paragraphs are separated by a blank line, list items and table rows by a newline."""
    with open_zip(item, context) as (archive, budget):
        names = archive.namelist()
        if _CONTENT not in names:
            raise damaged(item.name, _("“{name}” is missing in it").format(name=_CONTENT))
        if _MANIFEST in names:
            part = member(item, archive, archive.getinfo(_MANIFEST), budget)
            with translate_read_errors(item.name), part.open() as stream:
                if b"encryption-data" in stream.read(1 << 20):
                    raise password_protected(item.name)
        part = member(item, archive, archive.getinfo(_CONTENT), budget)
        document = _OpenText()
        for _block in xml_parts.feed(item, part, document, context):
            yield Chunk(document.take(), False)
        yield Chunk("", True)
        for reason, count in ((HIDDEN_TEXT, document.hidden), (COMMENTS, document.comments)):
            if count:
                context.account.leave_out(PARTS, reason, item.name)


class _OpenText(xml_parts.Target):
    """Collects the text of a document from the parser's events."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = self.comments = 0
        self._paragraphs: list[list[str]] = []  # open paragraphs, innermost last: a note is inside a paragraph
        self._cell: list[str] = []
        self._row: list[str] = []
        self._notes: list[str] = []
        self._skipped = self._tables = self._lists = self._in_notes = 0
        self._begun = self._after_line = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        name = tag.rpartition("}")[2]
        if self._skipped or name in _SKIPPED or name in _HIDDEN or name == "annotation":
            if not self._skipped:
                self.hidden += name in _HIDDEN
                self.comments += name == "annotation"
            self._skipped += 1
        elif name in _PARAGRAPHS:
            self._paragraphs.append([])
        elif name == "tab":
            self._add("\t")
        elif name == "line-break":
            self._add("\n")
        elif name == "s":
            count = next((value for key, value in attributes.items() if key.endswith("}c")), "1")
            self._add(" " * min(int(count) if count.isdecimal() and len(count) < 9 else 1, _MAX_SPACES))
        elif name == "table":
            self._tables += 1
        elif name == "list":
            self._lists += 1
        elif name == "note-body":
            self._in_notes += 1

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        if self._skipped:
            self._skipped -= 1
            return
        name = tag.rpartition("}")[2]
        if name in _PARAGRAPHS:
            self._end_paragraph()
        elif name == "table-cell" and self._tables == 1 and not self._in_notes:
            self._row.append(" ".join(self._cell))
            self._cell.clear()
        elif name == "table-row" and self._tables == 1 and not self._in_notes:
            self._emit("\t".join(self._row).strip(), True)
            self._row.clear()
        elif name == "table":
            self._tables = max(0, self._tables - 1)
        elif name == "list":
            self._lists = max(0, self._lists - 1)
        elif name == "note-body":
            self._in_notes = max(0, self._in_notes - 1)

    def data(self, text: str) -> None:
        """Handle character data."""
        if not self._skipped and self._paragraphs:
            self._add(" ".join(f"x{text}x".split())[1:-1] if not text.isspace() else " ")

    def close(self) -> None:
        """Handle the end of the document."""
        while self._paragraphs:
            self._end_paragraph()
        for note in self._notes:
            self._emit(note, False)

    def _add(self, text: str) -> None:
        if self._paragraphs and not self._skipped:
            self._paragraphs[-1].append(text)
            self.held += len(text)

    def _end_paragraph(self) -> None:
        text = "".join(self._paragraphs.pop()).strip() if self._paragraphs else ""
        if not text:
            return
        if self._in_notes:
            self._notes.append(text)
        elif self._tables:
            self._cell.append(text)
        else:
            self._emit(text, self._lists > 0)

    def _emit(self, text: str, is_line: bool) -> None:
        self.held = sum(map(len, self._notes)) if self._notes else 0
        if text:
            gap = "\n" if is_line and self._after_line else "\n\n"
            self._out.append((gap if self._begun else "") + text)
            self._begun, self._after_line = True, is_line

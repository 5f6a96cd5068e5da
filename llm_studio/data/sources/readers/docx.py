"""Word documents (.docx): paragraphs, tables, text boxes and notes, streamed from the XML inside.

Tracked changes are read as accepted. Notes come at the end; hidden text and comments are left out and counted.
"""

import zipfile
from collections.abc import Iterator, Mapping

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import COMMENTS, HIDDEN_TEXT, PARTS
from llm_studio.data.sources.readers import xml_parts
from llm_studio.data.sources.readers.archives import member, open_zip
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, password_protected
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.i18n import _, ngettext, number

_TYPES = "[Content_Types].xml"
_DOCUMENT = "word/document.xml"
_NOTES = ("word/footnotes.xml", "word/endnotes.xml")
_COMMENTS = "word/comments.xml"
_OFF = ("0", "false", "off")
_OLE_SIGNATURE = b"\xd0\xcf\x11\xe0"


def read_docx(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The text of the document: paragraphs are separated by a blank line, list items and table rows by a newline."""
    with item.open() as stream:
        if stream.read(4) == _OLE_SIGNATURE:  # Word stores password-protected documents in an OLE container
            raise password_protected(item.name)
    with open_zip(item, context) as (archive, budget):
        names = archive.namelist()
        body = _document(item, archive)
        hidden = 0
        started = False
        for name in (body, *(name for name in _NOTES if name in names)):
            document = _DocumentText()
            part = member(item, archive, archive.getinfo(name), budget)
            for _block in xml_parts.feed(item, part, document, context):
                if text := document.take():
                    yield Chunk(text if document.continues or not started else "\n\n" + text, False)
                    started = document.continues = True
            hidden += document.hidden
        yield Chunk("", True)
        if hidden:
            detail = ngettext("{n} character", "{n} characters", hidden).format(n=number(hidden))
            context.account.leave_out(PARTS, HIDDEN_TEXT, item.name, detail)
        if _COMMENTS in names:
            context.account.leave_out(PARTS, COMMENTS, item.name)


def _document(item: InputFile, archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    if _DOCUMENT in names:
        return _DOCUMENT
    others = [name for name in names if name.startswith("word/document") and name.endswith(".xml")]
    if not others or _TYPES not in names:
        raise damaged(item.name, _("“{name}” is missing in it").format(name=_DOCUMENT))
    return others[0]


class _DocumentText(xml_parts.Target):
    """Collects the text of a document from the parser's events."""

    def __init__(self) -> None:
        super().__init__()
        self._paragraph: list[str] = []
        self._cell: list[str] = []
        self._row: list[str] = []
        self._in_text = False
        self._in_list = self._after_list = False
        self._tables = self._skipped = 0
        self._begun = False
        self.continues = False  # whether some of its text has been taken
        self.hidden = 0  # characters of hidden text
        self._in_run = self._run_is_hidden = False
        self._outside: list[tuple[list[str], list[str], list[str], int, bool]] = []  # state outside of the text boxes
        self._boxes: list[str] = []  # paragraphs of text boxes, which follow the paragraph that they are anchored in

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        name = tag.rpartition("}")[2]
        if name in ("Fallback", "del", "moveFrom") or self._skipped or _is_separator(name, attributes):
            self._skipped += 1
        elif name == "r":
            self._in_run, self._run_is_hidden = True, False
        elif name == "vanish" and self._in_run:
            self._run_is_hidden = not any(value in _OFF for value in attributes.values())
        elif name == "txbxContent":
            self._outside.append((self._paragraph, self._cell, self._row, self._tables, self._in_run))
            self._paragraph, self._cell, self._row, self._tables, self._in_run = [], [], [], 0, False
        elif name == "t":
            self._in_text = True
        elif name == "tab":
            self._add("\t")
        elif name in ("br", "cr"):
            self._add("\n")
        elif name == "noBreakHyphen":
            self._add("\u2011")
        elif name == "tbl":
            self._tables += 1
            self._after_list = self._after_list and self._tables > 1  # a blank line between a list and a table
        elif name == "numPr":
            self._in_list = True

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        if self._skipped:
            self._skipped -= 1
            return
        name = tag.rpartition("}")[2]
        if name == "t":
            self._in_text = False
        elif name == "r":
            self._in_run = self._run_is_hidden = False
        elif name == "txbxContent" and self._outside:
            self._end_paragraph()
            self._paragraph, self._cell, self._row, self._tables, self._in_run = self._outside.pop()
        elif name == "p":
            self._end_paragraph()
        elif name == "tc" and self._tables == 1:
            self._row.append(" ".join(self._cell))
            self._cell.clear()
        elif name == "tr" and self._tables == 1:
            self._emit("\t".join(self._row).strip(), True)
            self._row.clear()
        elif name == "tbl":
            self._tables = max(0, self._tables - 1)
            self._after_list = self._after_list and self._tables > 0

    def data(self, text: str) -> None:
        """Handle character data."""
        if not self._in_text or self._skipped:
            return
        if self._run_is_hidden:
            self.hidden += len(text)
        else:
            self._add(text)

    def close(self) -> None:
        """Handle the end of the document."""
        self._end_paragraph()

    def _add(self, text: str) -> None:
        self._paragraph.append(text)
        self.held += len(text)

    def _end_paragraph(self) -> None:
        text = "".join(self._paragraph).strip()
        self._paragraph.clear()
        if self._tables:
            if text:
                self._cell.append(text)
        else:
            self._emit(text, self._in_list)
        self._in_list = False
        if not self._outside and not self._tables:
            boxes, self._boxes = self._boxes, []
            for box in boxes:
                self._emit(box, False)

    def _emit(self, text: str, close_to_next: bool) -> None:
        if self._outside:
            if text:
                self._boxes.append(text)
            return
        self.held = 0
        if text:
            gap = "\n" if close_to_next and self._after_list else "\n\n"
            self._out.append((gap if self._begun else "") + text)
            self._begun, self._after_list = True, close_to_next


def _is_separator(name: str, attributes: Mapping[str, str]) -> bool:
    """Whether an element is the line between the text and the notes rather than a note."""
    return name in ("footnote", "endnote") and any("eparator" in value for value in attributes.values())

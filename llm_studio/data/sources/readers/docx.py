"""Word documents (.docx): their paragraphs and tables, streamed from the XML inside."""

import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.readers.archives import member, open_zip
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, password_protected, too_large, translate_read_errors
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.i18n import _

_TYPES = "[Content_Types].xml"
_DOCUMENT = "word/document.xml"
_BLOCK = 1 << 15
_MAX_PARAGRAPH = 1 << 26
_OLE_SIGNATURE = b"\xd0\xcf\x11\xe0"


def read_docx(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The text of the document: paragraphs are separated by a blank line, list items and table rows by a line end."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  compiled, without types

    with item.open() as stream:
        if stream.read(4) == _OLE_SIGNATURE:  # Word stores a document with a password in its old container format
            raise password_protected(item.name)
    with open_zip(item, context) as (archive, budget):
        name = _document(item, archive)
        part = member(item, archive, archive.getinfo(name), budget)
        document = _DocumentText()
        parser: Any = etree.XMLParser(target=document, resolve_entities=False, no_network=True, load_dtd=False)
        try:
            with translate_read_errors(item.name), part.open() as stream:
                while block := stream.read(_BLOCK):
                    context.job.check()
                    parser.feed(block)
                    if document.has_types:
                        raise damaged(item.name, _("it declares XML types of its own, which no document does"))
                    if document.held > _MAX_PARAGRAPH:
                        raise too_large(item.name, _MAX_PARAGRAPH)
                    yield Chunk(document.take(), False)
            parser.close()
        except etree.LxmlError as error:
            raise damaged(item.name, error) from error
        yield Chunk(document.take(), True)


def _document(item: InputFile, archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    if _DOCUMENT in names:
        return _DOCUMENT
    others = [name for name in names if name.startswith("word/document") and name.endswith(".xml")]
    if not others or _TYPES not in names:
        raise damaged(item.name, _("“{name}” is missing in it").format(name=_DOCUMENT))
    return others[0]


class _DocumentText:
    """Collects the text of a document from the parser's events."""

    def __init__(self) -> None:
        self.has_types = False
        self._out: list[str] = []
        self._paragraph: list[str] = []
        self._cell: list[str] = []
        self._row: list[str] = []
        self._in_text = False
        self._in_list = self._after_list = False
        self._tables = self._skipped = 0
        self.held = 0  # characters of the current paragraph or table row
        self._begun = False

    def take(self) -> str:
        """Return the text that is complete and forget it."""
        text = "".join(self._out)
        self._out.clear()
        return text

    def doctype(self, *_about: object) -> None:
        """A document type: only malicious files have one."""
        self.has_types = True

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element starts."""
        del attributes
        name = tag.rpartition("}")[2]
        if name in ("Fallback", "del", "moveFrom") or self._skipped:
            self._skipped += 1
        elif name == "t":
            self._in_text = True
        elif name == "tab":
            self._paragraph.append("\t")
        elif name in ("br", "cr"):
            self._paragraph.append("\n")
        elif name == "noBreakHyphen":
            self._paragraph.append("\u2011")
        elif name == "tbl":
            self._tables += 1
            self._after_list = self._after_list and self._tables > 1  # a blank line between a list and a table
        elif name == "numPr":
            self._in_list = True

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._skipped:
            self._skipped -= 1
            return
        name = tag.rpartition("}")[2]
        if name == "t":
            self._in_text = False
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
        """Some characters."""
        if self._in_text and not self._skipped:
            self._paragraph.append(text)
            self.held += len(text)

    def close(self) -> None:
        """The document has ended."""
        self._end_paragraph()

    def _end_paragraph(self) -> None:
        text = "".join(self._paragraph).strip()
        self._paragraph.clear()
        if self._tables:
            if text:
                self._cell.append(text)
        else:
            self._emit(text, self._in_list)
        self._in_list = False

    def _emit(self, text: str, close_to_next: bool) -> None:
        self.held = 0
        if text:
            gap = "\n" if close_to_next and self._after_list else "\n\n"
            self._out.append((gap if self._begun else "") + text)
            self._begun, self._after_list = True, close_to_next

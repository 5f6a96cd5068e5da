"""Dumps of MediaWiki (.xml), such as those of Wikipedia: one document per article, beginning with its title.

Redirects, other pages (talk, templates, categories) and earlier versions are left out and counted.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import (
    CUT_OFF,
    EARLIER_VERSIONS,
    EMPTY,
    OTHER_PAGES,
    PARTS,
    REDIRECTS,
    TOO_LONG,
    WIKI_TABLES,
)
from llm_studio.data.sources.readers import unread_kinds, xml_parts
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import no_text
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.data.sources.readers.wiki_markup import WikiMarkup
from llm_studio.errors import SourceError
from llm_studio.i18n import N_, number

_HEAD = 4096
_OTHER_XML = ".tei"
"""Suffix that stands for other XML files in `unread_kinds`."""
_MAX_NAMESPACES, _MAX_NAME = 100, 200
_MAX_PAGE = 1 << 23
"""Length limit of a page, in characters: MediaWiki's own is 2 MB."""
_PLACE = N_("{path}, page {line}")
_NO_TEXT_NAMESPACES = ("6", "14", "-2")
"""Keys of the namespaces of files, categories and media: links to these show no text."""


def read_mediawiki(item: InputFile, context: Context) -> Iterator[Chunk]:
    """One document per article; if the dump is cut off, the articles before that point."""
    with item.open() as stream:
        if b"<mediawiki" not in stream.read(_HEAD):
            raise unread_kinds.refusal(item.name, _OTHER_XML) or no_text(item.name)
    dump, account = _Dump(), context.account
    position = 0
    left = 0
    try:
        for _block in xml_parts.feed(item, item, dump, context):
            markup = WikiMarkup(dump.namespaces)
            for page in dump.take_pages():
                position += 1
                if reason := page.reason():
                    account.leave_out_record(reason, item.name, position, _PLACE)
                    continue
                text = markup.text(page.text)
                for _version in range(page.versions - 1):
                    account.leave_out_record(EARLIER_VERSIONS, item.name, position, _PLACE)
                if text:
                    yield Chunk(f"{page.title}\n\n{text}" if page.title else text, True)
                else:
                    account.leave_out_record(EMPTY, item.name, position, _PLACE)
            left += markup.left_out
    except SourceError as error:
        if not position:
            raise
        account.leave_out(PARTS, CUT_OFF, item.name, error.what)
    if left:
        account.leave_out(PARTS, WIKI_TABLES, item.name, number(left))


class _Page(NamedTuple):
    """A page of a wiki in its newest version."""

    title: str
    namespace: str
    text: str
    is_redirect: bool
    is_too_long: bool
    versions: int

    def reason(self) -> str:
        """Why the page isn't an article: an English message, or ""."""
        if self.is_redirect:
            return REDIRECTS
        if self.namespace not in ("0", ""):
            return OTHER_PAGES
        return TOO_LONG if self.is_too_long else ""


class _Dump(xml_parts.Target):
    """Collects the pages of a dump from the parser's events."""

    def __init__(self) -> None:
        super().__init__()
        self.namespaces: list[str] = []
        self._pages: list[_Page] = []
        self._fields: dict[str, list[str]] = {}
        self._field = ""
        self._in_page = self._in_revision = self._is_redirect = False
        self._versions = 0

    def take_pages(self) -> list[_Page]:
        """Return the completed pages and remove them."""
        pages, self._pages = self._pages, []
        return pages

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        name = tag.rpartition("}")[2]
        self._field = ""
        if name == "page":
            self._in_page, self._is_redirect, self._versions, self.held = True, False, 0, 0
            self._fields = {}
        elif name == "revision":
            self._versions += 1
            self._in_revision = True
        elif name == "redirect":
            self._is_redirect = True
        elif name == "namespace":
            self._field = name
            if attributes.get("key") in _NO_TEXT_NAMESPACES and len(self.namespaces) < _MAX_NAMESPACES:
                self.namespaces.append("")
            else:
                self._field = ""
        elif (name in ("title", "ns") and not self._in_revision) or (name == "text" and self._in_revision):
            self.held -= sum(map(len, self._fields.get(name, ())))
            self._field, self._fields[name] = name, []

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        name = tag.rpartition("}")[2]
        self._field = ""
        if name == "revision":
            self._in_revision = False
        elif name == "page" and self._in_page:
            title, namespace, text = ("".join(self._fields.get(field, ())) for field in ("title", "ns", "text"))
            is_too_long = self.held > _MAX_PAGE
            self._pages.append(
                _Page(title, namespace.strip(), text, self._is_redirect, is_too_long, max(1, self._versions))
            )
            self.held = 0
            self._in_page, self._fields = False, {}

    def data(self, text: str) -> None:
        """Handle character data."""
        if self._field == "namespace":
            self.namespaces[-1] = (self.namespaces[-1] + text)[:_MAX_NAME]
        elif self._field and self.held <= _MAX_PAGE:
            self._fields[self._field].append(text)
            self.held += len(text)

"""Electronic books (.epub): the chapters in the order of reading, as one document a book.

A book is one document so that a context can span the end of a chapter; what is too long for one side of the split
is cut there.
"""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.readers import html
from llm_studio.data.sources.readers.archives import Budget, member, open_zip
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, password_protected, too_large, translate_read_errors
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.i18n import _

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_LARGEST_CHAPTER = 1 << 26
_CLOSED_AT_ONCE = re.compile(rb"<([A-Za-z][\w:.-]*)(\s[^<>]*?)?/>")
_VOID = frozenset(b"area base br col embed hr img input link meta param source track wbr".split())
_BLOCK = 1 << 15


def read_epub(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The book as one document, an empty line between chapters."""
    with open_zip(item, context) as (archive, budget):
        book = _Book(item, context, archive, budget)
        begun = False
        for chapter in book.spine():
            within = False
            for text in book.text(chapter):
                if text:
                    yield Chunk(text if within or not begun else "\n\n" + text, False)
                    begun = within = True
        yield Chunk("", True)


class _Book:
    """The parts of a book."""

    def __init__(self, item: InputFile, context: Context, archive: zipfile.ZipFile, budget: Budget) -> None:
        self._item = item
        self._context = context
        self._archive = archive
        self._budget = budget
        self._names = {about.filename: about for about in archive.infolist()}

    def spine(self) -> list[str]:
        """The names of the chapters, in order. Raises SourceError where there are none, or where they are locked."""
        container = self._xml(_CONTAINER)
        packages = [e.get("full-path", "") for e in container.iter() if _local(e) == "rootfile"]
        package = next((name for name in packages if name in self._names), None)
        if package is None:
            raise damaged(self._item.name, _("it doesn't tell where its chapters are"))
        content = self._xml(package)
        folder = posixpath.dirname(package)
        listed = {e.get("id", ""): e for e in content.iter() if _local(e) == "item"}
        order = [listed.get(e.get("idref", "")) for e in content.iter() if _local(e) == "itemref"]
        names: list[str] = []
        for entry in order:
            if entry is None or entry.get("media-type") not in _PAGES or "nav" in entry.get("properties", "").split():
                continue
            name = posixpath.normpath(posixpath.join(folder, unquote(entry.get("href", "")).partition("#")[0]))
            if name in self._names:
                names.append(name)
        names = list(dict.fromkeys(names))
        if not names:
            raise damaged(self._item.name, _("it doesn't tell where its chapters are"))
        self._check_locks(set(names))
        return names

    def _check_locks(self, chapters: set[str]) -> None:
        if _ENCRYPTION in self._names:
            locked = {
                unquote(e.get("URI", "")) for e in self._xml(_ENCRYPTION).iter() if _local(e) == "CipherReference"
            }
            if locked & chapters:
                raise password_protected(self._item.name)

    def text(self, name: str) -> Iterator[str]:
        """What is seen of a chapter, part by part."""
        page = self._bytes(name)
        encoding = html.declared_encoding(page[:4096])
        if page.startswith((b"\xff\xfe", b"\xfe\xff")):
            encoding = "utf-16"
        page = page.decode(encoding or "utf-8-sig", "replace").encode()
        page = _CLOSED_AT_ONCE.sub(_with_an_end, page)
        seen = html.VisibleText(web_page=False)
        feed = html.parser(seen)
        for start in range(0, len(page), _BLOCK):
            self._context.job.check()
            feed.feed(page[start : start + _BLOCK])
            yield seen.take()
        html.finish(feed)
        yield seen.take()

    def _xml(self, name: str) -> Any:
        """The root of one of the small files that describe the book."""
        from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  compiled, without types

        if name not in self._names:
            raise damaged(self._item.name, _("“{name}” is missing in it").format(name=name))
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
        try:
            root = etree.fromstring(self._bytes(name), parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise damaged(self._item.name, error) from error
        if root is None:
            raise damaged(self._item.name, _("“{name}” is empty").format(name=name))
        return root

    def _bytes(self, name: str) -> bytes:
        part = member(self._item, self._archive, self._names[name], self._budget)
        with translate_read_errors(part.name), part.open() as stream:
            content = stream.read(_LARGEST_CHAPTER + 1)
        self._context.job.check()
        if len(content) > _LARGEST_CHAPTER:
            raise too_large(part.name, _LARGEST_CHAPTER)
        return content


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _with_an_end(found: re.Match[bytes]) -> bytes:
    """An element closed at once, as XHTML has it, written so that HTML understands it."""
    if found[1].lower() in _VOID:
        return found[0]
    return b"<%b%b></%b>" % (found[1], found[2] or b"", found[1])

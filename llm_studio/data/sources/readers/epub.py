"""E-books (.epub): the chapters in reading order, each book as one document.

A book is one document so that a context can span the end of a chapter; a book that is too long for the split into
training and validation is cut there.
"""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.expansion import Budget
from llm_studio.data.sources.readers import html
from llm_studio.data.sources.readers.archives import member, open_zip
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, password_protected, too_large, translate_read_errors
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.i18n import _

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_MAX_CHAPTER = 1 << 26
_SELF_CLOSING = re.compile(rb"<([A-Za-z][\w:.-]*)(\s[^<>]*?)?/>")
_VOID = frozenset(b"area base br col embed hr img input link meta param source track wbr".split())
_BLOCK = 1 << 15


def read_epub(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The book as one document, with a blank line between chapters."""
    with open_zip(item, context) as (archive, budget):
        book = _Book(item, context, archive, budget)
        started = False
        for chapter in book.spine():
            in_chapter = False
            for text in book.text(chapter):
                if text:
                    yield Chunk(text if in_chapter or not started else "\n\n" + text, False)
                    started = in_chapter = True
        yield Chunk("", True)


class _Book:
    """The files of a book."""

    def __init__(self, item: InputFile, context: Context, archive: zipfile.ZipFile, budget: Budget) -> None:
        self._item = item
        self._context = context
        self._archive = archive
        self._budget = budget
        self._names = {info.filename: info for info in archive.infolist()}

    def spine(self) -> list[str]:
        """The names of the chapters, in order. Raises SourceError where there are none, or where they are encrypted."""
        container = self._xml(_CONTAINER)
        packages = [e.get("full-path", "") for e in container.iter() if _local(e) == "rootfile"]
        package = next((name for name in packages if name in self._names), None)
        if package is None:
            raise damaged(self._item.name, _("its list of chapters is missing"))
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
            raise damaged(self._item.name, _("its list of chapters is missing"))
        self._check_encryption(set(names))
        return names

    def _check_encryption(self, chapters: set[str]) -> None:
        if _ENCRYPTION in self._names:
            encrypted = {
                unquote(e.get("URI", "")) for e in self._xml(_ENCRYPTION).iter() if _local(e) == "CipherReference"
            }
            if encrypted & chapters:
                raise password_protected(self._item.name)

    def text(self, name: str) -> Iterator[str]:
        """The visible text of a chapter, in parts."""
        page = self._bytes(name)
        encoding = html.declared_encoding(page[:4096])
        if page.startswith((b"\xff\xfe", b"\xfe\xff")):
            encoding = "utf-16"
        page = page.decode(encoding or "utf-8-sig", "replace").encode()
        page = _SELF_CLOSING.sub(_with_end_tag, page)
        visible = html.VisibleText(web_page=False)
        feed = html.parser(visible)
        for start in range(0, len(page), _BLOCK):
            self._context.job.check()
            feed.feed(page[start : start + _BLOCK])
            yield visible.take()
        html.finish(feed)
        yield visible.take()

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
            content = stream.read(_MAX_CHAPTER + 1)
        self._context.job.check()
        if len(content) > _MAX_CHAPTER:
            raise too_large(part.name, _MAX_CHAPTER)
        return content


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _with_end_tag(found: re.Match[bytes]) -> bytes:
    """A self-closing element of XHTML, written as HTML."""
    if found[1].lower() in _VOID:
        return found[0]
    return b"<%b%b></%b>" % (found[1], found[2] or b"", found[1])

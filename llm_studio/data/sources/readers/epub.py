"""E-books (.epub): the chapters in reading order, each book as one document.

A book is one document so that a context can span the end of a chapter. A book that is too long for the split into
training and validation texts is divided there.
"""

import posixpath
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import MISSING_CHAPTERS, PARTS
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
_NCX = "application/x-dtbncx+xml"
_PAGE_NAME = re.compile(r".+\.x?html?", re.I)
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
        self._alike: dict[str, str] = {}
        for name in self._names:
            for written in (name, _as_utf8(name)):
                self._alike.setdefault(_simplified(written), name)

    def spine(self) -> list[str]:
        """The file names of the chapters in reading order; those outside of it, such as notes, come last.

        A book that doesn't specify the order is read in the order of its table of contents, or else of its list of
        files. Raises SourceError if there are no chapters, or if they are encrypted.
        """
        package = self._package()
        if package is None:
            names = sorted(filter(_PAGE_NAME.fullmatch, self._names))
        else:
            names = self._listed(self._xml(package), posixpath.dirname(package))
        if not names:
            raise damaged(self._item.name, _("its list of chapters is missing"))
        self._check_encryption(set(names))
        return names

    def _package(self) -> str | None:
        """The name of the file that lists the chapters."""
        if (container := self._find(_CONTAINER)) is not None:
            paths = [e.get("full-path", "") for e in self._xml(container).iter() if _local(e) == "rootfile"]
            found = next((name for path in paths if (name := self._find(path)) is not None), None)
            if found is not None:
                return found
        return next((name for name in sorted(self._names) if name.lower().endswith(".opf")), None)

    def _listed(self, content: Any, folder: str) -> list[str]:
        listed = {e.get("id", ""): e for e in content.iter() if _local(e) == "item"}
        pages = [e for e in listed.values() if _is_page(e)]
        order = [(listed.get(e.get("idref", "")), e.get("linear") == "no") for e in content.iter()
                 if _local(e) == "itemref"]  # fmt: skip
        first, last, missing = list[str](), list[str](), list[str]()
        for entry, is_aside in order:
            if entry is None or not _is_page(entry):
                continue
            href = entry.get("href", "")
            name = self._find(href, folder)
            if name is None:
                missing.append(href)
            else:
                (last if is_aside else first).append(name)
        names = list(dict.fromkeys([*first, *last]))
        if not names:
            names = self._without_spine(listed, pages, folder)
        for href in dict.fromkeys(missing):
            self._context.account.leave_out(
                PARTS, MISSING_CHAPTERS, _("{path}: {reason}").format(
                    path=self._context.account.relative(self._item.name), reason=unquote(href))
            )  # fmt: skip
        return names

    def _without_spine(self, listed: dict[str, Any], pages: list[Any], folder: str) -> list[str]:
        """The chapters in the order of the table of contents, then the others in the order of the list of files."""
        hrefs: list[str] = []
        for entry in listed.values():
            is_contents = entry.get("media-type") == _NCX or "nav" in entry.get("properties", "").split()
            name = self._find(entry.get("href", ""), folder) if is_contents else None
            if name is not None:
                inside = posixpath.dirname(name)
                found = (e.get("src") or e.get("href") for e in self._xml(name).iter() if _local(e) in ("content", "a"))
                hrefs += (chapter for href in found if href and (chapter := self._find(href, inside)) is not None)
        others = (name for e in pages if (name := self._find(e.get("href", ""), folder)) is not None)
        return list(dict.fromkeys([*hrefs, *others]))

    def _find(self, href: str, folder: str = "") -> str | None:
        """The name of the file that `href` refers to: an exact match, or else one that ignores case and normalization.

        None if there is no such file.
        """
        plain = href.partition("#")[0]
        for path in (unquote(plain), href, unquote(href)):
            for name in (posixpath.normpath(posixpath.join(folder, path)), path):
                if name in self._names:
                    return name
                if (alike := self._alike.get(_simplified(name))) is not None:
                    return alike
        return None

    def _check_encryption(self, chapters: set[str]) -> None:
        if _ENCRYPTION in self._names:
            encrypted = {
                unquote(e.get("URI", "")) for e in self._xml(_ENCRYPTION).iter() if _local(e) == "CipherReference"
            }
            if encrypted & chapters:
                raise password_protected(self._item.name)

    def text(self, name: str) -> Iterator[str]:
        """The visible text of a chapter, in chunks."""
        page = self._bytes(name)
        if not page.lstrip().startswith((b"<", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) and b"\0" in page[:4096]:
            raise password_protected(self._item.name)  # encrypted, but not declared as such
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


def _is_page(entry: Any) -> bool:
    return entry.get("media-type") in _PAGES and "nav" not in entry.get("properties", "").split()


def _as_utf8(name: str) -> str:
    """Correct a name that is UTF-8 without being marked as such: `zipfile` decodes it as CP437."""
    try:
        return name.encode("cp437").decode()
    except UnicodeError:
        return name


def _simplified(name: str) -> str:
    """A key that is equal for names that refer to the same file."""
    plain = posixpath.normpath(name.replace("\\", "/").lstrip("/"))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", plain).casefold())


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _with_end_tag(found: re.Match[bytes]) -> bytes:
    """Rewrite a self-closing element of XHTML as HTML."""
    if found[1].lower() in _VOID:
        return found[0]
    return b"<%b%b></%b>" % (found[1], found[2] or b"", found[1])

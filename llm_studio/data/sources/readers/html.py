"""Web pages (.html, .htm): the text that a reader would see, without scripts and, as far as can be told, navigation."""

import codecs
import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.encodings import open_text
from llm_studio.data.sources.readers.items import InputFile

_BLOCK = 1 << 15
_LONGEST_FEED = 1 << 23
_PART_BEGINS = re.compile(r"<(?:p|div|li|tr|h[1-6]|section|article)[ >]", re.I)
_LONGEST_BLOCK = 1 << 16

_UNSEEN = frozenset((
    "head", "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed", "canvas", "audio",
    "video", "select", "button", "textarea", "datalist", "dialog", "menu", "nav", "frameset", "noframes", "map", "rp",
))  # fmt: skip
_BESIDE = frozenset(("aside", "footer"))
"""Beside the text of a web page; in a book, notes."""
_PARAGRAPHS = frozenset((
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "ul", "ol", "dl", "table", "figure", "section",
    "article", "main", "header", "hr", "address", "details", "body",
))  # fmt: skip
_LINES = frozenset((
    "div", "li", "tr", "dt", "dd", "br", "caption", "figcaption", "summary", "legend", "fieldset", "form", "option",
    "center",
))  # fmt: skip
_CELLS = frozenset(("td", "th"))
_NAVIGATION = frozenset((
    "nav", "navbar", "navigation", "menu", "sidebar", "footer", "site-footer", "breadcrumb", "breadcrumbs", "cookie",
    "cookies", "toc", "noprint", "navbox", "mw-editsection", "mw-jump-link", "skip-link", "pagination", "social",
    "share",
))  # fmt: skip
"""Classes and ids."""
_ROLES = frozenset((
    "navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar", "toolbar", "dialog", "alert",
))  # fmt: skip
_SPACE = re.compile("[ \t\n\r\f]+")
_STRAY_ENDS = re.compile(r"\s*(?:</\w+\s*>\s*)+", re.ASCII)
_CELL = "\x1f"
_CELLS_APART = re.compile(f" ?{_CELL} ?")
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_LINKS_IN_A_ROW = 3
_LONGEST_LINK = 100
_DECLARED = re.compile(r"""<(?:\?xml|meta)[^>]{0,200}?(?:encoding|charset)\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I)


def read_html(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The page as one document."""
    with open_text(item, context, _declared(item)) as stream:
        seen = VisibleText(web_page=True)
        feed, fed = parser(seen), 0
        while block := stream.read(_BLOCK):
            context.job.check()
            if not fed and (stray := _STRAY_ENDS.match(block)):  # after them, libxml2 2.11 finds nothing more
                block = block[stray.end() :] or " "
            fed += len(block)
            if fed > _LONGEST_FEED and (place := _new_part(block, fed)) is not None:
                feed.feed(block[:place].encode("utf-8", "replace"))
                finish(feed)
                seen.restart()
                feed, fed, block = parser(seen), 0, block[place:]
            feed.feed(block.encode("utf-8", "replace"))
            yield Chunk(seen.take(), False)
        finish(feed)
        yield Chunk(seen.take(), True)


def _new_part(block: str, fed: int) -> int | None:
    """Where in `block` a parser may begin anew: it holds all it was ever fed, and a page can be of any length."""
    found = _PART_BEGINS.search(block)
    if found or fed < 2 * _LONGEST_FEED:
        return found.start() if found else None
    return block.find(" ") + 1


def _declared(item: InputFile) -> str | None:
    """The encoding that a page names itself, if Python knows it."""
    with item.open() as stream:
        return declared_encoding(stream.read(4096))


def declared_encoding(head: bytes) -> str | None:
    """The encoding named in the first bytes of a page, if Python knows it."""
    found = _DECLARED.search(head.decode("latin-1"))
    if not found:
        return None
    try:
        known = codecs.lookup(found[1])
        known.decode(b"a")
    except (LookupError, ValueError):
        return None
    name = "cp1252" if known.name in ("iso8859-1", "ascii") else known.name  # as all browsers do
    return None if name.startswith("utf") or not known._is_text_encoding else name  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]


def parser(target: "VisibleText") -> Any:
    """A parser of HTML that is fed bytes of UTF-8 and tells `target` what it meets; it builds no tree."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  compiled, without types

    return etree.HTMLParser(target=target, encoding="utf-8", huge_tree=True, no_network=True)


def finish(feed: Any) -> None:
    """End the page; one without any element is no error."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  compiled, without types

    with contextlib.suppress(etree.ParseError):
        feed.close()


class VisibleText:
    """What a reader sees of a page, gathered from the parser's events.

    `of_the_web`: short blocks that are links, several in a row, are navigation, and so is what stands beside the text.
    """

    def __init__(self, web_page: bool) -> None:
        self._of_the_web = web_page
        self._unseen = _UNSEEN | _BESIDE if web_page else _UNSEEN
        self._out: list[str] = []
        self._block: list[str] = []
        self._length = self._linked = 0  # characters of the block, and of those in links
        self._depth = self._hidden_at = 0  # how many elements are open, the outermost of them that is not seen
        self._links = self._as_written = 0  # how many such elements are open
        self._gap = 0  # line ends before the next block
        self._begun = self._within = False  # something is out; a part of this block is out
        self._waiting: list[tuple[int, str]] = []  # blocks that are links: navigation, if there are several

    def take(self) -> str:
        """The text that is certain by now, each part once."""
        text = "".join(self._out)
        self._out.clear()
        return text

    def restart(self) -> None:
        """Another parser goes on with the page."""
        self._depth = self._hidden_at = self._links = self._as_written = 0

    # --- What the parser tells -------------------------------------------------------------------------------

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        self._depth += 1
        if self._hidden_at:
            return
        if tag in self._unseen or self._is_hidden(tag, attributes):
            self._hidden_at = self._depth
            self._end_block(1)
            return
        if tag == "br" and self._gap and not self._length:
            self._gap = 2
        self._part(tag)
        self._links += tag == "a"
        self._as_written += tag == "pre"

    def end(self, tag: str) -> None:
        """An element ends."""
        hidden = self._hidden_at
        if hidden and self._depth <= hidden:
            self._hidden_at = 0
        self._depth = max(0, self._depth - 1)
        if hidden:
            return
        if tag in _CELLS:
            self._block.append(_CELL)
        elif tag != "br":
            self._part(tag)
        self._links = max(0, self._links - (tag == "a"))
        self._as_written = max(0, self._as_written - (tag == "pre"))

    def data(self, text: str) -> None:
        """Some characters."""
        if self._hidden_at:
            return
        self._block.append(text)
        self._length += len(text)
        if self._links:
            self._linked += len(text)
        if self._length > _LONGEST_BLOCK:
            self._let_out(ends=False)

    def comment(self, text: str) -> None:
        """Not seen."""

    def close(self) -> str:
        """The page has ended."""
        self._end_block(0)
        self._let_go()
        return ""

    # --- Blocks ----------------------------------------------------------------------------------------------

    def _is_hidden(self, tag: str, attributes: Mapping[str, str]) -> bool:
        if tag in ("html", "body", "main", "article"):
            return False
        if "hidden" in attributes or attributes.get("aria-hidden") == "true":
            return True
        if _HIDDEN.search(attributes.get("style", "")):
            return True
        if not self._of_the_web:
            return False
        named = f"{attributes.get('class', '')} {attributes.get('id', '')}".lower().split()
        return attributes.get("role", "") in _ROLES or not _NAVIGATION.isdisjoint(named)

    def _part(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._end_block(2)
        elif tag in _LINES:
            self._end_block(1)

    def _end_block(self, gap: int) -> None:
        """What was gathered is a block of its own; `gap` line ends, or more, come before the next."""
        self._let_out(ends=True)
        self._within = False
        self._gap = max(self._gap, gap)

    def _let_out(self, ends: bool) -> None:
        """Let out what is gathered of a block. `ends`: all of it is there."""
        text = "".join(self._block)
        if self._as_written:
            text = text.replace(_CELL, "\t").strip("\n") if ends else text
        else:
            text = _CELLS_APART.sub("\t", _SPACE.sub(" ", text))
            text = text if self._within else text.lstrip(" \t")
            text = text.rstrip(" \t") if ends else text
        links = self._of_the_web and ends and not self._within and self._linked * 5 >= len(text) * 4
        short = self._linked > 0 and self._length < _LONGEST_LINK
        self._block.clear()
        self._length = self._linked = 0
        if text.strip() or self._within:
            self._add(text, links and short)
            self._within = not ends

    def _add(self, text: str, navigation: bool) -> None:
        if navigation:
            self._waiting = [*self._waiting, (self._gap, text)][:_LINKS_IN_A_ROW]  # enough to know
            self._gap = 0
            return
        self._let_go()
        self._out.append("\n" * (self._gap if self._begun and not self._within else 0) + text)
        self._gap, self._begun = 0, True

    def _let_go(self) -> None:
        """Keep the links that waited, unless they are several in a row."""
        if len(self._waiting) < _LINKS_IN_A_ROW:
            for gap, text in self._waiting:
                self._out.append("\n" * gap * self._begun + text)
                self._begun = True
        elif self._gap < 2:
            self._gap = 2
        self._waiting.clear()

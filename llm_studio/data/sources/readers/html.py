"""Web pages (.html, .htm): the visible text, without scripts and, where it is detected, navigation."""

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
_MAX_FEED = 1 << 23
_BLOCK_START = re.compile(r"<(?:p|div|li|tr|h[1-6]|section|article)[ >]", re.I)
_MAX_BLOCK = 1 << 16

_HIDDEN_ELEMENTS = frozenset((
    "head", "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed", "canvas", "audio",
    "video", "select", "button", "textarea", "datalist", "dialog", "menu", "nav", "frameset", "noframes", "map", "rp",
))  # fmt: skip
_SIDE_ELEMENTS = frozenset(("aside", "footer"))
"""Left out of web pages; in books, they contain notes."""
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
"""Classes and ids of navigation elements."""
_NAVIGATION_ROLES = frozenset((
    "navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar", "toolbar", "dialog", "alert",
))  # fmt: skip
_SPACE = re.compile("[ \t\n\r\f]+")
_STRAY_END_TAGS = re.compile(r"\s*(?:</\w+\s*>\s*)+", re.ASCII)
_CELL = "\x1f"
_CELL_BORDER = re.compile(f" ?{_CELL} ?")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_LINKS_IN_A_ROW = 3
_MAX_LINK = 100
_DECLARED = re.compile(r"""<(?:\?xml|meta)[^>]{0,200}?(?:encoding|charset)\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I)


_NOTE_MARK = re.compile(r"[\[(]?\s*(?:[-−]?\d{1,4}|[*†‡§¶]{1,3}|[a-z]|note \d{1,3})\s*[\])]?", re.I)
_BEFORE_NOTE = re.compile(r"(?:[^\W\d_]{3}|[.,;:!?»”’)…]\s?)$")
"""A word or the end of a sentence: a raised number after it marks a note and isn't a power."""
_RAISED = str.maketrans("0123456789-−+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁺")
_NOTE_TYPES = frozenset(("noteref", "doc-noteref", "footnote-ref", "footnoteref", "fn-ref", "note-ref"))


def _is_note_mark(attributes: Mapping[str, str]) -> bool:
    words = f"{attributes.get('epub:type', '')} {attributes.get('role', '')} {attributes.get('class', '')}".lower()
    return not _NOTE_TYPES.isdisjoint(words.split())


def read_html(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The page as one document."""
    with open_text(item, context, _declared(item)) as stream:
        visible = VisibleText(web_page=True)
        feed, fed = parser(visible), 0
        while block := stream.read(_BLOCK):
            context.job.check()
            if not fed and (stray := _STRAY_END_TAGS.match(block)):  # libxml2 2.11 ignores all that follows them
                block = block[stray.end() :] or " "
            fed += len(block)
            if fed > _MAX_FEED and (place := _restart_position(block, fed)) is not None:
                feed.feed(block[:place].encode("utf-8", "replace"))
                finish(feed)
                visible.restart()
                feed, fed, block = parser(visible), 0, block[place:]
            feed.feed(block.encode("utf-8", "replace"))
            yield Chunk(visible.take(), False)
        finish(feed)
        yield Chunk(visible.take(), True)


def _restart_position(block: str, fed: int) -> int | None:
    """The position in `block` at which to restart with a new parser, or None.

    A parser keeps all its input, and a page can be of any length.
    """
    found = _BLOCK_START.search(block)
    if found or fed < 2 * _MAX_FEED:
        return found.start() if found else None
    return block.find(" ") + 1


def _declared(item: InputFile) -> str | None:
    """The encoding that a page declares: see `declared_encoding`."""
    with item.open() as stream:
        return declared_encoding(stream.read(4096))


def declared_encoding(head: bytes) -> str | None:
    """The encoding declared in the first bytes of a page; None if it is Unicode or unknown to Python."""
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
    """An HTML parser for UTF-8 that calls the methods of `target` for elements and text; it builds no tree."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  compiled, without types

    return etree.HTMLParser(target=target, encoding="utf-8", huge_tree=True, no_network=True)


def finish(feed: Any) -> None:
    """End the page. A page without any element isn't an error."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  compiled, without types

    with contextlib.suppress(etree.ParseError):
        feed.close()


class VisibleText:
    """Collects the visible text of a page from the parser's events.

    `web_page`: leave out navigation: side elements, and several short blocks of links in a row.
    """

    def __init__(self, web_page: bool) -> None:
        self._web_page = web_page
        self._hidden_elements = _HIDDEN_ELEMENTS | _SIDE_ELEMENTS if web_page else _HIDDEN_ELEMENTS
        self._out: list[str] = []
        self._block: list[str] = []
        self._length = self._linked = 0  # characters of the block, and of its links
        self._depth = self._hidden_at = 0  # number of open elements, depth of the outermost hidden one
        self._links = self._preformatted = 0  # number of open elements of these kinds
        self._gap = 0  # newlines before the next block
        self._started = self._in_block = False  # whether any text, or part of this block, has been emitted
        self._raised: tuple[int, bool] | None = None  # where the text of a <sup> begins, whether a link is in it
        self._pending: list[tuple[int, str]] = []  # blocks that are links: navigation, if there are several

    def take(self) -> str:
        """Return the completed text and remove it."""
        text = "".join(self._out)
        self._out.clear()
        return text

    def restart(self) -> None:
        """Continue the page with a new parser."""
        self._depth = self._hidden_at = self._links = self._preformatted = 0

    # --- Parser events ---------------------------------------------------------------------------------------

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        self._depth += 1
        if self._hidden_at:
            return
        if tag in ("a", "sup") and _is_note_mark(attributes):
            self._hidden_at = self._depth
            return
        if tag in self._hidden_elements or self._is_hidden(tag, attributes):
            self._hidden_at = self._depth
            self._end_block(1)
            return
        if tag == "sup":
            self._raised = len(self._block), "reference" in attributes.get("class", "")
        elif tag == "a" and self._raised:
            self._raised = self._raised[0], True
        if tag == "br" and self._gap and not self._length:
            self._gap = 2
        self._block_border(tag)
        self._links += tag == "a"
        self._preformatted += tag == "pre"

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        hidden = self._hidden_at
        if hidden and self._depth <= hidden:
            self._hidden_at = 0
        self._depth = max(0, self._depth - 1)
        if hidden:
            return
        if tag == "sup" and self._raised:
            self._end_raised(*self._raised)
        if tag in _CELLS:
            self._block.append(_CELL)
        elif tag != "br":
            self._block_border(tag)
        self._links = max(0, self._links - (tag == "a"))
        self._preformatted = max(0, self._preformatted - (tag == "pre"))

    def data(self, text: str) -> None:
        """Handle character data."""
        if self._hidden_at:
            return
        self._block.append(text)
        self._length += len(text)
        if self._links:
            self._linked += len(text)
        if self._length > _MAX_BLOCK:
            self._emit_block(ends=False)

    def comment(self, text: str) -> None:
        """Ignore a comment."""

    def close(self) -> str:
        """Handle the end of the page."""
        self._end_block(0)
        self._flush_links()
        return ""

    def _end_raised(self, start: int, linked: bool) -> None:
        """Remove the mark of a note, which would become part of the word before it; other numbers are powers."""
        self._raised = None
        text = "".join(self._block[start:]).strip()
        if start > len(self._block) or not _NOTE_MARK.fullmatch(text):
            return
        before = self._block[start - 1][-20:] if start else ""
        if text.isalpha() and not linked:  # “XIXe siècle”
            return
        del self._block[start:]
        if not linked and text.strip("-−").isdecimal() and not _BEFORE_NOTE.search(before):
            self._block.append(text.translate(_RAISED))

    # --- Blocks ----------------------------------------------------------------------------------------------

    def _is_hidden(self, tag: str, attributes: Mapping[str, str]) -> bool:
        if tag in ("html", "body", "main", "article"):
            return False
        if "hidden" in attributes or attributes.get("aria-hidden") == "true":
            return True
        if _HIDDEN_STYLE.search(attributes.get("style", "")):
            return True
        if not self._web_page:
            return False
        names = f"{attributes.get('class', '')} {attributes.get('id', '')}".lower().split()
        return attributes.get("role", "") in _NAVIGATION_ROLES or not _NAVIGATION.isdisjoint(names)

    def _block_border(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._end_block(2)
        elif tag in _LINES:
            self._end_block(1)

    def _end_block(self, gap: int) -> None:
        """End the current block; at least `gap` newlines come before the next one."""
        self._emit_block(ends=True)
        self._in_block = False
        self._gap = max(self._gap, gap)

    def _emit_block(self, ends: bool) -> None:
        """Emit the text of the current block. `ends`: the block is complete."""
        text = "".join(self._block)
        if self._preformatted:
            text = text.replace(_CELL, "\t").strip("\n") if ends else text
        else:
            text = _CELL_BORDER.sub("\t", _SPACE.sub(" ", text))
            text = text if self._in_block else text.lstrip(" \t")
            text = text.rstrip(" \t") if ends else text
        links = self._web_page and ends and not self._in_block and self._linked * 5 >= len(text) * 4
        short = self._linked > 0 and self._length < _MAX_LINK
        self._block.clear()
        self._length = self._linked = 0
        if text.strip() or self._in_block:
            self._add(text, links and short)
            self._in_block = not ends

    def _add(self, text: str, navigation: bool) -> None:
        if navigation:
            self._pending = [*self._pending, (self._gap, text)][:_LINKS_IN_A_ROW]  # more aren't needed
            self._gap = 0
            return
        self._flush_links()
        self._out.append("\n" * (self._gap if self._started and not self._in_block else 0) + text)
        self._gap, self._started = 0, True

    def _flush_links(self) -> None:
        """Emit the pending links, unless they are several in a row."""
        if len(self._pending) < _LINKS_IN_A_ROW:
            for gap, text in self._pending:
                self._out.append("\n" * gap * self._started + text)
                self._started = True
        elif self._gap < 2:
            self._gap = 2
        self._pending.clear()

"""The visible text of MediaWiki markup, extracted in passes of bounded time.

Templates aren't expanded, except a few that show their arguments; tables, references, pictures and categories are left
out.
"""

import html
import re
from collections.abc import Callable, Iterable

_FILES = ("file", "image", "media", "category")
"""Names of namespaces that exist in every wiki; links to these show no text."""
_HIDDEN = ("gallery", "timeline", "imagemap", "score", "templatedata", "mapframe", "graph")
_MAX_DEPTH = 60
_BRACES = re.compile(r"\{\{|\}\}|^[ \t:]*\{\||^[ \t]*\|\}(?!\})", re.M)
_BRACKETS = re.compile(r"\[\[|\]\]")
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:)?//[^\s\]]{1,2000}[ \t]*([^\]\n]{0,1000})\]")
_LINE_BREAK = re.compile(r"<br\b[^<>]{0,100}>", re.I)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,500}>")
_QUOTES = re.compile("'{2,}")
_MAGIC = re.compile(r"__[^\W\d_a-z]{3,30}__")
_HEADING = re.compile(r"(={1,6})(.{1,300})\1\s*$")
_LIST = re.compile(r"([*#:;]{1,20})[ \t]*")
_EMPTY_BRACKETS = re.compile(r"[ \u00a0]?\([ \u00a0,;:–]{0,20}\)")
_CENTURY = re.compile(r"[IVX]{1,6}e siècle")
_FIRST = frozenset(
    ("nobr", "nowrap", "abbr", "abréviation", "citation", "quote", "incise", "petit", "small", "ordinal")
)
_SECOND = frozenset(("lang", "langue", "lien"))
_ALL = frozenset(("unité", "unite", "date", "nombre", "date-", "formatnum"))


class WikiMarkup:
    """Converts pages to text.

    `namespaces`: the wiki's own names for the namespaces of files and categories. `left_out`: number of tables,
    templates and links that were left out.
    """

    def __init__(self, namespaces: Iterable[str] = ()) -> None:
        self.left_out = 0
        self._hidden = frozenset((*_FILES, *(name.lower() for name in namespaces)))

    def text(self, source: str) -> str:
        """The text of a page."""
        text = _without(source, "<!--", "-->")
        text = re.sub(r"<ref(?:erences)?\b[^<>]{0,500}/>", "", text)
        text = re.sub(r"</?references\b[^<>]{0,200}>", "", text)
        text = _without(text, "<ref", "</ref>")
        for name in _HIDDEN:
            text = _without(text, f"<{name}", f"</{name}>")
        text = _without(text, "<math", "</math>", _formula)
        text = self._nested(text, _BRACES, self._template)
        text = self._nested(text, _BRACKETS, self._link)
        text = _LINE_BREAK.sub("\n", _EXTERNAL.sub(r"\1", text))
        text = _MAGIC.sub("", _QUOTES.sub("", _TAG.sub("", text)))
        return _arranged(_EMPTY_BRACKETS.sub("", html.unescape(text)))

    def _nested(self, text: str, marks: re.Pattern[str], replace: Callable[[str], str]) -> str:
        """`text` with everything between paired marks replaced, innermost first; unpaired marks are dropped."""
        open_parts: list[list[str]] = [[]]
        place = 0
        for found in marks.finditer(text):
            open_parts[-1].append(text[place : found.start()])
            place = found.end()
            mark = found[0].strip(" \t:")
            if mark in ("{{", "{|", "[["):
                if len(open_parts) <= _MAX_DEPTH:
                    open_parts.append([mark])
            elif len(open_parts) > 1:
                inner = "".join(open_parts.pop())
                open_parts[-1].append(replace(inner))
        open_parts[-1].append(text[place:])
        rest = ("".join(part[1:] if n else part) for n, part in enumerate(open_parts))
        return "".join(rest)

    def _template(self, inner: str) -> str:
        """The visible text of a template; "" for tables and unknown templates."""
        if not inner.startswith("{{"):
            self.left_out += 1
            return ""
        name, *arguments = (part.strip() for part in inner[2:].split("|"))
        name = name.lower()
        unnamed = [argument for argument in arguments if argument and "=" not in argument]
        if name in _FIRST and unnamed:
            return unnamed[0]
        if name in _SECOND and len(unnamed) > 1:
            return unnamed[1] if name != "lien" else unnamed[0]
        if name in _ALL and unnamed:
            return " ".join(unnamed)
        if name == "s" and unnamed:
            return f"{unnamed[0]}{unnamed[1] if len(unnamed) > 1 else 'e'} siècle"
        if _CENTURY.fullmatch(inner[2:].strip()):
            return inner[2:].strip()
        self.left_out += 1
        return ""

    def _link(self, inner: str) -> str:
        """The visible text of a link."""
        target, bar, label = inner[2:].partition("|")
        if not target.startswith(":") and target.partition(":")[0].strip().lower() in self._hidden and ":" in target:
            self.left_out += 1
            return ""
        shown = label.rpartition("|")[2] if bar else target
        return shown.strip(" :") or target.strip(" :")


def _formula(inner: str) -> str:
    return f" ${inner.partition('>')[2].strip()}$ "


def _without(text: str, opening: str, closing: str, replace: Callable[[str], str] = lambda _inner: "") -> str:
    """`text` with each span from `opening` to `closing` removed or replaced; one that isn't closed is kept."""
    kept: list[str] = []
    place = 0
    while (start := text.find(opening, place)) >= 0 and (end := text.find(closing, start)) >= 0:
        kept += (text[place:start], replace(text[start + len(opening) : end]))
        place = end + len(closing)
    return "".join([*kept, text[place:]])


def _arranged(text: str) -> str:
    """The lines, with list bullets and with the headings that have text below them."""
    lines: list[str] = []
    headings: list[tuple[int, str]] = []
    for line in text.splitlines():
        stripped = line.strip()
        if heading := _HEADING.match(stripped):
            level = len(heading[1])
            headings = [(n, name) for n, name in headings if n < level] + [(level, heading[2].strip(" ="))]
            continue
        if not stripped.strip("-"):
            stripped = ""
        elif mark := _LIST.match(stripped):
            bullet = "- " if mark[1][-1] in "*#" else ""
            stripped = bullet + stripped[mark.end() :] if stripped[mark.end() :] else ""
        if stripped:
            lines += [f"\n{name}\n" for _level, name in headings]
            headings = []
        lines.append(stripped)
    return re.sub(r"\n{3,}", "\n\n", re.sub(" {2,}", " ", "\n".join(lines))).strip()

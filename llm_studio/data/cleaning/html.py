"""Leftover HTML: tags and entities that an extraction program has left in a text.

Only what is certainly HTML is removed: existing elements, whose attributes have values. “a < b”, `List<String>`,
“<unk>” and “<me@home.org>” are kept. A tag must be within one line. Whole web pages are handled by the readers.
"""

import re
from collections.abc import Callable
from html.entities import html5

_BLOCKS = (
    "address article aside blockquote body br caption center dd div dl dt fieldset figcaption figure footer form h1 h2 "
    "h3 h4 h5 h6 head header hr html li main nav noscript ol option p pre section select table tbody tfoot thead title "
    "tr ul"
)
"""Elements that start a new line."""
_CELLS = "td th"
_INLINE = (
    "a abbr acronym audio b bdi bdo big button cite code col colgroup data del details dfn em embed font i iframe img "
    "input ins kbd label legend link mark meta nobr object param picture q rp rt ruby s samp script small source span "
    "strike strong style sub summary sup svg template textarea time tt u var video wbr"
)
_REPLACED = {
    **dict.fromkeys(_BLOCKS.split(), "\n"), **dict.fromkeys(_CELLS.split(), " "), **dict.fromkeys(_INLINE.split(), ""),
}  # fmt: skip

_BLANK = r"[^\S\n]"
_ATTRIBUTE = rf"""{_BLANK}++[A-Za-z_:@][\w:.@-]*+{_BLANK}*+={_BLANK}*+(?:"[^"<>\n]*+"|'[^'<>\n]*+'|[^\s"'<>=]++)"""
_MARKUP = re.compile(
    r"[<&](?:(?<=<)(?:"
    rf"/?([A-Za-z][A-Za-z0-9]*+)(?:{_ATTRIBUTE})*+{_BLANK}*+/?>"
    r"|!--[^<>\n]*+>|![Dd][Oo][Cc][Tt][Yy][Pp][Ee]\b[^<>\n]*+>|\?[Xx][Mm][Ll]\b[^<>\n]*+>"
    r")|(?<=&)(?:amp;)*(\#[0-9]{1,7}|\#[Xx][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)"
)
_ROUNDS = 8


def remove_html(text: str, normalize: Callable[[str], str]) -> str:
    """Remove tags and replace entities in `text`, which consists of complete lines.

    Elements that start a new line become a line end. `normalize` applies the earlier rules to characters that come from
    entities. The result contains no markup, even where markup was nested in other markup.
    """
    if "<" not in text and "&" not in text:
        return text
    once = _remove_once(text, normalize)
    if once == text or not ("<" in once or "&" in once) or _remove_once(once, normalize) == once:
        return once
    return "\n".join(_remove_nested(line, normalize) for line in text.split("\n"))


def _remove_once(text: str, normalize: Callable[[str], str]) -> str:
    changed = _MARKUP.sub(_replacement, text)
    return normalize(changed) if changed != text else text


def _remove_nested(line: str, normalize: Callable[[str], str]) -> str:
    for _round in range(_ROUNDS):
        line, before = _remove_once(line, normalize), line
        if line == before:
            return line
    return normalize(line.replace("<", "").replace("&", ""))  # nested deeper than in any real text


def _replacement(found: "re.Match[str]") -> str:
    element, entity = found.group(1), found.group(2)
    if element is not None:
        return _REPLACED.get(element.lower(), found.group())
    if entity is None:
        return ""
    if entity[0] != "#":
        return html5.get(f"{entity};") or found.group()
    code = int(entity[2:], 16) if entity[1] in "xX" else int(entity[1:])
    if code in (9, 10):
        return chr(code)
    if 0x80 <= code < 0xA0:  # browsers read these as Windows-1252
        return bytes([code]).decode("cp1252", "ignore")
    if code < 32 or code == 0x7F or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        return ""
    return chr(code)

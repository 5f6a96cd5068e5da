"""White space that says nothing.

Indentation says something, in code and in verse: it stays. So do one or two blank lines, and the unbreakable spaces
that French puts before “!” and inside « ».
"""

import re

MOST_BLANK_LINES = 2
"""In a row: two stand between the functions of a program and before a chapter."""

_UNBROKEN = "\xa0\u2007\u202f"
_ODD = "\u1680" + "".join(chr(code) for code in range(0x2000, 0x200B) if chr(code) not in _UNBROKEN) + "\u205f\u3000"
_SPACES = f" {_ODD}{_UNBROKEN}"
_BLANKS = f"\t{_SPACES}"
_RUN = re.compile(r"  (?<=\S  ) *")
_PLAIN = re.compile(rf"[{_UNBROKEN}](?:(?<=[{_SPACES}].)|(?=[{_SPACES}])|(?<![«—–].)(?![!?;:»%€])(?:(?<!\d.)|(?!\d)))")
"""An unbreakable space beside another space, or where French has none: not in a number, in « » or before a mark."""
_LINES = re.compile(rf"\n{{{MOST_BLANK_LINES + 2},}}")
# What a pattern begins with is found fast, so the patterns look back from behind it


class Tidier:
    """Tidies the white space of one document after the other, each given in parts of any length."""

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self._started = False
        self._before = ""
        """Last visible character of a line that goes on in the next part; empty where a line begins."""
        self._kept = ""
        """Blanks whose line goes on in the next part."""
        self._line_ends = 0
        """Line ends that go before the next text, if there is any."""

    def part(self, text: str, line_goes_on: bool, ends: bool) -> str:
        """The next part of a document; its last one `ends` it. White space at its end waits for what follows."""
        text = self._kept + text
        self._kept = ""
        if line_goes_on and not ends:
            visible = text.rstrip(_BLANKS)
            self._kept, text = text[len(visible) :], visible
        before, after = self._before, text[-1:]
        if after:
            self._before = "" if after == "\n" else after
        if self._before and len(self._kept) > 2 and "\t" not in self._kept:
            self._kept = "  "  # so many or more: one will be left
        text = _tidied(text, before)
        if ends:
            text = text.rstrip(_BLANKS)
        text = self._without_blank_lines(text)
        if ends:
            self._restart()
        return text

    def _without_blank_lines(self, text: str) -> str:
        inner = text.lstrip("\n")
        leading = len(text) - len(inner)
        core = inner.rstrip("\n")
        if not core:
            self._line_ends += leading
            return ""
        before = "\n" * min(self._line_ends + leading, MOST_BLANK_LINES + 1) if self._started else ""
        self._started = True
        self._line_ends = len(inner) - len(core)
        return before + core


def _tidied(text: str, before: str) -> str:
    """`text` that stands after the character `before`, but for its blank lines at both ends."""
    text = before + text
    odd = not text.isascii() and any(map(text.__contains__, _ODD + _UNBROKEN))
    if odd:
        for space in _ODD:
            text = text.replace(space, " ")
        text = _PLAIN.sub(" ", text)
    if "  " in text:
        text = _RUN.sub(" ", text)
    if odd or " \n" in text or "\t\n" in text:
        text = "\n".join([line.rstrip(_BLANKS) for line in text.split("\n")])
    if "\n" * (MOST_BLANK_LINES + 2) in text:
        text = _LINES.sub("\n" * (MOST_BLANK_LINES + 1), text)
    return text[len(before) :]

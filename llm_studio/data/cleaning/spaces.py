"""Removal of superfluous white space.

Indentation has a meaning in code and in verse: it is kept. So are one or two blank lines, and the no-break spaces that
French puts before “!” and inside « ».
"""

import re

MAX_BLANK_LINES = 2
"""Blank lines in a row: two separate the functions of a program, or precede a chapter."""

_NO_BREAK = "\xa0\u2007\u202f"
_OTHER_SPACES = (
    "\u1680" + "".join(chr(code) for code in range(0x2000, 0x200B) if chr(code) not in _NO_BREAK) + "\u205f\u3000"
)
_SPACES = f" {_OTHER_SPACES}{_NO_BREAK}"
_BLANKS = f"\t{_SPACES}"
_RUN = re.compile(r"  (?<=\S  ) *")
_UNNECESSARY_NO_BREAK = re.compile(
    rf"[{_NO_BREAK}](?:(?<=[{_SPACES}].)|(?=[{_SPACES}])|(?<![«—–].)(?![!?;:»%€])(?:(?<!\d.)|(?!\d)))"
)
"""A no-break space next to another space, or where French doesn't use one: not in a number, in « » or before a mark."""
_LINES = re.compile(rf"\n{{{MAX_BLANK_LINES + 2},}}")
# A literal at the start of a pattern is found fast, so the patterns start with it and look behind


class SpaceCleaner:
    """Cleans the white space of one document after the other, each given in chunks of any length."""

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self._started = False
        self._before = ""
        """Last visible character of a line that continues in the next chunk; empty at the start of a line."""
        self._kept = ""
        """Blanks at the end of a chunk whose line continues in the next one."""
        self._line_ends = 0
        """Line ends to put before the next text, if there is any."""

    def feed(self, text: str, line_continues: bool, ends: bool) -> str:
        """Return the next chunk cleaned; the last one `ends` the document. White space at its end is held back."""
        text = self._kept + text
        self._kept = ""
        if line_continues and not ends:
            visible = text.rstrip(_BLANKS)
            self._kept, text = text[len(visible) :], visible
        before, after = self._before, text[-1:]
        if after:
            self._before = "" if after == "\n" else after
        if self._before and len(self._kept) > 2 and "\t" not in self._kept:
            self._kept = "  "  # two or more: one will be left
        text = _clean_spaces(text, before)
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
        before = "\n" * min(self._line_ends + leading, MAX_BLANK_LINES + 1) if self._started else ""
        self._started = True
        self._line_ends = len(inner) - len(core)
        return before + core


def _clean_spaces(text: str, before: str) -> str:
    """Clean `text`, which follows the character `before`; blank lines at both ends are unchanged."""
    text = before + text
    special = not text.isascii() and any(map(text.__contains__, _OTHER_SPACES + _NO_BREAK))
    if special:
        for space in _OTHER_SPACES:
            text = text.replace(space, " ")
        text = _UNNECESSARY_NO_BREAK.sub(" ", text)
    if "  " in text:
        text = _RUN.sub(" ", text)
    if special or " \n" in text or "\t\n" in text:
        text = "\n".join([line.rstrip(_BLANKS) for line in text.split("\n")])
    if "\n" * (MAX_BLANK_LINES + 2) in text:
        text = _LINES.sub("\n" * (MAX_BLANK_LINES + 1), text)
    return text[len(before) :]

"""The licence around books of Project Gutenberg: what is before the line “START OF …” and after the line “END OF …”."""

import re

_BOOK = r"\*\*\* ?{} OF (?:THE|THIS) PROJECT GUTENBERG"
_START = re.compile(_BOOK.format("START") + r"[^\n]*\n", re.I)
_END = re.compile(_BOOK.format("END"), re.I)
_MAX_HEAD = 50_000
"""The book must start within this number of characters."""
_MAX_LINE = 300
"""Length limit of an incomplete line that is held back at the end of a chunk, since it may be the line “END OF …”."""


class LicenceRemover:
    """Removes the licence from one document after the other, each in chunks."""

    def __init__(self) -> None:
        self._held = ""
        self._begun = self._over = False

    def __call__(self, text: str, ends: bool) -> str:
        """Return the next chunk without the licence, with what was held back before."""
        text = self._held + text
        self._held = ""
        if not self._begun:
            found = _START.search(text, 0, _MAX_HEAD)
            if found is None and len(text) < _MAX_HEAD and not ends:
                self._held = text
                return ""
            text = text[found.end() :] if found else text
            self._begun = True
        if self._over:
            text = ""
        elif found := _END.search(text):
            text, self._over = text[: found.start()], True
        elif not ends:
            cut = text.rfind("\n") + 1
            if len(text) - cut <= _MAX_LINE:
                text, self._held = text[:cut], text[cut:]
        if ends:
            self._begun = self._over = False
        return text

"""The words of a text, as runs of letters."""

import re

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTERS = re.compile(r"[^\W\d_]+")
_LETTERS_OR_SIGN = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W\d_])+")
_LAST_WORD = re.compile(rf"(?:(?![{_UNSPACED}])[^\W\d_])+\Z")
_HAS_SIGN = re.compile(f"[{_UNSPACED}]")


def letter_words(text: str) -> list[str]:
    """The words of `text`: runs of letters, casefolded. In Chinese and Japanese each character is one."""
    text = text.casefold()
    if not text.isascii() and _HAS_SIGN.search(text):
        return _LETTERS_OR_SIGN.findall(text)
    return _LETTERS.findall(text)


def whole_words(text: str, before: str) -> str:
    """The whole words in `text`, which was cut out after `before`, perhaps in the middle of words at both ends.

    The first word is completed by its beginning in `before`; the last one is left out if no other character ends it.
    """
    beginning = _LAST_WORD.search(before) if text[:1].isalpha() else None
    return _LAST_WORD.sub("", (beginning[0] if beginning else "") + text)

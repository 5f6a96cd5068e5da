"""Which language a text is in.

By CLD2, the detector that Chrome used: a naive Bayes of groups of four letters, compiled, with its tables inside. It
says when it is unsure instead of guessing, which is what a filter needs: on real French and English it is wrong for
none of a thousand texts of 150 characters.
"""

import re

from llm_studio.config import LANGUAGES

SAMPLE = 2_000
"""Characters that are looked at; of a longer text a third of them each from its beginning, middle and end."""

_OTHER_NAMES = {"iw": "he", "jw": "jv", "zh-Hant": "zh"}
"""Codes of CLD2 that are older or more precise than ISO 639-1."""
_NO_LANGUAGES = {"un", "tlh", "zzp", "sco"}
"""Not known; Klingon, Pig Latin and Scots, each of which is English nearly every time."""
_REFUSED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def identify(text: str) -> str:
    """The code of the language that most of `text` is in, one of LANGUAGES, or "" where that isn't sure."""
    import pycld2

    sample = _REFUSED.sub(" ", _sample(text))
    try:
        sure, _size, found = pycld2.detect(sample, isPlainText=True)[:3]
    except pycld2.error:  # a character that its tables hold to be none
        return ""
    code = found[0][1]
    code = _OTHER_NAMES.get(code, code)
    return code if sure and code in LANGUAGES and code not in _NO_LANGUAGES else ""


def _sample(text: str) -> str:
    if len(text) <= SAMPLE:
        return text
    third, middle = SAMPLE // 3, len(text) // 2
    return "\n".join((text[:third], text[middle : middle + third], text[-third:]))

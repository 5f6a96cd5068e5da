"""Cleaning a text: what a model should never have to learn."""

import re
import unicodedata

from llm_studio.config import DataSettings

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f]+")
_NOT_CONTROLS = bytes(byte for byte in range(256) if byte >= 32 or byte in b"\n\t")


def clean(text: str, settings: DataSettings) -> str:
    """`text` without control characters and, if set, with each accented letter written in one way (NFC).

    Lines end with LF; tabs stay. The pieces of a document may be cleaned one by one, cut as they are.
    """
    if text.encode("utf-8", "surrogatepass").translate(None, _NOT_CONTROLS):  # three times faster than a search
        text = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    if settings.normalize_unicode and not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    return text

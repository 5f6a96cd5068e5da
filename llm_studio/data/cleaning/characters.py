"""Rules for single characters. Each works on a chunk cut at a safe position, independently of the rest."""

import re
import unicodedata

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f]+")
_NOT_CONTROLS = bytes(byte for byte in range(256) if byte >= 32 or byte in b"\n\t")
INVISIBLE = "".join(map(chr, range(0x7F, 0xA0))) + "\xad\u200b\u200e\u200f\u2060\ufeff"
"""Delete, the Latin-1 control characters, soft hyphen, zero-width space, direction marks, word joiner, byte order mark.

Not the zero-width joiners: they are needed in Persian, Hindi and emoji sequences.
"""
_INVISIBLE = re.compile(f"[{INVISIBLE}]+")


def remove_controls(text: str) -> str:
    """Return `text` without control characters; lines end with LF, tabs are kept."""
    if text.encode("utf-8", "surrogatepass").translate(None, _NOT_CONTROLS):  # three times faster than a regex
        return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return text


def remove_invisible(text: str) -> str:
    """Return `text` without invisible characters, which give one word two spellings.

    U+0085 is a line end on IBM mainframes.
    """
    if not any(map(text.__contains__, "\x7f" if text.isascii() else INVISIBLE)):  # faster than a regex
        return text
    return _INVISIBLE.sub("", text.replace("\x85", "\n"))


def normalize_unicode(text: str) -> str:
    """Return `text` in Unicode normalisation form C: one spelling of each accented letter."""
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)

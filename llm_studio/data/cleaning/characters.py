"""Rules for single characters. Each takes a text cut at a safe place and needs to know nothing else of its document."""

import re
import unicodedata

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f]+")
_NOT_CONTROLS = bytes(byte for byte in range(256) if byte >= 32 or byte in b"\n\t")
INVISIBLE = "".join(map(chr, range(0x7F, 0xA0))) + "\xad\u200b\u200e\u200f\u2060\ufeff"
"""Delete, the controls of Latin-1, soft hyphen, zero-width space, marks of direction, word joiner, byte order mark.

Not the zero-width joiners: Persian, Hindi and families of emoji are written with them.
"""
_INVISIBLE = re.compile(f"[{INVISIBLE}]+")


def remove_controls(text: str) -> str:
    """`text` without control characters; lines end with LF, tabs stay."""
    if text.encode("utf-8", "surrogatepass").translate(None, _NOT_CONTROLS):  # three times faster than a search
        return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return text


def remove_invisible(text: str) -> str:
    """`text` without characters that nobody sees and that make two spellings of one word.

    U+0085 is a line's end on IBM's machines.
    """
    if not any(map(text.__contains__, "\x7f" if text.isascii() else INVISIBLE)):  # faster than a search
        return text
    return _INVISIBLE.sub("", text.replace("\x85", "\n"))


def normalize_unicode(text: str) -> str:
    """`text` with each accented letter written in one way (NFC)."""
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)

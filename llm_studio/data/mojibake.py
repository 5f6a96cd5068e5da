"""Detection and repair of mojibake: UTF-8 that was decoded as another encoding and saved, “dÃ©jÃ ” for “déjà”.

A UTF-8 character of several bytes, a lead byte and its continuation bytes, became as many adjacent characters. Each
such group is encoded back to bytes and decoded as UTF-8; a group that isn't valid UTF-8 is left unchanged.
"""

import re
from collections.abc import Iterator
from functools import cache, partial

_MARKS = {
    "cp1252": ("Ã", "Â", "â€", "Ð", "ð", "ã\x81", "ã‚", "ãƒ"), "mac_roman": ("√", "¬", "‚Ä"), "cp850": ("├", "┬", "ÔÇ"),
    "cp437": ("├", "┬", "ΓÇ"), "cp1250": ("Ă", "Â", "â€"), "cp1251": ("Рѕ", "Р°", "Рµ", "Г©", "Гі", "Г±", "вЂ"),
}  # fmt: skip
"""The marks of each encoding: mojibake of some length contains at least one of them, which allows a fast first test."""
_RARE = tuple({mark[-1] for marks in _MARKS.values() for mark in marks})
"""The last character of each mark: it is found many times faster than a mark, and most texts contain none of them."""
_WHOLE_ALPHABETS = ("cp1252", "cp1251")
"""Encodings for which Cyrillic, Greek, Chinese, ... are detected too, if at least two such characters are in a row."""
_SIGNS = "ŒœŠšŽžŸ‘’‚“”„–—…•€™ﬁﬂ\ufeff"
_LETTER = r"[^\W\d_]"
_AFTER_LETTERS = "‘’“”„–—…«»πΩ∏∑∫∂≈≤≥"
"""Signs that may be correct after the character of the lead byte C3, a capital or a root sign: they count as mojibake
only before a letter, or in Mac Roman also after one."""


def count_damaged_lines(text: str) -> int:
    """The number of lines of `text` that contain mojibake."""
    damaged: set[int] = set()  # offsets of these lines
    for codec in _suspects(text):
        pattern = _pattern(codec)
        for begin, end in _marked_lines(text, _MARKS[codec]):
            if pattern.search(text, begin, end):
                damaged.add(begin)
    return len(damaged)


def _marked_lines(text: str, marks: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """(start, end) of each line that contains a mark; a line with two different marks is yielded twice."""
    for mark in marks:
        place = text.find(mark)
        while place >= 0:
            end = text.find("\n", place)
            end = len(text) if end < 0 else end
            yield text.rfind("\n", 0, place) + 1, end
            place = text.find(mark, end)


def repair(text: str) -> str:
    """Return `text` with its mojibake repaired, even if it was damaged several times."""
    for codec in _suspects(text):
        while (repaired := _pattern(codec).sub(partial(_repaired, codec), text)) != text:
            text = repaired
    return text


def _suspects(text: str) -> list[str]:
    """The encodings as which UTF-8 may have been decoded, judging by their marks."""
    if text.isascii() or not any(map(text.__contains__, _RARE)):
        return []
    return [codec for codec, marks in _MARKS.items() if any(mark[-1] in text and mark in text for mark in marks)]


def _repaired(codec: str, found: re.Match[str]) -> str:
    """Decode a group of characters as UTF-8; the group itself if its bytes aren't valid UTF-8."""
    encode = _bytes_of(codec)
    try:
        return bytes(encode[character] for character in found[0]).decode()
    except UnicodeDecodeError:
        return found[0]


@cache
def _bytes_of(codec: str) -> dict[str, int]:
    """The byte of each character above ASCII; bytes that the encoding doesn't define are C1 control characters."""
    table: dict[str, int] = {}
    for byte in range(0x80, 0x100):
        character = bytes([byte]).decode(codec, "replace")
        table[chr(byte) if character == "\ufffd" else character] = byte
    return table


@cache
def _pattern(codec: str) -> re.Pattern[str]:
    return re.compile("|".join(_groups(codec)))


def _groups(codec: str) -> Iterator[str]:
    """Patterns of UTF-8 characters decoded as `codec`: other alphabets, Western letters and signs, emoji."""
    of = {byte: re.escape(character) for character, byte in _bytes_of(codec).items()}
    inner = {byte: of[byte] for byte in range(0x80, 0xC0)}
    rest = "[" + "".join(inner.values()) + "]"
    if codec in _WHOLE_ALPHABETS:
        two = "[" + "".join(of[byte] for byte in range(0xC2, 0xE0)) + f"]{rest}"
        three = "[" + "".join(of[byte] for byte in range(0xE0, 0xF0)) + f"]{rest}{{2}}"
        yield f"(?:{three}|{two}){{2,}}"
    for lead, first in ((0xC3, 0x80), (0xC2, 0xA0)):
        signs = [inner[byte] for byte in range(first, 0xC0)]
        after = _AFTER_LETTERS if lead == 0xC3 else ""
        yield f"{of[lead]}[{''.join(sign for sign in signs if sign not in after)}]"
        if with_letter := [sign for sign in signs if sign in after]:
            yield f"{of[lead]}[{''.join(with_letter)}](?={_LETTER})"
            if codec == "mac_roman":
                yield f"(?<={_LETTER}){of[lead]}[{''.join(with_letter)}]"
    yield "|".join("".join(of[byte] for byte in sign.encode()) for sign in _SIGNS)
    yield f"{of[0xF0]}{of[0x9F]}{rest}{{2}}"

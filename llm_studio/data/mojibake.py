"""Mojibake: UTF-8 that was read as another encoding and saved like that, “dÃ©jÃ ” for “déjà”. Finding and repairing it.

The characters that the bytes of one UTF-8 character became stand side by side: a lead byte and its continuation bytes.
Each such group, put back into bytes, is UTF-8 again; what isn't stays as it is.
"""

import re
from collections.abc import Iterator
from functools import cache, partial

_MARKS = {
    "cp1252": ("Ã", "Â", "â€", "Ð", "ð", "ã\x81", "ã‚", "ãƒ"), "mac_roman": ("√", "¬", "‚Ä"), "cp850": ("├", "┬", "ÔÇ"),
    "cp437": ("├", "┬", "ΓÇ"), "cp1250": ("Ă", "Â", "â€"), "cp1251": ("Рѕ", "Р°", "Рµ", "Г©", "Гі", "Г±", "вЂ"),
}  # fmt: skip
"""For each encoding, characters of which mojibake of some length always holds one: a fast first test."""
_RARE = tuple({mark[-1] for marks in _MARKS.values() for mark in marks})
"""One character of each mark: a search for one is many times faster than for two, and most texts hold none of them."""
_WHOLE_ALPHABETS = ("cp1252", "cp1251")
"""Encodings in which Cyrillic, Greek, Chinese ... are looked for too: only several such characters in a row."""
_SIGNS = "ŒœŠšŽžŸ‘’‚“”„–—…•€™ﬁﬂ\ufeff"
_LETTER = r"[^\W\d_]"
_AFTER_LETTERS = "‘’“”„–—…«»πΩ∏∑∫∂≈≤≥"
"""Signs that stand after a capital or a root sign by right, unless a letter follows."""


def count_damaged_lines(text: str) -> int:
    """The number of lines in `text` that hold mojibake."""
    damaged: set[int] = set()  # where these lines begin
    for codec in _suspects(text):
        pattern = _pattern(codec)
        for begin, end in _marked_lines(text, _MARKS[codec]):
            if pattern.search(text, begin, end):
                damaged.add(begin)
    return len(damaged)


def _marked_lines(text: str, marks: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where each line that holds a mark begins and ends; one with two marks can come twice."""
    for mark in marks:
        place = text.find(mark)
        while place >= 0:
            end = text.find("\n", place)
            end = len(text) if end < 0 else end
            yield text.rfind("\n", 0, place) + 1, end
            place = text.find(mark, end)


def repair(text: str) -> str:
    """`text` without mojibake, also where it was made twice."""
    for codec in _suspects(text):
        while (repaired := _pattern(codec).sub(partial(_repaired, codec), text)) != text:
            text = repaired
    return text


def _suspects(text: str) -> list[str]:
    """The encodings that UTF-8 may have been taken for."""
    if text.isascii() or not any(map(text.__contains__, _RARE)):
        return []
    return [codec for codec, marks in _MARKS.items() if any(mark[-1] in text and mark in text for mark in marks)]


def _repaired(codec: str, found: re.Match[str]) -> str:
    """The characters that a group of others stands for; the group itself where it isn't UTF-8."""
    encode = _bytes_of(codec)
    try:
        return bytes(encode[character] for character in found[0]).decode()
    except UnicodeDecodeError:
        return found[0]


@cache
def _bytes_of(codec: str) -> dict[str, int]:
    """The byte above 127 of each character; a byte that the encoding doesn't have is the control character it is."""
    table: dict[str, int] = {}
    for byte in range(0x80, 0x100):
        character = bytes([byte]).decode(codec, "replace")
        table[chr(byte) if character == "\ufffd" else character] = byte
    return table


@cache
def _pattern(codec: str) -> re.Pattern[str]:
    return re.compile("|".join(_groups(codec)))


def _groups(codec: str) -> Iterator[str]:
    """Patterns of what UTF-8 characters become in an encoding: Western letters and signs, emoji, other alphabets."""
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

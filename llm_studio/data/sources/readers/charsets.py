"""Ranks the possible encodings of a text that isn't Unicode by the characters that its bytes decode to.

In the right encoding, the non-ASCII letters belong to one language and have its letter frequencies, no capital follows
a lowercase letter, and no symbol is inside a word. Each encoding is scored on this for each of its languages.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache

_LATIN = {
    "fr": "éèàêçôâîûùëïœüæÿ", "de": "üäöß", "es": "óíáñéúü", "pt": "ãçáéóíêâõúôà", "it": "èàòùìéóî", "en": "éèïöêñ",
    "nl": "ëéïèóöü", "ca": "àéíóçèòúïü", "sv": "äåöé", "da": "åøæé", "fi": "äöå", "is": "íáðóþéöúæý",
}  # fmt: skip
_CENTRAL = {
    "pl": "łęąóżśćńź", "cs": "íáěéřýžůšúčťňóď", "sk": "áíčžšýťúéľôňäďŕĺó", "hu": "áéőöóíüúű", "hr": "čžšćđ",
    "ro": "ăâîşţșț",
}  # fmt: skip
_CYRILLIC = {
    "ru": "оеаинтсрвлкмдпуяызьбгчйхжшюцщэфъё", "uk": "оаниіврткелсмдупяьзгбйчхцжїшщюєґф",
    "bg": "аоиетнрсвлкмдпуъзгябчщцжйшхфюьё", "sr": "аоеинрсјтукмдвплзгбчцхжшћђљњфџ",
}  # fmt: skip
_GREEK = {"el": "αοιετσνηυρπκμλωςγδίάόέήύθχώφβξζψϊϋ"}
_HEBREW = {"he": "יוהלאתרבמשםנכדחפקעגטסןצזךץף"}
_ARABIC = {"ar": "البيمنتروعدسهفكقحجصشخطةذضزثىءغأظئؤإآ"}
_THAI = {"th": "านรกอเงมยลวดทสตะปบคหแจพชขใไโผซธฐศถภญณษ่้ัีิืุู็์ำๆ"}
_BALTIC = {"lt": "ėųšįžūčęą", "lv": "āīēšūķģļžņč", "et": "äõüöšž"}
_TURKISH = {"tr": "ışğüçöâîû"}
_VIETNAMESE = {"vi": "đăâêôơư\u0301\u0300\u0323\u0309\u0303áàãéèêíóôúùâ"}


@dataclass(frozen=True, eq=False)
class _Family:
    """Encodings, most likely first, and their languages with their non-ASCII letters, most frequent first.

    `slope`: how much less a rare letter counts. `own_alphabet`: the alphabet isn't Latin, so that all encodings give
    letters, and only their frequencies distinguish the encodings; in Latin alphabets, most letters are ASCII.
    """

    codecs: tuple[str, ...]
    languages: dict[str, str]
    slope: float = 0.2
    own_alphabet: bool = False


_FAMILIES = (
    _Family(("cp1252", "iso8859_15", "mac_roman", "cp850", "cp437"), _LATIN),
    _Family(("cp1250", "iso8859_2"), _CENTRAL),
    _Family(("cp1251", "koi8_r", "cp866", "iso8859_5"), _CYRILLIC, 1.0, True),
    _Family(("cp1253", "iso8859_7"), _GREEK, 0.6, True),
    _Family(("cp1254", "iso8859_9"), _TURKISH),
    _Family(("cp1257",), _BALTIC),
    _Family(("cp1258",), _VIETNAMESE),
    _Family(("cp1255",), _HEBREW, 0.6, True),
    _Family(("cp1256",), _ARABIC, 0.6, True),
    _Family(("cp874",), _THAI, 0.5, True),
)
_SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去"
    "法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实"
)
_TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種事成方多經麼去"
    "法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實"
)
_WIDE = {"shift_jis": "ja", "euc_jp": "ja", "gb18030": "zh", "big5": "zh-tw", "euc_kr": "ko"}
NAMES = {
    "cp1252": "Windows-1252", "iso8859_15": "ISO 8859-15", "mac_roman": "Mac Roman", "cp850": "CP850",
    "cp437": "CP437", "cp1250": "Windows-1250", "iso8859_2": "ISO 8859-2", "cp1251": "Windows-1251",
    "koi8_r": "KOI8-R", "cp866": "CP866", "iso8859_5": "ISO 8859-5", "cp1253": "Windows-1253",
    "iso8859_7": "ISO 8859-7", "cp1254": "Windows-1254", "iso8859_9": "ISO 8859-9", "cp1257": "Windows-1257",
    "cp1258": "Windows-1258", "cp1255": "Windows-1255", "cp1256": "Windows-1256", "cp874": "Windows-874",
    "shift_jis": "Shift JIS", "euc_jp": "EUC-JP", "gb18030": "GB18030", "big5": "Big5", "euc_kr": "EUC-KR",
}  # fmt: skip
"""The encodings that are tried, with their display names."""

_HINT, _PRIOR = 0.15, 0.12
_MAX_TRIPLES = 2000
"""Number of different triples (a non-ASCII byte and its neighbours) that are scored, the most frequent ones."""
_LETTER_OR_NOT = bytes(
    byte if byte > 127 else ord("a" if chr(byte).islower() else "A" if chr(byte).isupper() else " ")
    for byte in range(256)
)
"""Maps ASCII bytes to “a” for lowercase letters, “A” for capitals and a space for others."""
_ASCII = bytes(range(128))
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_RARE = ("is",)
"""Languages with a lower score: Icelandic has the letters of Turkish in another encoding, and far fewer speakers."""
_QUOTES = frozenset("«»‹›“”„‚‘’\xa0…–—•°§€£©®™¿¡№·†")
_JOINS = frozenset("’\xad")


def rank_encodings(sample: bytes, language: str = "") -> list[tuple[str, float]]:
    """The codecs that `sample` may be encoded in, most likely first, with their scores: 1 is certain.

    `language`: language code of the project, a hint.
    """
    around = b"\n" + sample.translate(_LETTER_OR_NOT) + b"\n"
    counted = Counter(around[found.start() : found.start() + 3] for found in _BEYOND_ASCII.finditer(sample))
    triples = dict(counted.most_common(_MAX_TRIPLES))
    total = sum(triples.values()) or 1
    scores = {codec: _score_wide(sample, codec, language) for codec in _WIDE}
    for family in _FAMILIES:
        for place, codec in enumerate(family.codecs):
            best = max(
                sum(n * _value(codec, name, family, triple) for triple, n in triples.items()) / total
                + (_HINT if name == language else -_HINT if name in _RARE else 0.0)
                for name in family.languages
            )
            scores[codec] = best - 0.03 * place + (_PRIOR if codec == "cp1252" else 0.0)
    return sorted(scores.items(), key=lambda pair: -pair[1])


@lru_cache(1 << 16)
def _value(codec: str, language: str, family: _Family, triple: bytes) -> float:
    """How well a byte between two others fits a language in an encoding: from -2 to 1 for a frequent letter."""
    characters = _table(codec)
    before, character, after = (characters[byte] for byte in triple)
    if character.isalpha() or character in family.languages[language]:
        if character != character.lower() and before.islower():
            return -1.5
        beside = [other for other in (before, after) if other.isalpha()]
        if family.own_alphabet and any(map(str.isascii, beside)):
            return -1.0
        weight = _weights(language, family.slope).get(character.lower())
        if weight is None:
            return -0.7
        crowded = not family.own_alphabet and len(beside) == 2 and not any(map(str.isascii, beside))
        return weight - 0.2 * (character != character.lower()) - 0.5 * crowded
    in_word = before.isalpha() and after.isalpha()
    if character in _JOINS and in_word:
        return 0.6
    if character in _QUOTES:
        return -1.0 if in_word and character not in "–—…" else 0.4
    if character == "\ufffd" or not character.isprintable() or "\u2500" <= character <= "\u259f":
        return -2.0
    return -1.2 if before.isalpha() and after.isalpha() else -0.2


@cache
def _table(codec: str) -> tuple[str, ...]:
    return tuple(bytes([byte]).decode(codec, "replace") for byte in range(256))


@cache
def _weights(language: str, slope: float) -> dict[str, float]:
    letters = next(family.languages[language] for family in _FAMILIES if language in family.languages)
    return {letter: 1.0 - slope * place / len(letters) for place, letter in enumerate(letters)}


def _score_wide(sample: bytes, codec: str, language: str) -> float:
    """The score of a multibyte encoding of Chinese, Japanese or Korean."""
    text = sample.decode(codec, "replace")
    wide = text.encode().translate(None, _ASCII).decode()
    if not wide:
        return -2.0
    kind = _WIDE[codec]
    hinted = _HINT if kind.split("-")[0] == language else 0.0
    return sum(n * _wide_value(character, kind) for character, n in Counter(wide).items()) / len(wide) + hinted


def _wide_value(character: str, kind: str) -> float:
    """How well a character fits a language that is written in a multibyte encoding."""
    if character == "\ufffd" or "\ue000" <= character <= "\uf8ff":
        return -4.0
    if "\u3000" <= character <= "\u303f" or "\uff00" <= character <= "\uff5e":
        return 0.5
    if "\uff61" <= character <= "\uff9f":  # half-width kana, to which Western letters decode
        return -1.0
    if "\u3040" <= character <= "\u30ff":
        return 1.0 if kind == "ja" else -0.3
    if "\uac00" <= character <= "\ud7a3":
        return 1.0 if kind == "ko" else -0.5
    if "\u4e00" <= character <= "\u9fff":
        common = _TRADITIONAL if kind == "zh-tw" else _SIMPLIFIED
        return 1.0 if kind.startswith("zh") and character in common else 0.2 if kind != "ko" else -0.2
    return -0.8

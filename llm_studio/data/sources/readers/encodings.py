"""Text encodings: detecting the encoding of a file, and files that aren't text.

Line ends (CR LF, CR) are read as LF.
"""

import codecs
import io
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import BinaryIO, TextIO

from llm_studio.data.sources.readers.context import Context, Encoding
from llm_studio.data.sources.readers.errors import no_text
from llm_studio.data.sources.readers.items import BLOCK, InputFile
from llm_studio.errors import SourceError
from llm_studio.i18n import N_, _, number

_BYTE_ORDER_MARKS = {  # the longer ones first: that of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE): Encoding("utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE): Encoding("utf-16", "UTF-16"),
}
_SIGNATURES = {
    N_("an image"): (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8"),
    N_("a PDF document"): (b"%PDF-",),
    N_("an office document"): (b"\xd0\xcf\x11\xe0", b"{\\rtf"),
    N_("a ZIP archive or an office document"): (b"PK\x03\x04",),
    N_("a compressed archive"): (b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd"),
    N_("a Parquet file"): (b"PAR1",),
}
_NOT_CONTROL = bytes(byte for byte in range(256) if byte >= 32 or byte in b"\t\n\v\f\r\x1b")
_SAMPLE = 1 << 15


def detect_encoding(item: InputFile, context: Context) -> Encoding:
    """Detect the encoding of a file. Raises SourceError where it is empty or isn't text."""
    with item.open() as stream:
        head = stream.read(_SAMPLE)
        if not head:
            raise no_text(item.name)
        for kind, signatures in _SIGNATURES.items():
            if head.startswith(signatures):
                raise SourceError(
                    _("{path} is not text but {kind}.").format(path=item.name, kind=_(kind)),
                    _("Give it the right file extension, or save it as plain text (.txt) with its usual program."),
                )
        for marks, encoding in _BYTE_ORDER_MARKS.items():
            if head.startswith(marks):
                if _is_binary(head.decode(encoding.codec, "replace")):
                    raise _not_text(item.name)
                return encoding
        invalid = _first_invalid_byte(head, stream, item.name, context)
        if invalid is None:
            return Encoding("utf-8-sig", "UTF-8", exact=not context.quick)
    return _guess(item, invalid)


def _is_binary(text: str) -> bool:
    return sum(character < " " and character not in "\t\n\v\f\r\x1b" for character in text) * 20 > len(text)


def _not_text(name: str) -> SourceError:
    return SourceError(
        _("{path} is not a text file: it contains binary data.").format(path=name),
        _("If it is text after all, open it in an editor and save it as UTF-8."),
    )


def _first_invalid_byte(block: bytes, stream: BinaryIO, name: str, context: Context) -> int | None:
    """The position of the first byte that isn't UTF-8 in a stream that begins with `block`; None without any.

    In a quick preview, only the first megabyte is checked. Raises SourceError where the stream isn't text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    invalid: int | None = None
    position = controls = 0
    ended = False
    while not ended:
        context.job.check()
        ended = not block
        controls += len(block.translate(None, _NOT_CONTROL))
        if b"\0" in block or controls * 20 > position + len(block):
            raise _not_text(name)
        if invalid is None:
            try:
                decoder.decode(block, final=ended)
            except UnicodeDecodeError as error:
                invalid = position + error.start
        position += len(block)
        if context.quick and position >= BLOCK:
            break
        block = stream.read(BLOCK)
    return invalid


@contextmanager
def open_text(item: InputFile, context: Context, declared: str | None = None) -> Generator[TextIO]:
    """Open a text file. `declared`: the codec that the file itself specifies, used where it isn't Unicode."""
    encoding = detect_encoding(item, context)
    if declared and encoding.guessed:
        encoding = Encoding(declared, declared.upper())
    context.encoding = encoding
    with io.TextIOWrapper(item.open(), encoding=encoding.codec, errors="replace", newline=None) as stream:
        yield stream


def report_encoding(item: InputFile, encoding: Encoding, replaced: int, context: Context) -> None:
    """Report the encoding of a file if it was guessed, or if characters were replaced."""
    text = _("{file} was read as {encoding}.").format(file=item.basename, encoding=encoding.name)
    if replaced:
        text += " " + _("Unreadable characters, replaced by �: {count}.").format(count=number(replaced))
    if encoding.guessed or replaced:
        context.notice(text)


_CANDIDATES = [
    "cp1252", "mac_roman", "cp850", "iso8859_15", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp1257",
    "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr",
]  # fmt: skip
_SYMBOL_IN_WORD = re.compile("[A-Za-zÀ-ÿ][‚„†‡ˆ‰‹›•˜™¡¢£¤¥¦§¨©®¯±²³¶¸¹º¼½¾¿÷×][a-zà-ÿ]")
_NAMES = {"mac_roman": "Mac Roman", "iso8859_15": "ISO 8859-15", "koi8_r": "KOI8-R", "shift_jis": "Shift JIS"}


def _guess(item: InputFile, invalid: int) -> Encoding:
    """The most likely encoding of a text that is not UTF-8 at byte `invalid`."""
    with item.open() as stream:
        sample = b" ".join(_sample(stream, start) for start in sorted({0, max(0, invalid - _SAMPLE // 2)}))
    as_utf8 = sample.decode("utf-8", "replace")
    if _beyond_ascii(as_utf8) > 5 * as_utf8.count("\ufffd"):
        return Encoding("utf-8-sig", "UTF-8", guessed=True)  # with a few damaged bytes
    codec = _most_likely(sample)
    name = _NAMES.get(codec, codec.upper().replace("_", "-").replace("CP125", "Windows-125"))
    return Encoding(codec, name, guessed=True)


def _most_likely(sample: bytes) -> str:
    """The codec that charset-normalizer finds most likely; Windows-1252 where it fits as well.

    On its own, charset-normalizer takes a short French text for Baltic. Symbols inside words show that a text isn't
    Western European: the Polish ł that becomes ³, the é of MS-DOS that becomes ‚.
    """
    from charset_normalizer import from_bytes

    as_western = sample.decode("cp1252", "replace")
    western = len(_SYMBOL_IN_WORD.findall(as_western)) * 50 <= _beyond_ascii(as_western)
    matches = from_bytes(sample, cp_isolation=_CANDIDATES if western else _CANDIDATES[1:])
    best = matches.best()
    if best is None or any("cp1252" in m.could_be_from_charset and m.chaos <= best.chaos for m in matches):
        return "cp1252"
    return best.encoding


def _beyond_ascii(text: str) -> int:
    return sum(character > "\x7f" for character in text)


def _sample(stream: BinaryIO, start: int) -> bytes:
    """Some bytes from about `start`, complete words so that no character is cut."""
    stream.seek(start)
    sample = stream.read(_SAMPLE)
    words = sample.split()
    return b" ".join(words[bool(start) : len(words) - (len(sample) == _SAMPLE)]) or sample

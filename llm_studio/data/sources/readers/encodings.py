"""Text encodings: detects the encoding of a file, and refuses files that aren't text.

All line endings (CR LF, CR) are read as LF.
"""

import codecs
import io
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, TextIO

from llm_studio.data.sources.readers import charsets
from llm_studio.data.sources.readers.context import Context, Encoding
from llm_studio.data.sources.readers.errors import no_text
from llm_studio.data.sources.readers.items import BLOCK, InputFile
from llm_studio.errors import SourceError
from llm_studio.i18n import N_, _, ngettext, number

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BYTE_ORDER_MARKS = {  # longer ones first: the mark of UTF-32 begins like that of UTF-16
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
_CHECKED = 1 << 18
"""Bytes checked at once. With a megabyte, memory for the decoded text would be allocated again each time."""
_MIN_PER_NUL = 8
"""Minimum number of bytes per NUL in a text."""
_MARGIN, _MAX_OTHERS = 0.06, 3


def detect_encoding(item: InputFile, context: Context) -> Encoding:
    """Detect the encoding of a file. Raises SourceError if it is empty or isn't text."""
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
        if encoding := _utf16_without_mark(head):
            return encoding
        invalid, nuls = _first_invalid_byte(head, stream, item.name, context)
    if invalid is None:
        return Encoding("utf-8-sig", "UTF-8", exact=not context.quick, nuls=nuls)
    if context.options.encoding:
        codec = codec_of(context.options.encoding)
        return Encoding(codec, name_of(codec), nuls=nuls)
    return replace(_guess(item, invalid, context), nuls=nuls)


def _utf16_without_mark(head: bytes) -> Encoding | None:
    """Detect UTF-16 without a byte order mark: in mostly Western text, every second byte is NUL."""
    if 0 not in head:
        return None
    head = head[: len(head) // 2 * 2]
    for codec, empty, full in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if len(head) >= 8 and empty.count(0) * 2 > len(empty) and full.count(0) * 20 < len(full):
            text = head.decode(codec, "replace")
            if "\ufffd" not in text[:-1] and not _is_binary(text):
                return Encoding(codec, "UTF-16", guessed=True)
    return None


def _is_binary(text: str) -> bool:
    return sum(character < " " and character not in "\t\n\v\f\r\x1b" for character in text) * 20 > len(text)


def _not_text(name: str) -> SourceError:
    return SourceError(
        _("{path} is not a text file: it contains binary data.").format(path=name),
        _("If it is text after all, open it in an editor and save it as UTF-8."),
    )


def _first_invalid_byte(block: bytes, stream: BinaryIO, name: str, context: Context) -> tuple[int | None, int]:
    """The position of the first byte that isn't UTF-8 in a stream that begins with `block`, or None; and the number of
    NUL bytes, of which a text may hold a few.

    In a quick preview, only the first megabyte is checked. Raises SourceError if the stream isn't text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    invalid: int | None = None
    position = controls = nuls = 0
    ended = False
    while not ended:
        context.job.check()
        ended = not block
        nuls += block.count(0) if 0 in block else 0
        controls += len(block.translate(None, _NOT_CONTROL))
        if nuls * _MIN_PER_NUL > position + len(block) or (controls - nuls) * 20 > position + len(block):
            raise _not_text(name)
        if invalid is None and (decoder.getstate()[0] or not block.isascii()):
            try:
                decoder.decode(block, final=ended)
            except UnicodeDecodeError as error:
                invalid = position + error.start
        position += len(block)
        if context.quick and position >= BLOCK:
            break
        block = stream.read(_CHECKED)
    return invalid, nuls


class _WithoutNul(io.RawIOBase):
    """A stream without its NUL bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        target = memoryview(buffer).cast("B")
        while block := self._stream.read(len(target)):
            if kept := block.translate(None, b"\0"):
                target[: len(kept)] = kept
                return len(kept)
        return 0

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


@contextmanager
def open_text(item: InputFile, context: Context, declared: str | None = None) -> Generator[TextIO]:
    """Open a text file. `declared`: the codec that the file itself declares, used instead of a guess."""
    encoding = _known_encoding(item, context)
    if declared and encoding.guessed:
        encoding = Encoding(declared, declared.upper(), nuls=encoding.nuls)
    context.encoding = encoding
    content = item.open()
    if encoding.nuls:
        content = io.BufferedReader(_WithoutNul(content), 1 << 16)
    with io.TextIOWrapper(content, encoding=encoding.codec, errors="replace", newline=None) as stream:
        yield stream


def _known_encoding(item: InputFile, context: Context) -> Encoding:
    """The encoding of a file, cached because a table is opened several times."""
    if context.detected is None or context.detected[:2] != (item, context.quick):
        context.detected = item, context.quick, detect_encoding(item, context)
    return context.detected[2]


def report_encoding(item: InputFile, encoding: Encoding, replaced: int, context: Context) -> None:
    """Report the encoding of a file if it was guessed, or if characters were replaced."""
    text = _("{file} was read as {encoding}.").format(file=item.basename, encoding=encoding.name)
    if replaced:
        text += " " + _("Unreadable characters, replaced by �: {count}.").format(count=number(replaced))
    if encoding.others:
        names = ", ".join(map(name_of, encoding.others))
        text += " " + _("That isn’t certain: {names} would fit as well. If letters look wrong, choose one of them with "
                        "--encoding.").format(names=names)  # fmt: skip
    if encoding.nuls:
        nuls = ngettext("{n} NUL character was removed.", "{n} NUL characters were removed.", encoding.nuls)
        text += " " + nuls.format(n=number(encoding.nuls))
    if encoding.guessed or replaced or encoding.nuls:
        context.notice(text)


def codec_of(name: str) -> str:
    """The codec with a name given by the user. Raises SourceError if it doesn't exist."""
    try:
        known = codecs.lookup(name)
        known.decode(b"a")
    except (LookupError, ValueError):
        known = None
    if known is None or not known._is_text_encoding:  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        raise SourceError(
            _("There is no encoding “{name}”.").format(name=name),
            _("Choose one of these, or another that Python knows: {names}.").format(names=", ".join(charsets.NAMES)),
        )
    return known.name.replace("-", "_")


def name_of(codec: str) -> str:
    """The display name of a codec."""
    return charsets.NAMES.get(codec, codec.upper().replace("_", "-"))


def choices_for(encoding: Encoding | None) -> tuple[tuple[str, str], ...]:
    """The codecs to choose from if the encoding was guessed, with their display names; most likely first."""
    if encoding is None or not encoding.guessed:
        return ()
    order = dict.fromkeys((encoding.codec.removesuffix("-sig"), *encoding.others, *charsets.NAMES))
    return tuple((codec, name_of(codec)) for codec in order)


def _guess(item: InputFile, invalid: int, context: Context) -> Encoding:
    """The most likely encoding of a text whose byte `invalid` isn't valid UTF-8."""
    with item.open() as stream:
        sample = b" ".join(_sample(stream, start) for start in sorted({0, max(0, invalid - _SAMPLE // 2)}))
    as_utf8 = sample.decode("utf-8", "replace")
    if _beyond_ascii(as_utf8) > 5 * as_utf8.count("\ufffd"):
        return Encoding("utf-8-sig", "UTF-8", guessed=True)  # with a few damaged bytes
    ranked = charsets.rank_encodings(sample, context.options.language)
    codec, best = ranked[0]
    text = sample.decode(codec, "replace")
    others = (
        other for other, score in ranked[1:] if score > best - _MARGIN and sample.decode(other, "replace") != text
    )
    return Encoding(codec, name_of(codec), guessed=True, others=tuple(islice(others, _MAX_OTHERS)))


def _beyond_ascii(text: str) -> int:
    return sum(character > "\x7f" for character in text)


def _sample(stream: BinaryIO, start: int) -> bytes:
    """Some bytes from about `start`, in complete words so that no character is split."""
    stream.seek(start)
    sample = stream.read(_SAMPLE)
    words = sample.split()
    return b" ".join(words[bool(start) : len(words) - (len(sample) == _SAMPLE)]) or sample

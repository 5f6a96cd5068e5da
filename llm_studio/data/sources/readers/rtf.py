"""RTF documents (.rtf): their text, without formatting, pictures, headers and footers; notes come at the end.

An RTF file is text with commands: `\\b` is one, `{...}` a group, `\\'e9` a byte in the encoding of the document and
`\\u8217?` a Unicode character, followed by its replacement in older programs. Groups that begin with a command naming a
destination, such as a font table, aren't text. The file is read in blocks.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import HIDDEN_TEXT, PARTS
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, no_text, too_large
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.i18n import _

_BLOCK = 1 << 16
_MAX_DEPTH = 1000
_MAX_HELD = 1 << 26
"""Limit of the text that is held: bytes not decoded yet, and characters of all notes, which come at the end."""
_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+|([^\\{}\r\n]+)"
)
_MAX_COMMAND = 64
"""Length limit of a command, in bytes: the end of a block may split one."""
_NO_TEXT = frozenset((
    "fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "header", "headerl", "headerr", "headerf", "footer",
    "footerl", "footerr", "footerf", "listtable", "listoverridetable", "revtbl", "rsidtbl", "themedata", "datastore",
    "colorschememapping", "latentstyles", "generator", "fldinst", "xmlnstbl", "filetbl", "bkmkstart", "bkmkend",
    "annotation", "atnid", "atnauthor", "atrfstart", "atrfend", "xe", "tc", "nonshppict", "mmathPr", "wgrffmtfilter",
    "listtext", "pntext",
))  # fmt: skip
_CHARACTERS = {
    "par": "\n\n", "sect": "\n\n", "page": "\n\n", "line": "\n", "tab": "\t", "cell": "\t", "row": "\n",
    "nestcell": " ",
    "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”", "bullet": "•",
    "emspace": " ", "enspace": " ", "qmspace": " ",
}  # fmt: skip
_CHARSETS = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
_FONT_CHARSETS = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gbk", 136: "big5", 161: "cp1253", 162: "cp1254",
    163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip


@dataclass
class _State:
    """The state of a group. `skip`: number of characters that replace a Unicode one in older programs."""

    is_text: bool = True
    hidden: bool = False
    skip: int = 1
    codec: str = ""
    in_fonts: bool = False
    in_note: bool = False


def read_rtf(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The text of the document; paragraphs are separated by a blank line."""
    with item.open() as stream:
        head = stream.read(_BLOCK)
        if not head:
            raise no_text(item.name)
        if not head.lstrip().startswith(b"{\\rtf"):
            raise damaged(item.name, _("it doesn't start like an RTF document"))
        reader, pending = _RtfText(), head
        while True:
            context.job.check()
            block = stream.read(_BLOCK)
            consumed = reader.feed(pending, not block)
            if reader.held > _MAX_HELD:
                raise too_large(item.name, _MAX_HELD)
            yield Chunk(reader.take(), False)
            pending = pending[consumed:] + block
            if not block:
                break
    yield Chunk(reader.end(), True)
    if reader.hidden:
        context.account.leave_out(PARTS, HIDDEN_TEXT, item.name)


class _RtfText:
    """Collects the text from the tokens of a file."""

    def __init__(self) -> None:
        self.hidden = 0
        self._out: list[str] = []
        self._bytes = bytearray()  # not decoded yet: a character may have several bytes
        self._stack: list[_State] = []
        self._state = _State()
        self._codec = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._optional = False  # after \*: the group is skipped if its command is unknown
        self._to_skip = self._binary = 0
        self._surrogate = ""
        self._gap = ""
        self._begun = False
        self._notes: list[str] = []
        self._in_notes = 0  # characters

    @property
    def held(self) -> int:
        """Amount of text held: bytes not decoded yet, and characters of all notes."""
        return len(self._bytes) + self._in_notes

    def feed(self, data: bytes, last: bool) -> int:
        """Read the tokens of `data`, except what may continue in the next block. Returns the number of bytes read."""
        position, limit = 0, len(data) if last else len(data) - _MAX_COMMAND
        while position < limit:
            if self._binary:
                step = min(self._binary, len(data) - position)
                self._binary -= step
                position += step
                continue
            found = _TOKEN.match(data, position)
            if found is None:  # a lone backslash at the end
                return len(data)
            word, number, byte, symbol, brace, text = found.groups()
            position = found.end()
            if brace:
                self._group(brace)
            elif word:
                self._command(word.decode(), int(number) if number else None)
            elif byte:
                self._byte(int(byte, 16))
            elif symbol:
                self._symbol(symbol)
            elif text:
                self._plain(text)
        return position

    def take(self) -> str:
        """Return the completed text and remove it."""
        text = "".join(self._out)
        self._out.clear()
        return text

    def end(self) -> str:
        """Return the rest of the text, and the notes."""
        self._flush()
        notes = "".join(self._notes).strip("\n\t ")
        if notes:
            self._out.append(("\n\n" if self._begun else "") + notes)
        return self.take()

    def _group(self, brace: bytes) -> None:
        self._flush()
        if brace == b"{":
            if len(self._stack) < _MAX_DEPTH:
                self._stack.append(replace(self._state))
        elif self._stack:
            self._state = self._stack.pop()
        self._optional, self._to_skip = False, 0

    def _command(self, word: str, number: int | None) -> None:
        state = self._state
        optional, self._optional = self._optional, False
        if word in _NO_TEXT or (optional and word not in ("shptxt", "footnote", "shpinst")):
            self._flush()
            state.is_text, state.in_fonts = False, word == "fonttbl"
        elif word == "footnote":
            self._flush()
            state.in_note = True
            self._notes.append("\n\n" if self._notes else "")
        elif word == "bin":
            self._binary = max(0, number or 0)
        elif word == "uc":
            state.skip = max(0, min(number or 0, 10))
        elif word == "u" and number is not None:
            self._flush()
            self._unicode(number & 0xFFFF)
            self._to_skip = state.skip
        elif word in ("v", "plain"):
            self._flush()
            state.hidden = word == "v" and number != 0
        elif word == "ansicpg":
            self._codec = _known(f"cp{number}") or self._codec
        elif word in _CHARSETS:
            self._codec = _CHARSETS[word]
        elif word == "f":
            self._flush()
            if state.in_fonts:
                self._font = number or 0
            else:
                state.codec = self._fonts.get(number or 0, "")
        elif word == "fcharset" and state.in_fonts:
            codec = _FONT_CHARSETS.get(number or 0, "")
            if codec and number != 0:
                self._fonts[self._font] = codec
        elif word in _CHARACTERS:
            self._flush()
            self._write(_CHARACTERS[word])

    def _symbol(self, symbol: bytes) -> None:
        self._flush()
        if symbol == b"*":
            self._optional = True
        elif symbol == b"~":
            self._write("\xa0")
        elif symbol == b"_":
            self._write("\u2011")
        elif symbol in (b"\\", b"{", b"}"):
            self._write(symbol.decode())
        elif symbol in (b"\n", b"\r"):
            self._write("\n\n")

    def _byte(self, value: int) -> None:
        if self._to_skip:
            self._to_skip -= 1
        elif self._state.is_text:
            self._bytes.append(value)

    def _plain(self, text: bytes) -> None:
        skipped = min(self._to_skip, len(text))
        self._to_skip -= skipped
        if self._state.is_text:  # otherwise, it may be a picture
            self._bytes += text[skipped:]

    def _unicode(self, unit: int) -> None:
        """Write a UTF-16 code unit, which can be half of a character."""
        if 0xD800 <= unit < 0xDC00:
            self._surrogate = chr(unit)
        elif 0xDC00 <= unit < 0xE000:
            self._write((self._surrogate + chr(unit)).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
            self._surrogate = ""
        else:
            self._write(chr(unit))

    def _flush(self) -> None:
        """Decode the pending bytes and write them."""
        if self._bytes:
            self._write(self._bytes.decode(self._state.codec or self._codec, "replace"))
            self._bytes.clear()

    def _write(self, text: str) -> None:
        if not self._state.is_text:
            return
        if self._state.hidden:
            self.hidden += not text.isspace()
            return
        if self._state.in_note:
            self._notes.append(text)
            self._in_notes += len(text)
            return
        if text.isspace() and ("\n" in text or self._gap):  # consecutive blank lines become one
            while self._out and self._out[-1] == "\t":  # the end of the last cell in a row
                self._out.pop()
            if "\n" in text:
                self._gap = "\n\n" if "\n\n" in (text, self._gap) else "\n"
            return
        self._out.append((self._gap if self._begun else "") + text)
        self._gap, self._begun = "", True


def _known(codec: str) -> str:
    try:
        return codecs.lookup(codec).name
    except LookupError:
        return ""

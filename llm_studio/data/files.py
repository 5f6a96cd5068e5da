"""The user's files: what is in them becomes documents, whatever their encoding.

Lines end with LF in what is read, also where the file has CR LF or CR. Files of any size, and of any length of
line, pass in bounded memory; only a line of JSON is held as a whole.
"""

import codecs
import contextlib
import json
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from llm_studio.data.raw import Piece, in_pieces
from llm_studio.errors import SourceError
from llm_studio.i18n import N_, _, number
from llm_studio.jobs import Job

END_OF_TEXT = "<|endoftext|>"
BLANK = "blank"
"""Separator: one blank line or several."""

_BLOCK = 1 << 16
_LONGEST_LINE = 1 << 28


@dataclass(frozen=True)
class ReadOptions:
    """How files become documents.

    `separator` is what stands between two documents of a text file: BLANK lines, END_OF_TEXT anywhere, a line of
    the user's choice, or None where a file is one document. `text_field` holds the text in a line of JSON.
    """

    separator: str | None = None
    text_field: str = "text"


def read_path(path: Path, options: ReadOptions, notice: Callable[[str], None], job: Job) -> Iterator[Piece]:
    """The documents of a file, or of all files in a folder and its subfolders, sorted; hidden ones are skipped.

    `notice` gets a sentence for each file whose encoding was guessed and for each that was left out of a folder.
    Raises SourceError where the file, or all files of the folder, can't be read; Cancelled when the job is to stop.
    """
    with _explained(path):
        if not path.exists():
            raise SourceError(_("{path} does not exist.").format(path=path), _("Check the name, or choose it again."))
        folder = path.is_dir()
    yield from _folder(path, options, notice, job) if folder else _File(path, options, notice, job).pieces()


def _folder(folder: Path, options: ReadOptions, notice: Callable[[str], None], job: Job) -> Iterator[Piece]:
    with _explained(folder):
        files = [path for path in folder.rglob("*") if path.suffix.lower() in _READERS and path.is_file()]
    files = sorted(path for path in files if not any(part[0] == "." for part in path.relative_to(folder).parts))
    if not files:
        raise SourceError(
            _("{folder} holds no texts: {kinds} files are read.").format(folder=folder, kinds=", ".join(_READERS)),
            _("Choose another folder, or save the texts as one of these."),
        )
    refused: list[SourceError] = []
    for path in files:
        ended = True
        try:
            file = _File(path, options, notice, job)
            file.check()
            for piece in file.pieces():
                yield piece
                ended = piece.ends
        except SourceError as error:
            refused.append(error)
            notice(_("Left out: {reason}").format(reason=error))
            if not ended:  # the disk failed in the middle of a document
                yield Piece("", True)
    if len(refused) == len(files):
        raise SourceError(
            _("None of the {count} files in {folder} can be read. The first: {reason}").format(
                count=number(len(files)), folder=folder, reason=refused[0].what
            ),
            refused[0].to_do,
        )


class _File:
    """One file that was found to be text. Raises SourceError if it isn't."""

    def __init__(self, path: Path, options: ReadOptions, notice: Callable[[str], None], job: Job) -> None:
        self.path = path
        self._options = options
        self._notice = notice
        self._job = job
        with _explained(path):
            self._encoding = _examine(path, job)
            if path.suffix and path.suffix.lower() not in _READERS:
                what = _("{path} is of a kind that can't be read; {kinds} files are.")
                raise SourceError(what.format(path=path, kinds=", ".join(_READERS)),
                                  _("If it is plain text, give it a name that ends in .txt."))  # fmt: skip
        self._reader = _READERS.get(path.suffix.lower(), _read_text)

    def _open(self) -> TextIO:
        return self.path.open(encoding=self._encoding.codec, errors="replace", newline=None)

    def check(self) -> None:
        """Raise SourceError where something inside the file can't be used."""
        if self._reader is _read_json_lines:
            for _piece in self.pieces(silent=True):
                pass

    def pieces(self, silent: bool = False) -> Iterator[Piece]:
        """The file's documents, without those that are only white space."""
        replaced, found, inside = 0, False, False
        with _explained(self.path), self._open() as stream:
            for piece in in_pieces(self._reader(self.path, stream, self._options)):
                self._job.check()
                if not self._encoding.exact:
                    replaced += piece.text.count("\ufffd")
                if inside or not (piece.ends and (not piece.text or piece.text.isspace())):
                    found = True
                    yield piece
                inside = not piece.ends
        if not found:
            raise _empty(self.path)
        if not silent:
            self._report(replaced)

    def _report(self, replaced: int) -> None:
        """Say how the file was read, where it wasn't plain."""
        text = _("{file} was read as {encoding}.").format(file=self.path.name, encoding=self._encoding.name)
        if replaced:
            text += " " + _("Characters that could not be read, and became �: {count}.").format(count=number(replaced))
        if self._encoding.guessed or replaced:
            self._notice(text)


# --- Readers: (path, stream, options) -> fragments of documents ---------------------------------------------------


def _read_text(path: Path, stream: TextIO, options: ReadOptions) -> Iterator[Piece]:
    """The documents between separators, without the line ends around them; the whole file where there is none."""
    del path
    separator = options.separator
    if separator is None:
        return _whole(stream)
    if separator == END_OF_TEXT:
        return _trimmed(_split_at(stream, separator))
    mark = separator.strip()
    if separator == BLANK or not mark:
        return _trimmed(_split_lines(stream, str.isspace))
    return _trimmed(_split_lines(stream, lambda line: line.strip() == mark))


def _whole(stream: TextIO) -> Iterator[Piece]:
    while block := stream.read(_BLOCK):
        yield Piece(block, False)
    yield Piece("", True)


def _split_at(stream: TextIO, mark: str) -> Iterator[Piece]:
    waiting = ""
    while block := stream.read(_BLOCK):
        *documents, waiting = (waiting + block).split(mark)
        for text in documents:
            yield Piece(text, True)
        certain = max(0, len(waiting) - len(mark) + 1)  # half of a mark may be at the end
        yield Piece(waiting[:certain], False)
        waiting = waiting[certain:]
    yield Piece(waiting, True)


def _split_lines(stream: TextIO, separates: Callable[[str], bool]) -> Iterator[Piece]:
    lines: list[str] = []
    length, at_start = 0, True
    while line := stream.readline(_BLOCK):
        ends = at_start and separates(line)
        if ends:
            line = ""
        at_start = ends or line.endswith("\n")
        lines.append(line)
        length += len(line)
        if ends or length >= _BLOCK:
            yield Piece("".join(lines), ends)
            lines, length = [], 0
    yield Piece("".join(lines), True)


def _trimmed(fragments: Iterator[Piece]) -> Iterator[Piece]:
    """The documents without line ends before and after them, and without empty ones."""
    held, started = "", False
    for fragment in fragments:
        text = fragment.text if started else fragment.text.lstrip("\n")
        kept = text.rstrip("\n")
        if kept:
            yield Piece(held + kept, False)
            held, started = text[len(kept) :], True
        else:
            held += text
        if fragment.ends:
            if started:
                yield Piece("", True)
            held, started = "", False


def _read_json_lines(path: Path, stream: TextIO, options: ReadOptions) -> Iterator[Piece]:
    """The named field of each line; lines that are empty, and fields that are null, are passed over."""
    line_number = 0
    while line := stream.readline(_LONGEST_LINE):
        line_number += 1
        try:
            text = "" if line.isspace() else _field(line, options.text_field)
        except SourceError as error:
            place = _("{path}, line {line}:").format(path=path, line=line_number)
            raise SourceError(f"{place} {error.what}", error.to_do) from error
        if text:
            yield Piece(text if "\r" not in text else text.replace("\r\n", "\n").replace("\r", "\n"), True)


def _field(line: str, name: str) -> str:
    """The text in one line of JSON. Raises SourceError with what is wrong in it."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else error
        raise _not_an_object(_("this is not JSON ({reason}).").format(reason=reason)) from error
    if not isinstance(content, dict):
        raise _not_an_object(_("this is JSON, but not an object."))
    fields = cast("dict[str, object]", content)
    if name not in fields:
        known = ", ".join(islice(fields, 12))
        raise SourceError(
            _("there is no field “{name}”; its fields are: {known}.").format(name=name, known=known),
            _("Choose one with --text-field."),
        )
    text = fields[name]
    if text is None or isinstance(text, str):
        return text or ""
    raise SourceError(_("the field “{name}” is not a text.").format(name=name), _("Choose one with --text-field."))


def _not_an_object(what: str) -> SourceError:
    return SourceError(what, _("Each line must be an object: {example}").format(example='{"text": "..."}'))


_READERS: dict[str, Callable[[Path, TextIO, ReadOptions], Iterator[Piece]]] = {
    ".txt": _read_text,
    ".md": _read_text,
    ".jsonl": _read_json_lines,
}


# --- Encodings ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Encoding:
    """Python's `codec`, the `name` for people, whether it was `guessed`, whether it surely fits every byte."""

    codec: str
    name: str
    guessed: bool = False
    exact: bool = False


_MARKS = {  # the longer first: a mark of UTF-32 begins with one of UTF-16
    (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE): _Encoding("utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE): _Encoding("utf-16", "UTF-16"),
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
_CHUNK = 1 << 20
_SAMPLE = 1 << 15


def _examine(path: Path, job: Job) -> _Encoding:
    """The encoding of the file at `path`. Raises SourceError where it is empty or holds no text."""
    with path.open("rb") as stream:
        head = stream.read(16)
        if not head:
            raise _empty(path)
        for kind, signatures in _SIGNATURES.items():
            if head.startswith(signatures):
                raise SourceError(
                    _("{path} is not text but {kind}.").format(path=path, kind=_(kind)),
                    _("Open it in its own program and save it there as plain text (.txt)."),
                )
        for marks, encoding in _MARKS.items():
            if head.startswith(marks):
                return encoding
        stream.seek(0)
        wrong = _first_wrong_byte(stream, path, job)
        if wrong is None:
            return _Encoding("utf-8-sig", "UTF-8", exact=True)
        return _guess(stream, wrong)


def _first_wrong_byte(stream: BinaryIO, path: Path, job: Job) -> int | None:
    """Where the stream, read through, is not UTF-8; None if it is. Raises SourceError where it is not text at all."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    wrong: int | None = None
    position = controls = 0
    chunk = b"-"
    while chunk:
        job.check()
        chunk = stream.read(_CHUNK)
        controls += len(chunk.translate(None, _NOT_CONTROL))
        if b"\0" in chunk or controls * 20 > position + len(chunk):
            raise SourceError(
                _("{path} is not text: it holds bytes that no text has.").format(path=path),
                _("If it is a text after all, open it in an editor and save it as UTF-8."),
            )
        if wrong is None:
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                wrong = position + error.start
        position += len(chunk)
    return wrong


_CANDIDATES = [
    "cp1252", "mac_roman", "cp850", "iso8859_15", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp1257",
    "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr",
]  # fmt: skip
_SYMBOL_IN_WORD = re.compile("[A-Za-zÀ-ÿ][‚„†‡ˆ‰‹›•˜™¡¢£¤¥¦§¨©®¯±²³¶¸¹º¼½¾¿÷×][a-zà-ÿ]")
_NAMES = {"mac_roman": "Mac Roman", "iso8859_15": "ISO 8859-15", "koi8_r": "KOI8-R", "shift_jis": "Shift JIS"}


def _guess(stream: BinaryIO, wrong: int) -> _Encoding:
    """The likeliest encoding of a text that is not UTF-8 at byte `wrong`."""
    sample = b" ".join(_sample(stream, start) for start in {0, max(0, wrong - _SAMPLE // 2)})
    as_utf8 = sample.decode("utf-8", "replace")
    if _beyond_ascii(as_utf8) > 5 * as_utf8.count("\ufffd"):
        return _Encoding("utf-8-sig", "UTF-8", guessed=True)  # with a few damaged bytes
    codec = _likeliest(sample)
    name = _NAMES.get(codec, codec.upper().replace("_", "-").replace("CP125", "Windows-125"))
    return _Encoding(codec, name, guessed=True)


def _likeliest(sample: bytes) -> str:
    """The codec that charset-normalizer finds likeliest; Windows-1252 where it fits as well.

    Left alone it takes a short French text for Baltic. Symbols inside words betray what is not Western European:
    the Polish ł that becomes ³, the é of MS-DOS that becomes ‚.
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
    """Some bytes from about `start`, whole words so that no character is cut."""
    stream.seek(start)
    sample = stream.read(_SAMPLE)
    words = sample.split()
    return b" ".join(words[bool(start) : len(words) - (len(sample) == _SAMPLE)]) or sample


# --- Sentences ---------------------------------------------------------------------------------------------------


def _empty(path: Path) -> SourceError:
    return SourceError(_("There is no text in {path}.").format(path=path), _("Choose another file."))


@contextlib.contextmanager
def _explained(path: Path) -> Generator[None]:
    """Turn the operating system's refusals to read at `path` into a SourceError."""
    try:
        yield
    except PermissionError as error:
        raise SourceError(
            _("{path} may not be read.").format(path=path),
            _("Close the program that uses it, or ask its owner for permission."),
        ) from error
    except OSError as error:
        raise SourceError(
            _("{path} can't be read: {reason}.").format(path=path, reason=error.strerror or error),
            _("Copy it to another disk and try again."),
        ) from error

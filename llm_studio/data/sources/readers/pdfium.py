"""Extracts the characters of a PDF document and their positions with PDFium.

Runs in a worker process: PDFium can hang or crash on a malformed file, and only one thread may use it.
"""

import contextlib
import ctypes
import json
import math
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_studio.data.sources.readers.page_layout import Glyph, Line, Start, lines_of
from llm_studio.data.sources.readers.page_text import Page
from llm_studio.data.sources.readers.worker_process import Refused
from llm_studio.files import open_regular

if TYPE_CHECKING:
    import pypdfium2

PROTECTED = "protected"
_LIGATURES = range(0xFB00, 0xFB50)
"""Ligatures of Latin, Armenian and Hebrew letters: one character in the font, several in the word."""
_PRIVATE = range(0xE000, 0xF900)
_UNREADABLE = {0, 0xFFFD, 0xFFFE, 0xFFFF}
_HYPHENS = {0x2D, 0xAD, 0x2010, 0x2011}
"""Characters, besides control characters, that PDFium may report for the hyphen of a divided word."""
_MAX_CHARACTERS = 1_000_000
"""Number of characters read of one page. A poster has thousands; only malicious files have more than this."""


def pages_of(source: Path | bytes) -> Iterator[str]:
    """Yield each page, encoded for `decoded`. Raises Refused if a password is required."""
    import pypdfium2
    from pypdfium2 import raw

    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_regular(source)) if isinstance(source, Path) else source
        try:
            document = pypdfium2.PdfDocument(opened)
        except pypdfium2.PdfiumError as error:
            if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
                raise Refused(PROTECTED) from error
            raise
        for n in range(len(document)):
            yield _encoded(_page(document[n]))


def decoded(message: str) -> Page:
    """The page in a message of the worker process."""
    record = json.loads(message)
    lines = [Line(text, Start(start), at, full) for text, start, at, full in record["lines"]]
    return Page(lines, record["height"], record["unreadable"])


def _encoded(page: Page) -> str:
    lines = [(line.text, line.start.value, round(line.at, 1), line.full) for line in page.lines]
    return json.dumps({"lines": lines, "height": page.height, "unreadable": page.unreadable})


def _page(page: "pypdfium2.PdfPage") -> Page:
    width, height = page.get_size()
    text = page.get_textpage()  # kept in a variable: it is closed when it is no longer referenced
    found = _Glyphs(text.raw, page.get_rotation(), width, height)
    lines = lines_of(found)
    lines += [Line(sideways, Start.PARAGRAPH, height / 2) for sideways in "".join(found.sideways).splitlines()]
    return Page(lines, height, found.unreadable)


class _Glyphs:
    """The characters of a page, with coordinates as if the page weren't rotated.

    `sideways`: characters of text in other directions, such as beside a picture. `unreadable`: number of characters
    left out.
    """

    def __init__(self, text: Any, rotation: int, width: float, height: float) -> None:
        self._text, self._rotation, self._width, self._height = text, rotation, width, height
        self.unreadable = 0
        self.sideways: list[str] = []

    def __iter__(self) -> Iterator[Glyph]:
        from pypdfium2 import raw

        get_code, get_angle = raw.FPDFText_GetUnicode, raw.FPDFText_GetCharAngle
        get_origin, get_box = raw.FPDFText_GetCharOrigin, raw.FPDFText_GetLooseCharBox
        text, rotation = self._text, self._rotation
        x, y, box = ctypes.c_double(), ctypes.c_double(), raw.FS_RECTF()
        at_x, at_y, at_box = ctypes.pointer(x), ctypes.pointer(y), ctypes.pointer(box)
        space, last = False, (math.inf, math.inf)
        for n in range(min(raw.FPDFText_CountChars(text), _MAX_CHARACTERS)):
            code = get_code(text, n)
            if (code < 32 or code in _HYPHENS) and raw.FPDFText_IsHyphen(text, n) == 1:
                code = ord("-")
            letters = chr(code) if 32 < code < 127 else self._letters(code)
            if letters is None:
                space = True
                if self.sideways and self.sideways[-1] not in "\n ":
                    self.sideways.append("\n" if code == ord("\n") else " ")
                continue
            if not letters:
                self.unreadable += 1
                continue
            get_origin(text, n, at_x, at_y)
            origin = x.value, y.value
            advances = origin[1] == last[1] and origin[0] > last[0]  # follows an upright character on its line
            if (rotation or not advances) and 15 < (math.degrees(get_angle(text, n)) + rotation) % 360 < 345:
                self.sideways.append(letters)
                continue
            get_box(text, n, at_box)
            yield self._upright(letters, (box.left, box.bottom, box.right, box.top), origin, space)
            space, last = False, origin

    @staticmethod
    def _letters(code: int) -> str | None:
        """The letters of a character; "" if it is unreadable, None for white space."""
        if code in _UNREADABLE or code in _PRIVATE or 0xD800 <= code < 0xE000:
            return ""
        letter = chr(code)
        if letter.isspace() or code < 32:
            return None
        return unicodedata.normalize("NFKC", letter) if code in _LIGATURES else letter

    def _upright(
        self, letters: str, box: tuple[float, float, float, float], origin: tuple[float, float], space: bool
    ) -> Glyph:
        left, bottom, right, top = box
        x, y = origin
        match self._rotation:
            case 90:
                return Glyph(letters, bottom, top, self._height - x, right - left, space)
            case 180:
                return Glyph(letters, self._width - right, self._width - left, self._height - y, top - bottom, space)
            case 270:
                return Glyph(letters, self._width - top, self._width - bottom, x, right - left, space)
            case _:
                return Glyph(letters, left, right, y, top - bottom, space)

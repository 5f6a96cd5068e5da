"""Subtitles (.srt, .vtt): the spoken text, without numbers, times, styles and notes.

In both formats, the lines of a subtitle are between a line of times and a blank line. Real files deviate: blank lines
inside a subtitle or after each line, no numbers, times without milliseconds. Existing libraries do no better, and load
the whole file.
"""

import html
import re
from collections.abc import Iterator

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.encodings import open_text
from llm_studio.data.sources.readers.items import InputFile

_BLOCK = 1 << 16
_TIME = r"(?:\d{1,3}\s?:\s?)?\d{1,3}\s?:\s?\d{1,2}(?:[,.:]\s?\d{1,4})?"
_TIMES = re.compile(rf"\s*{_TIME}\s*-{{1,2}}\s?>\s*{_TIME}(?:\s.*)?$")
_TAGS = re.compile(
    r"</?(?:i|b|u|s|font|ruby|rt|c|v|lang)\b[^<>\n]{0,200}>|<[\d:.]{5,12}>|\{\\[^{}\n]{0,200}\}", re.I
)  # fmt: skip
_VTT_BLOCKS = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
_SENTENCE_ENDS = '.?!…:;。？！"”»♪)]'


def read_subtitles(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The spoken text as one document: a sentence that continues in the next subtitle is one line."""
    before = ""
    with open_text(item, context) as stream:
        first = stream.readline(_BLOCK)
        is_vtt = first.lstrip("\ufeff").startswith("WEBVTT")
        spoken = _Spoken(is_vtt)
        line = first
        while line:
            context.job.check()
            for text in spoken.feed(line):
                yield Chunk(_separator(before, text) + text, False)
                before = text
            line = stream.readline(_BLOCK)
        for text in spoken.end():
            yield Chunk(_separator(before, text) + text, False)
            before = text
    yield Chunk("", True)


class _Spoken:
    """Separates the spoken lines from the others, line by line.

    A line of digits, and in WebVTT any line after a blank one, is the identifier of the next subtitle if times follow:
    it is held back until that is known. Right after times, it is spoken text.
    """

    def __init__(self, is_vtt: bool) -> None:
        self._is_vtt = is_vtt
        self._skipping = is_vtt  # in the header, a note or styles, up to the next blank line
        self._after_times = False
        self._after_blank = True
        self._held = ""

    def feed(self, line: str) -> Iterator[str]:
        """Process a line; the lines that are now known to be spoken."""
        stripped = line.strip()
        if not stripped:
            self._skipping = False
            self._after_blank = True
            if self._is_vtt:  # an identifier comes right before the times
                yield from self.end()
            return
        if _TIMES.match(line):
            self._held, self._skipping, self._after_times = "", False, True
            self._after_blank = False
            return
        if self._is_vtt and self._after_blank and _VTT_BLOCKS.match(stripped):
            self._skipping = True
        if self._skipping:
            return
        yield from self.end()
        may_be_name = stripped.isdigit() or (self._is_vtt and self._after_blank)
        if may_be_name and not self._after_times:
            self._held = stripped
        elif text := self._text(stripped):
            yield text
        self._after_times = self._after_blank = False

    def end(self) -> Iterator[str]:
        """The line that was held back: it is spoken text after all."""
        held, self._held = self._held, ""
        if text := self._text(held):
            yield text

    def _text(self, line: str) -> str:
        text = " ".join(_TAGS.sub("", line).split(" ")).strip()
        return html.unescape(text) if self._is_vtt else text


def _separator(before: str, text: str) -> str:
    if not before:
        return ""
    return "\n" if before[-1] in _SENTENCE_ENDS or text[0] in "-–—♪([" else " "

"""Subtitles (.srt): the spoken text, without numbers, times and style tags.

The format is lines of text between a line of times and a blank line: a library would do nothing better, and the
existing ones load the whole file.
"""

import re
from collections.abc import Iterator

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.encodings import open_text
from llm_studio.data.sources.readers.items import InputFile

_BLOCK = 1 << 16
_TIMES = re.compile(r"\s*\d+:\d+:\d+[,.]\d+\s*-->\s*\d+:\d+:\d+[,.]\d+")
_TAGS = re.compile(r"</?(?:i|b|u|s|font|ruby|rt|c|v)\b[^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}", re.I)
_SENTENCE_ENDS = '.?!…:;。？！"”»♪)]'


def read_srt(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The spoken text as one document: a sentence that continues in the next subtitle is one line."""
    before = ""
    number = ""  # a line of digits only, which is spoken text unless times follow
    with open_text(item, context) as stream:
        while line := stream.readline(_BLOCK):
            context.job.check()
            if _TIMES.match(line):
                number = ""
                continue
            held_back, number = number, ""
            if line.strip().isdigit():
                number = line
                line = ""
            for spoken in (held_back, line):
                text = " ".join(_TAGS.sub("", spoken).split(" ")).strip()
                if text:
                    yield Chunk(_separator(before, text) + text, False)
                    before = text
    if number.strip() and before:
        yield Chunk(_separator(before, number) + number.strip(), False)
    yield Chunk("", True)


def _separator(before: str, text: str) -> str:
    if not before:
        return ""
    return "\n" if before[-1] in _SENTENCE_ENDS or text[0] in "-–—♪([" else " "

"""Text files (.txt, .md): documents between separators. Lines of any length are read in bounded memory."""

from collections.abc import Callable, Iterator
from typing import TextIO

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.encodings import open_text
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.data.sources.readers.options import BLANK, END_OF_TEXT

BLOCK = 1 << 16
"""Characters read at once."""


def read_text(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The documents between separators, without surrounding newlines; without a separator, the whole file."""
    with open_text(item, context) as stream:
        yield from _documents(stream, context.options.separator)


def _documents(stream: TextIO, separator: str | None) -> Iterator[Chunk]:
    if separator is None:
        return _whole(stream)
    if separator == END_OF_TEXT:
        return _trimmed(_split_at(stream, separator))
    mark = separator.strip()
    if separator == BLANK or not mark:
        return _trimmed(_split_lines(stream, str.isspace))
    return _trimmed(_split_lines(stream, lambda line: line.strip() == mark))


def _whole(stream: TextIO) -> Iterator[Chunk]:
    while block := stream.read(BLOCK):
        yield Chunk(block, False)
    yield Chunk("", True)


def _split_at(stream: TextIO, mark: str) -> Iterator[Chunk]:
    pending = ""
    while block := stream.read(BLOCK):
        *documents, pending = (pending + block).split(mark)
        for text in documents:
            yield Chunk(text, True)
        certain = max(0, len(pending) - len(mark) + 1)  # part of a mark may be at the end
        yield Chunk(pending[:certain], False)
        pending = pending[certain:]
    yield Chunk(pending, True)


def _split_lines(stream: TextIO, separates: Callable[[str], bool]) -> Iterator[Chunk]:
    lines: list[str] = []
    length, at_start = 0, True
    while line := stream.readline(BLOCK):
        ends = at_start and separates(line)
        if ends:
            line = ""
        at_start = ends or line.endswith("\n")
        lines.append(line)
        length += len(line)
        if ends or length >= BLOCK:
            yield Chunk("".join(lines), ends)
            lines, length = [], 0
    yield Chunk("".join(lines), True)


def _trimmed(fragments: Iterator[Chunk]) -> Iterator[Chunk]:
    """The documents without leading and trailing newlines, and without empty documents."""
    held, started = 0, False  # number of newlines that are kept only if text follows
    for fragment in fragments:
        if fragment.ends and not started:  # a complete document: the usual case
            held = 0
            if kept := fragment.text.strip("\n"):
                yield Chunk(kept, True)
            continue
        text = fragment.text if started else fragment.text.lstrip("\n")
        kept = text.rstrip("\n")
        if kept:
            while held > BLOCK:
                yield Chunk("\n" * BLOCK, False)
                held -= BLOCK
            yield Chunk("\n" * held + kept, False)
            held, started = len(text) - len(kept), True
        else:
            held += len(text)
        if fragment.ends:
            if started:
                yield Chunk("", True)
            held, started = 0, False

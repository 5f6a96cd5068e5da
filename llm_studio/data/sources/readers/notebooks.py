"""Jupyter notebooks (.ipynb): the text and the code of the cells, without the outputs.

A notebook is read cell by cell, since images among the outputs can make it very long.
"""

from collections.abc import Iterator
from typing import cast

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import ATTACHED, OUTPUTS, PARTS
from llm_studio.data.sources.nested import joined
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.encodings import open_text
from llm_studio.data.sources.readers.errors import damaged
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.data.sources.readers.json_stream import JsonStream
from llm_studio.errors import SourceError
from llm_studio.i18n import _, ngettext, number

_CELLS, _SHEETS = "cells", "worksheets"
"""Fields with the cells; up to version 3 of the format, cells are on worksheets."""


def read_notebook(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The notebook as one document: cells are separated by a blank line."""
    outputs = attachments = 0
    is_notebook = started = False
    with open_text(item, context) as stream:
        for path, value in _values(item, JsonStream(stream, context)):
            is_notebook = is_notebook or path[0] in (_CELLS, _SHEETS, "nbformat")
            if path[-1] != _CELLS or not isinstance(value, dict):
                continue
            cell = cast("dict[str, object]", value)
            outputs += _length(cell.get("outputs"))
            attachments += _length(cell.get("attachments"))
            if text := _text(cell):
                yield Chunk(f"\n\n{text}" if started else text, False)
                started = True
    if not is_notebook:
        raise damaged(item.name, _("there are no cells in it"))
    yield Chunk("", True)
    if outputs:
        detail = ngettext("{n} output", "{n} outputs", outputs).format(n=number(outputs))
        context.account.leave_out(PARTS, OUTPUTS, item.name, detail)
    for _attachment in range(attachments):
        context.account.leave_out(PARTS, ATTACHED, item.name)


def _values(item: InputFile, stream: JsonStream) -> Iterator[tuple[tuple[str, ...], object]]:
    try:
        if stream.next() == "{":
            yield from stream.walk((_CELLS, _SHEETS), (_SHEETS,))
    except SourceError as error:
        raise damaged(item.name, error.what) from error


def _text(cell: dict[str, object]) -> str:
    """The text of a cell, or its code."""
    for name in ("source", "input"):
        lines = cell.get(name)
        text = joined("".join(cast("list[str]", lines)) if _is_lines(lines) else lines, "\n")
        if text:
            return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    return ""


def _is_lines(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) for line in cast("list[object]", value))


def _length(value: object) -> int:
    return len(cast("list[object]", value)) if isinstance(value, (list, dict)) else 0

"""Spreadsheets (.xlsx): each row of each sheet is a record, streamed from the XML inside.

Formulas are read as their values. Hidden sheets are left out and counted. The file stores the texts of all cells in one
list, which is held in memory.
"""

import posixpath
from collections.abc import Iterator, Mapping
from itertools import chain, islice, zip_longest
from typing import Any

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import ABOVE_HEADER, HIDDEN_SHEETS, PARTS
from llm_studio.data.sources.expansion import Budget
from llm_studio.data.sources.readers import records, xml_parts
from llm_studio.data.sources.readers.archives import member, open_zip
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.delimited import count_titles, has_header, unique_names
from llm_studio.data.sources.readers.errors import damaged, password_protected
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.data.sources.readers.records import FieldChoice, Record, RecordLog
from llm_studio.i18n import _

_OLE_SIGNATURE = b"\xd0\xcf\x11\xe0"
_WORKBOOK = "xl/workbook.xml"
_RELATIONS = "xl/_rels/workbook.xml.rels"
_STRINGS = "xl/sharedStrings.xml"
_SAMPLE_ROWS = 50
_MAX_COLUMNS = 16_384


def choose(item: InputFile, context: Context) -> FieldChoice:
    """Find the column that holds the text."""
    silent = context.silent()
    return records.choose_field(_rows(item, silent, RecordLog(item, silent, "")), context.options.text_field)


def read(item: InputFile, context: Context, choice: FieldChoice) -> Iterator[Chunk]:
    """One document per row."""
    return records.documents(item, context, lambda log: _rows(item, context, log), choice, _("{path}, row {line}"))


def _rows(item: InputFile, context: Context, log: RecordLog) -> Iterator[Record]:
    """The rows of all sheets as records, without headers and the titles above them."""
    with item.open() as stream:
        if stream.read(4) == _OLE_SIGNATURE:
            raise password_protected(item.name)
    with open_zip(item, context) as (archive, budget):
        book = _Workbook(item, context, archive, budget)
        for sheet in book.sheets():
            rows = book.rows(sheet)
            first = list(islice(rows, _SAMPLE_ROWS))
            titles = count_titles([row for _n, row in first if row])
            header = has_header([row for _n, row in first if row][titles:])
            names: list[str] = []
            for position, row in chain(first, rows):
                if not any(row):
                    continue
                if titles:
                    titles -= 1
                    log.drop(ABOVE_HEADER, position)
                elif not names:
                    names = unique_names(row) if header else [str(n) for n in range(1, len(row) + 1)]
                    if not header:
                        yield Record(position, dict(zip(names, row, strict=True)))
                else:
                    yield Record(position, dict(zip_longest(names, row[: len(names)], fillvalue="")))


class _Workbook:
    """The files of a spreadsheet."""

    def __init__(self, item: InputFile, context: Context, archive: Any, budget: Budget) -> None:
        self._item, self._context, self._archive, self._budget = item, context, archive, budget
        self._names = set(archive.namelist())
        if _WORKBOOK not in self._names:
            raise damaged(item.name, _("“{name}” is missing in it").format(name=_WORKBOOK))
        self._strings: list[str] | None = None

    def sheets(self) -> list[str]:
        """The file names of the visible sheets, in order."""
        targets = _Attributes("Relationship")
        if _RELATIONS in self._names:
            self._parse(_RELATIONS, targets)
        paths = {one.get("Id", ""): one.get("Target", "") for one in targets.found}
        sheets = _Attributes("sheet")
        self._parse(_WORKBOOK, sheets)
        found: list[str] = []
        for sheet in sheets.found:
            if sheet.get("state", "visible") != "visible":
                account = self._context.account
                file = account.relative(self._item.name)
                account.leave_out(PARTS, HIDDEN_SHEETS, f"{file}: {sheet.get('name', '')}")
                continue
            target = paths.get(sheet.get("id", ""), "")
            path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
            if path in self._names:
                found.append(path)
        return found or sorted(name for name in self._names if name.startswith("xl/worksheets/sheet"))

    def rows(self, sheet: str) -> Iterator[tuple[int, list[str]]]:
        """The rows of a sheet with their numbers; cells are strings."""
        if self._strings is None:
            strings = _Strings()
            if _STRINGS in self._names:
                self._parse(_STRINGS, strings)
            self._strings = strings.found
        cells = _Cells(self._strings)
        for _block in self._feed(sheet, cells):
            self._budget.spend(cells.take_repeated())
            yield from cells.take_rows()

    def _parse(self, name: str, target: "_Attributes | _Strings") -> None:
        for _block in self._feed(name, target):
            pass

    def _feed(self, name: str, target: xml_parts.Target) -> Iterator[None]:
        part = member(self._item, self._archive, self._archive.getinfo(name), self._budget)
        return xml_parts.feed(self._item, part, target, self._context)


class _Attributes(xml_parts.Target):
    """Collects the attributes of all elements with a given name, without their namespaces."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self._name = name

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        if _local(tag) == self._name:
            self.found.append({_local(key): value for key, value in attributes.items()})
            self.held += 100 + sum(map(len, attributes.values()))


class _Strings(xml_parts.Target):
    """Collects the texts of cells, without the phonetic guides between <rPh>."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._parts: list[str] = []
        self._in_text = self._in_phonetic = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        name = _local(tag)
        self._in_text = name == "t"
        self._in_phonetic = self._in_phonetic or name == "rPh"

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        name = _local(tag)
        if name == "si":
            self.found.append("".join(self._parts))
            self.held += 8
            self._parts.clear()
        elif name == "t":
            self._in_text = False
        elif name == "rPh":
            self._in_phonetic = False

    def data(self, text: str) -> None:
        """Handle character data."""
        if self._in_text and not self._in_phonetic:
            self._parts.append(text)
            self.held += len(text)


class _Cells(xml_parts.Target):
    """Collects rows of cells."""

    def __init__(self, strings: list[str]) -> None:
        super().__init__()
        self._strings = strings
        self._repeated = 0
        self._rows: list[tuple[int, list[str]]] = []
        self._row: list[str] = []
        self._number = 0
        self._column = 0
        self._kind = ""
        self._value: list[str] = []
        self._in_value = False

    def take_rows(self) -> list[tuple[int, list[str]]]:
        """Return the completed rows and remove them."""
        rows, self._rows = self._rows, []
        return rows

    def take_repeated(self) -> int:
        """Return the number of characters of the list of texts that cells have referred to since the last call.

        A cell refers to a text of any length in a few bytes, so a small file can expand to terabytes.
        """
        count, self._repeated = self._repeated, 0
        return count

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        name = _local(tag)
        if name == "row":
            number = attributes.get("r", "")
            self._number = int(number) if number.isdecimal() and len(number) < 10 else self._number + 1
            self._row, self._column, self.held = [], 0, 0
        elif name == "c":
            column = _column(attributes.get("r", ""))
            self._column = self._column + 1 if column is None else column
            self._kind = attributes.get("t", "")
            self._value.clear()
        elif name in ("v", "t"):
            self._in_value = True

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        name = _local(tag)
        if name in ("v", "t"):
            self._in_value = False
        elif name == "c" and 0 < self._column <= _MAX_COLUMNS:
            self._row += [""] * (self._column - len(self._row))
            self._row[self._column - 1] = self._text("".join(self._value))
        elif name == "row":
            self._rows.append((self._number, self._row))

    def data(self, text: str) -> None:
        """Handle character data."""
        if self._in_value:
            self._value.append(text)
            self.held += len(text)

    def _text(self, value: str) -> str:
        if self._kind == "s":
            known = value.isdecimal() and len(value) < 10 and int(value) < len(self._strings)
            text = self._strings[int(value)] if known else ""
            self._repeated += len(text)
            return text
        return "" if self._kind == "e" else value


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _column(reference: str) -> int | None:
    """The column number in a cell reference such as “AB12”, counted from 1; None if it has none."""
    letters = reference.rstrip("0123456789")
    if not letters.isascii() or not letters.isalpha() or len(letters) > 3:
        return None
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number

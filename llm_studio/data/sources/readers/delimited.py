"""Tables as text (.csv, .tsv): the dialect is detected from the beginning, then each row is a record."""

import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal, TextIO

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import ABOVE_HEADER, NOT_A_ROW, OPEN_QUOTE
from llm_studio.data.sources.readers import records
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.encodings import open_text
from llm_studio.data.sources.readers.items import InputFile, suffix_of
from llm_studio.data.sources.readers.packed import content_name
from llm_studio.data.sources.readers.records import FieldChoice, Record, RecordLog
from llm_studio.errors import SourceError
from llm_studio.i18n import _, ngettext, number

MAX_FIELD = 1 << 26
"""Length limit of a field and of a line, in characters."""
_SAMPLE = 1 << 16
_MAX_HEADER = 80
"""Length limit of a column name."""
_DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[ ;,\t]*\n', re.I)
"""First line of tables for Excel, which names the delimiter."""
_DECIMAL = re.compile(r"\d,\d")
_CHECKED_LINES, _MAX_LINES = 100, 20_000
"""Lines of a row between two checks of the job, and maximum number of lines of a row."""
_MAX_TITLES = 20
"""Number of rows that are searched for the header."""
_Quoting = Literal["doubled", "escaped", "none"]


@dataclass(frozen=True)
class Dialect:
    """The format of a table.

    `quoting`: how quotation marks in quoted fields are written, "none" if no field is quoted. `header`: there is a
    header. `titles`: number of title rows above it. `strict`: a quoted field must be followed by a delimiter; if it
    isn't, its closing quotation mark belongs to another row.
    """

    delimiter: str
    quoting: _Quoting
    header: bool = True
    titles: int = 0
    strict: bool = True

    def rows(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """The rows in `lines`. Raises csv.Error."""
        if self.quoting == "none":
            return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        escape = "\\" if self.quoting == "escaped" else None
        return csv.reader(
            lines, delimiter=self.delimiter, doublequote=escape is None, escapechar=escape, strict=self.strict
        )

    def loose(self) -> "Dialect":
        """The same dialect for a single line with misplaced quotation marks."""
        return replace(self, strict=False)


def choose(item: InputFile, context: Context) -> FieldChoice:
    """Find the column that holds the text."""
    silent = RecordLog(item, context.silent(), "")
    return records.choose_field(_rows(item, context, silent, quiet=True), context.options.text_field)


def read(item: InputFile, context: Context, choice: FieldChoice) -> Iterator[Chunk]:
    """One document per row."""
    return records.documents(item, context, lambda log: _rows(item, context, log), choice, _("{path}, row {line}"))


def _rows(item: InputFile, context: Context, log: RecordLog, quiet: bool = False) -> Iterator[Record]:
    """The rows as records, without the header; rows with too few fields are padded and reported."""
    csv.field_size_limit(MAX_FIELD)  # for the whole process, which reads no other tables
    with open_text(item, context) as stream:
        sample = stream.read(_SAMPLE)
    separator = _SEPARATOR_LINE.match(sample)
    tabs = suffix_of(content_name(item.basename)) in (".tsv", ".tab")
    dialect = sniff(sample[separator.end() :] if separator else sample, tabs, separator[1] if separator else "")
    with open_text(item, context) as stream:
        if separator:
            stream.readline(MAX_FIELD)
        names: list[str] = []
        short = position = 0
        for position, row in enumerate(_RowReader(dialect, stream, context, log).rows(), 1):
            if not row:
                continue
            if position <= dialect.titles:
                if any(field.strip() for field in row):
                    log.drop(ABOVE_HEADER, position)
                continue
            if not names:
                names = unique_names(row) if dialect.header else [str(n) for n in range(1, len(row) + 1)]
                if dialect.header:
                    continue
            short += 0 < len(row) < len(names)
            yield Record(position, dict(zip_longest(names, row[: len(names)], fillvalue="")))
    if short and not quiet and not context.quick:
        context.notice(ngettext(
            "{file}: {n} row has fewer fields than there are columns.",
            "{file}: {n} rows have fewer fields than there are columns.", short,
        ).format(file=item.basename, n=number(short)))  # fmt: skip


class _RowReader:
    """Reads rows. A line with a quotation mark that is never closed is left out, and reading continues after it.

    The lines of a row are kept until the row is complete, so that they can be read again without the first one.
    """

    def __init__(self, dialect: Dialect, stream: TextIO, context: Context, log: RecordLog) -> None:
        self._dialect = dialect
        self._stream = stream
        self._context = context
        self._log = log
        self._lines: list[str] = []  # lines of the current row
        self._again: list[str] = []  # lines to read again, in reverse order
        self._length = 0  # characters in the current row after its first line
        self._line = 0

    def rows(self) -> Iterator[list[str]]:
        """The rows. One that can't be read is yielded as an empty row, so that the rows after it keep their numbers."""
        lines = self._lines
        while True:
            try:
                for row in self._dialect.rows(self._read()):
                    yield row
                    lines.clear()
                    self._length = 0
                return
            except csv.Error as error:
                yield self._recover(error)
                lines.clear()
                self._length = 0

    def _read(self) -> Iterator[str]:
        lines, again, readline = self._lines, self._again, self._stream.readline
        while line := again.pop() if again else readline(MAX_FIELD):
            self._line += 1
            lines.append(line)
            if len(lines) > 1:
                self._length += len(line)
                if len(lines) % _CHECKED_LINES == 0:
                    self._context.job.check()
                if self._length > MAX_FIELD or len(lines) > _MAX_LINES:
                    raise csv.Error(f"field larger than field limit ({MAX_FIELD})")
            if len(line) == MAX_FIELD:
                raise csv.Error(f"field larger than field limit ({MAX_FIELD})")
            yield line

    def _recover(self, error: csv.Error) -> list[str]:
        """The fields of a malformed row if they can be read, else an empty row; its other lines are read again."""
        first, *others = self._lines or [""]
        if not others:  # misplaced quotation marks in a single line
            with contextlib.suppress(csv.Error):
                loose = self._dialect.loose()
                if row := next(loose.rows(iter([first])), None):
                    return row
        self._again += reversed(others)
        self._line -= len(others)
        problem = SourceError(_("this can't be read as a table ({reason}).").format(reason=error),
                              _("Check whether a quotation mark is missing there."))  # fmt: skip
        self._log.drop(OPEN_QUOTE if others else NOT_A_ROW, self._line, problem, _("{path}, line {line}"))
        return []


def unique_names(names: list[str]) -> list[str]:
    """The column names, made unique. A column without a name gets its number, which is the same in all languages."""
    found: list[str] = []
    for column, header in enumerate(names, 1):
        name = header.strip() or str(column)
        found.append(name if name not in found else f"{name} ({column})")
    return found


# --- Detection of the dialect --------------------------------------------------------------------------------------


def sniff(sample: str, tabs: bool, delimiter: str = "") -> Dialect:
    """Detect the dialect of the table that begins with `sample`.

    `tabs`: the file name indicates tabs as delimiters. `delimiter`: the one named in the first line, or "".
    """
    cut = len(sample) >= _SAMPLE
    best, best_score = Dialect(delimiter or ("\t" if tabs else ","), "doubled"), 0.0
    for tried in delimiter or ("\t" if tabs else _DELIMITERS):
        for quoting in _quotings(sample, tried):
            dialect = Dialect(tried, quoting, strict=False)
            score = _score(_sample_rows(dialect, sample, cut))
            if tried == "," and len(_DECIMAL.findall(sample)) * 2 > sample.count(",") and ";" in sample:
                score *= 0.5  # decimal commas
            if score > best_score * 1.01:
                best, best_score = dialect, score
    rows = _sample_rows(best, sample, cut)
    titles = count_titles(rows)
    return Dialect(best.delimiter, best.quoting, has_header(rows[titles:]), titles)


def count_titles(rows: list[list[str]]) -> int:
    """The number of title rows above the header: rows with at most one field, above rows with several."""
    if not rows:
        return 0
    width = Counter(map(len, rows)).most_common(1)[0][0]
    if width < 2:
        return 0
    for place, row in enumerate(rows[:_MAX_TITLES]):
        if sum(map(bool, map(str.strip, row))) * 3 >= width * 2 and len(row) == width:
            return place if has_header(rows[place:]) else 0
        if sum(map(bool, map(str.strip, row))) > 1:
            return 0
    return 0


def _quotings(sample: str, delimiter: str) -> tuple[_Quoting, ...]:
    if delimiter == "\t" and not ('"\t' in sample or '"\n' in sample or sample.endswith('"')):
        return ("none",)
    quoted: tuple[_Quoting, ...] = ("doubled", "escaped") if '\\"' in sample else ("doubled",)
    return (*quoted, "none") if delimiter == "\t" else quoted


def _sample_rows(dialect: Dialect, sample: str, cut: bool) -> list[list[str]]:
    """The rows in the sample, without the last one if it may be cut off."""
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):
        rows += dialect.rows(io.StringIO(sample))
    rows = [row for row in rows if row]
    return rows[:-1] if cut and len(rows) > 1 else rows


def _score(rows: list[list[str]]) -> float:
    """How likely these are the rows of a table: the fraction with as many fields as the first, higher for more columns.

    A delimiter that doesn't occur gives a single column and so a low score.
    """
    if not rows:
        return 0
    width = len(rows[0])
    same_width = Counter(map(len, rows))[width] / len(rows)
    broken = sum('"' in field for row in rows for field in row[1:-1] if field.count('"') % 2) / len(rows)
    return same_width * (1 - min(broken, 0.5)) * (1 if width > 1 else 0.4) * (1 + min(width, 20) / 100)


def has_header(rows: list[list[str]]) -> bool:
    """Whether the first row is a header: short names, all different, no numbers."""
    if not rows:
        return True
    first = [name.strip() for name in rows[0]]
    if any(len(name) > _MAX_HEADER or "\n" in name or _is_number(name) for name in first):
        return False
    named = [name for name in first if name]
    if len(set(named)) != len(named) or len(named) < len(first) - 1 or not named:
        return False
    return len(rows) > 1 or len(first) > 1 or first[0].lower() in ("text", "texte")


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True

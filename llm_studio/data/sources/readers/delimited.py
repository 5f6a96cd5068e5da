"""Tables as text (.csv, .tsv): the dialect is detected from the beginning, then each row is a record."""

import contextlib
import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, TextIO

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.readers import records
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.encodings import open_text
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.data.sources.readers.records import FieldChoice, Record
from llm_studio.errors import SourceError
from llm_studio.i18n import _, ngettext, number

MAX_FIELD = 1 << 26
"""Length limit of a field and of a line, in characters."""
_SAMPLE = 1 << 16
_MAX_HEADER = 80
"""Length limit of a column name."""
_DELIMITERS = ",;\t|"
_Quoting = Literal["doubled", "escaped", "none"]


@dataclass(frozen=True)
class Dialect:
    """The format of a table: the delimiter, how quotes in quoted fields are marked, and whether there is a header."""

    delimiter: str
    quoting: _Quoting
    header: bool = True

    def rows(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """The rows in `lines`. Raises csv.Error."""
        if self.quoting == "none":
            return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        escape = "\\" if self.quoting == "escaped" else None
        return csv.reader(lines, delimiter=self.delimiter, doublequote=escape is None, escapechar=escape)


def choose(item: InputFile, context: Context) -> FieldChoice:
    """Find the column that holds the text."""
    return records.choose_field(_rows(item, context, quiet=True), context.options.text_field)


def read(item: InputFile, context: Context, choice: FieldChoice) -> Iterator[Chunk]:
    """A document from each row."""
    return records.documents(item, context, lambda _log: _rows(item, context), choice, _("{path}, row {line}"))


def _rows(item: InputFile, context: Context, quiet: bool = False) -> Iterator[Record]:
    """The rows as records, without the header; rows with too few fields are filled up and reported."""
    csv.field_size_limit(MAX_FIELD)  # for the whole process, which reads no other tables
    with open_text(item, context) as stream:
        dialect = sniff(stream.read(_SAMPLE), item.suffix == ".tsv" or item.basename.lower().endswith(".tsv.gz"))
    with open_text(item, context) as stream:
        names: list[str] = []
        short = position = 0
        try:
            for position, row in enumerate(dialect.rows(_lines(stream, context)), 1):
                if not row:
                    continue
                if not names:
                    names = _unique(row) if dialect.header else [str(n) for n in range(1, len(row) + 1)]
                    if dialect.header:
                        continue
                short += 0 < len(row) < len(names)
                yield Record(position, dict(zip_longest(names, row[: len(names)], fillvalue="")))
        except csv.Error as error:
            raise SourceError(
                _("{path}, row {line}: this can't be read as a table ({reason}).").format(
                    path=item.name, line=position + 1, reason=error
                ),
                _("Check whether a quotation mark is missing there."),
            ) from error
    if short and not quiet and not context.quick:
        context.notice(ngettext(
            "{file}: {n} row has fewer fields than there are columns.",
            "{file}: {n} rows have fewer fields than there are columns.", short,
        ).format(file=item.basename, n=number(short)))  # fmt: skip


def _lines(stream: TextIO, context: Context) -> Iterator[str]:
    done = 0
    while line := stream.readline(MAX_FIELD):
        done += len(line)
        if done > _SAMPLE:
            context.job.check()
            done = 0
        if len(line) == MAX_FIELD:
            raise csv.Error(f"field larger than field limit ({MAX_FIELD})")
        yield line


def _unique(names: list[str]) -> list[str]:
    """The names of the columns, made unique; a column without a name has its number, the same in all languages."""
    found: list[str] = []
    for column, header in enumerate(names, 1):
        name = header.strip() or str(column)
        found.append(name if name not in found else f"{name} ({column})")
    return found


# --- Detection of the dialect --------------------------------------------------------------------------------------


def sniff(sample: str, tabs: bool) -> Dialect:
    """Detect the dialect of the table that begins with `sample`. `tabs`: its name says that it is separated by tabs."""
    cut = len(sample) >= _SAMPLE
    best, best_score = Dialect("\t" if tabs else ",", "doubled"), 0.0
    for delimiter in "\t" if tabs else _DELIMITERS:
        for quoting in _quotings(sample, delimiter):
            dialect = Dialect(delimiter, quoting)
            score = _score(_sample_rows(dialect, sample, cut))
            if score > best_score * 1.01:
                best, best_score = dialect, score
    rows = _sample_rows(best, sample, cut)
    return Dialect(best.delimiter, best.quoting, _has_header(rows))


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
    """How likely these are the rows of a table: the fraction with as many fields as the first, more for more columns.

    A delimiter that doesn't occur gives one column: a low score.
    """
    if not rows:
        return 0
    width = len(rows[0])
    same_width = Counter(map(len, rows))[width] / len(rows)
    broken = sum('"' in field for row in rows for field in row[1:-1] if field.count('"') % 2) / len(rows)
    return same_width * (1 - min(broken, 0.5)) * (1 if width > 1 else 0.4) * (1 + min(width, 20) / 100)


def _has_header(rows: list[list[str]]) -> bool:
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

"""Records (lines of JSON, rows of a table): detection of the text field, and the documents in it.

Nested fields are named with dots, such as “tweet.full_text”: see `nested.py`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources import conversations, nested
from llm_studio.data.sources.account import EMPTY, NO_CONVERSATION, NO_FIELD, NOT_TEXT
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.errors import SourceError
from llm_studio.i18n import _, ngettext, number

SAMPLE_RECORDS = 100
_SAMPLE_CHARACTERS = 4_000_000
_EXAMPLES, _EXAMPLE_CHARACTERS = 3, 200
_MAX_NAMED, _MAX_SHOWN = 12, 30
_NAMES = ("text", "texte", "content", "contents", "contenu", "document", "article", "body", "story", "passage",
          "paragraph", "abstract", "maintext", "raw_content", "page_content", "full_text")  # fmt: skip
"""Common names of the field that holds the text, in order of preference."""
_MAX_BAD = 10_000
"""Number of records without a text after which a file is refused, if no record had one."""
_WORD = re.compile(r"\w+")


class Record(NamedTuple):
    """One record with its position for messages: a line or row number, counted from 1."""

    position: int
    fields: Mapping[str, object]


@dataclass(frozen=True)
class Column:
    """One field of the records.

    `texts`: number of sampled records with a value that contains letters; `characters`: mean length of these values;
    `examples`: the first values, shortened.
    """

    name: str
    texts: int
    characters: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class FieldChoice:
    """The `field` that holds the text: None for conversations, or if none was found. `guessed`: the user didn't name
    it. `unusable`: why records that look like conversations can't be read as such."""

    field: str | None
    guessed: bool
    conversations: bool
    columns: tuple[Column, ...]
    unusable: tuple[str, ...] = ()


def choose_field(records: Iterable[Record], name: str | None) -> FieldChoice:
    """The field that holds the text: `name` if given, else detected from the first of `records`."""
    sample: list[Mapping[str, object]] = []
    characters = 0
    for record in islice(records, SAMPLE_RECORDS):
        sample.append(record.fields)
        characters += sum(len(value) for value in record.fields.values() if isinstance(value, str))
        if characters > _SAMPLE_CHARACTERS:
            break
    columns = _columns(sample)
    has_conversations = sum(map(conversations.is_conversation, sample)) * 2 > len(sample)
    if name is not None:
        has_turns = has_conversations and any(isinstance(fields.get(name), (list, tuple)) for fields in sample)
        return FieldChoice(None if has_turns else name, False, has_turns, columns)
    has_text = any(column.name.lower() in ("text", "texte") for column in columns)
    if has_conversations:
        return FieldChoice(None, True, True, columns)
    unusable = dict.fromkeys(reason for fields in sample if (reason := conversations.why_not(fields)))
    field = None if unusable and not has_text else _most_likely(columns, len(sample))
    return FieldChoice(field, True, False, columns, tuple(unusable))


def _columns(sample: list[Mapping[str, object]]) -> tuple[Column, ...]:
    found: list[Column] = []
    flat = [nested.flatten(fields) for fields in sample]
    for name in islice(dict.fromkeys(name for fields in flat for name in fields), nested.MAX_FIELDS):
        values = [fields.get(name) for fields in flat]
        texts = [text for value in values if (text := text_of(value)) and any(map(str.isalpha, text))]
        examples = [_shorten(value) for value in values if value is not None and value != ""][:_EXAMPLES]
        mean = sum(map(len, texts)) / len(texts) if texts else 0.0
        found.append(Column(name, len(texts), mean, tuple(examples)))
    return tuple(found)


def _shorten(value: object) -> str:
    text = " ".join((text_of(value) or repr(value))[: 2 * _EXAMPLE_CHARACTERS].split())
    return text if len(text) <= _EXAMPLE_CHARACTERS else text[: _EXAMPLE_CHARACTERS - 1] + "…"


def _most_likely(columns: tuple[Column, ...], records: int) -> str | None:
    """The field with a common name, or else the one with the longest texts made of words."""
    textual = [column for column in columns if column.texts * 2 >= min(records, 2) and column.texts > 0]
    longest = max((column.characters for column in textual), default=0)
    for name in _NAMES:
        for column in textual:
            same = _simple(column.name) == name
            if same and (name == "text" or column.characters * 10 >= longest):
                return column.name

    def score(column: Column) -> float:
        words = [len(_WORD.findall(example)) for example in column.examples]
        return column.characters * column.texts / records * (1 if max(words, default=0) > 1 else 0.01)

    best = max(textual, key=score, default=None)
    blank = (column.name for column in columns if not column.examples and _simple(column.name) in _NAMES)
    return best.name if best else next(blank, None)


def _simple(name: str) -> str:
    """The last component of a dotted name, in lower case."""
    return name.rpartition(".")[2].strip().lower()


class RecordLog:
    """Counts the records of a file that are left out. `place`: template of a position, such as "{path}, line {line}".

    `first`: the first error, to be raised if no record can be read.
    """

    def __init__(self, item: InputFile, context: Context, place: str) -> None:
        self.first: SourceError | None = None
        self.dropped = 0
        self._item, self._account, self._place = item, context.account, place

    def drop(self, reason: str, position: int, error: SourceError | None = None, place: str = "") -> None:
        """Leave out a record. `place`: the template of its position, if it isn't the usual one."""
        self.dropped += 1
        place = place or self._place
        if error is not None and self.first is None:
            where = place.format(path=self._item.name, line=position)
            self.first = SourceError(
                _("{path}: {reason}").format(path=where, reason=error.what), error.to_do
            )  # fmt: skip
        self._account.leave_out_record(reason, self._item.name, position, place)


def documents(
    item: InputFile, context: Context, rows: Callable[[RecordLog], Iterator[Record]], choice: FieldChoice, place: str,
) -> Iterator[Chunk]:  # fmt: skip
    """The documents of the records that `rows` reads; it logs those that it can't read.

    `place`: the template of a position in messages, such as "{path}, line {line}". Records without a text are left out
    and counted. Raises SourceError if no record has a text.
    """
    log = RecordLog(item, context, place)
    if choice.conversations:
        yield from _conversations(item, context, rows(log), log)
        return
    if choice.field is None:
        for _record in rows(log) if not choice.columns else ():
            break
        if log.first is not None:
            raise log.first
        if not choice.columns:
            return
        raise _no_field(item, choice)
    if choice.guessed and choice.field != "text" and choice.field not in context.reported_fields and not context.quick:
        context.reported_fields.add(choice.field)
        context.notice(_("{file}: the field “{field}” was used as the text.").format(
            file=item.basename, field=choice.field))  # fmt: skip
    name, found = choice.field, False
    known = {column.name for column in choice.columns}
    for record in rows(log):
        text = text_of(nested.value_of(record.fields, name))
        if text and not text.isspace():
            yield Chunk(text if "\r" not in text else text.replace("\r\n", "\n").replace("\r", "\n"), True)
            found = True
            continue
        _drop(record, name, log)
        if not found and log.first is not None and ((log.dropped == 1 and name not in known) or log.dropped > _MAX_BAD):
            raise log.first
        if context.quick and log.dropped > _MAX_BAD:
            return
    if not found and log.first is not None:
        raise log.first


def _no_field(item: InputFile, choice: FieldChoice) -> SourceError:
    """The error for a file in which no field holds a text."""
    for reason in choice.unusable:
        return SourceError(
            _("{path} holds {what} only.").format(path=item.name, what=_(reason)),
            _("A conversation has at least one message of the user and one of the assistant, as texts."),
        )
    known = ", ".join(map(_with_example, choice.columns[:_MAX_NAMED]))
    return SourceError(
        _("No field of {path} contains text; its fields are: {known}.").format(
            path=item.name, known=known or _("none")
        ),
        _("Save its texts as plain text (.txt), or in a field of each record: {example}").format(
            example='{"text": "..."}'
        ),
    )


def text_of(value: object) -> str | None:
    """The text that a field holds, "" if it is empty; None for numbers, objects and the like.

    The texts in a list are joined as paragraphs.
    """
    return nested.joined(value, "\n\n")


def _drop(record: Record, name: str, log: RecordLog) -> None:
    """Leave out a record that has no text in the field `name`."""
    value = nested.value_of(record.fields, name)
    if value is nested.MISSING:
        known = ", ".join(islice(nested.flatten(record.fields), _MAX_NAMED))
        problem = _("there is no field “{name}”; its fields are: {known}.").format(name=name, known=known or _("none"))
        log.drop(NO_FIELD, record.position, SourceError(problem, _("Choose one with --text-field.")))
    elif text_of(value) is None:
        problem = _("the field “{name}” holds {kind}, not a text.").format(name=name, kind=_kind_of(value))
        log.drop(NOT_TEXT, record.position, SourceError(problem, _fields_with_texts(record.fields)))
    else:
        log.drop(EMPTY, record.position)


def _with_example(column: Column) -> str:
    """The name of a field, with an example of its values."""
    example = column.examples[0] if column.examples else ""
    shown = example if len(example) <= _MAX_SHOWN else example[:_MAX_SHOWN] + "…"
    return f"{column.name} ({shown})" if shown else column.name


def _fields_with_texts(fields: Mapping[str, object]) -> str:
    """Advice for a field that holds no text: which fields to choose instead."""
    names = (name for name, value in nested.flatten(fields).items() if text_of(value))
    known = ", ".join(islice(names, _MAX_NAMED))
    if not known:
        return _("No other field of this record holds a text. Save its texts as plain text (.txt).")
    return _("Choose one of these with --text-field: {names}.").format(names=known)


def _kind_of(value: object) -> str:
    if isinstance(value, (int, float)):
        return _("a number")
    return _("a list") if isinstance(value, (list, tuple)) else _("an object with fields of its own")


def _conversations(item: InputFile, context: Context, rows: Iterator[Record], log: RecordLog) -> Iterator[Chunk]:
    skipped = 0
    for record in rows:
        if conversations.is_conversation(record.fields):
            yield Chunk(conversations.render(record.fields), True)
        else:
            skipped += 1
            log.drop(conversations.why_not(record.fields) or NO_CONVERSATION, record.position)
    if skipped and not context.quick:
        context.notice(ngettext(
            "{file}: {n} record isn't a conversation and was skipped.",
            "{file}: {n} records aren't conversations and were skipped.", skipped,
        ).format(file=item.basename, n=number(skipped)))  # fmt: skip

"""Records (lines of JSON, rows of a table): detection of the text field, and the documents in it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources import conversations
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.errors import SourceError
from llm_studio.i18n import _, ngettext, number

SAMPLE_RECORDS = 100
_SAMPLE_CHARACTERS = 4_000_000
_EXAMPLES, _EXAMPLE_CHARACTERS = 3, 200
_NAMES = ("text", "texte", "content", "contents", "contenu", "document", "article", "body", "story", "passage",
          "paragraph", "abstract", "maintext", "raw_content", "page_content")  # fmt: skip
"""Usual names of the field that holds the text."""
_WORD = re.compile(r"\w+")


class Record(NamedTuple):
    """One record with its position for messages: a line or row number, counted from 1."""

    position: int
    fields: Mapping[str, object]


@dataclass(frozen=True)
class Column:
    """One field of the records.

    `texts`: number of sampled records with a value that contains letters; `characters`: the mean length of these;
    `examples`: the first values, shortened.
    """

    name: str
    texts: int
    characters: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class FieldChoice:
    """The field that holds the text: None for conversations, or where none was found. `guessed`: the user didn't name
    it."""

    field: str | None
    guessed: bool
    conversations: bool
    columns: tuple[Column, ...]


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
    if has_conversations:
        return FieldChoice(None, True, True, columns)
    return FieldChoice(_most_likely(columns, len(sample)), True, False, columns)


def _columns(sample: list[Mapping[str, object]]) -> tuple[Column, ...]:
    found: list[Column] = []
    for name in dict.fromkeys(name for fields in sample for name in fields):
        values = [fields.get(name) for fields in sample]
        texts = [value for value in values if isinstance(value, str) and any(map(str.isalpha, value))]
        examples = [_shorten(value) for value in values if value is not None and value != ""][:_EXAMPLES]
        mean = sum(map(len, texts)) / len(texts) if texts else 0.0
        found.append(Column(name, len(texts), mean, tuple(examples)))
    return tuple(found)


def _shorten(value: object) -> str:
    text = " ".join((value if isinstance(value, str) else repr(value))[: 2 * _EXAMPLE_CHARACTERS].split())
    return text if len(text) <= _EXAMPLE_CHARACTERS else text[: _EXAMPLE_CHARACTERS - 1] + "…"


def _most_likely(columns: tuple[Column, ...], records: int) -> str | None:
    """The field with a usual name, or else the one with the longest texts that consist of words."""
    textual = [column for column in columns if column.texts * 2 >= min(records, 2) and column.texts > 0]
    longest = max((column.characters for column in textual), default=0)
    for name in _NAMES:
        for column in textual:
            same = column.name.strip().lower() == name
            if same and (name == "text" or column.characters * 10 >= longest):
                return column.name

    def score(column: Column) -> float:
        words = [len(_WORD.findall(example)) for example in column.examples]
        return column.characters * column.texts / records * (1 if max(words, default=0) > 1 else 0.01)

    best = max(textual, key=score, default=None)
    blank = (column.name for column in columns if not column.examples and column.name.strip().lower() in _NAMES)
    return best.name if best else next(blank, None)


def documents(
    item: InputFile, context: Context, rows: Callable[[], Iterator[Record]], choice: FieldChoice, place: str,
) -> Iterator[Chunk]:  # fmt: skip
    """The documents of the records that `rows` reads.

    `place` is the template of a position in messages: "{path}, line {line}:". Empty records are skipped.
    """
    if choice.conversations:
        yield from _conversations(item, context, rows())
        return
    if not choice.columns and choice.field is None:
        return
    if choice.field is None:
        known = ", ".join(column.name for column in choice.columns[:12])
        raise SourceError(
            _("No field of {path} contains text; its fields are: {known}.").format(
                path=item.name, known=known or _("none")
            ),
            _("Choose one with --text-field."),
        )
    if choice.guessed and choice.field != "text" and choice.field not in context.reported_fields and not context.quick:
        context.reported_fields.add(choice.field)
        context.notice(_("{file}: the field “{field}” was used as the text.").format(
            file=item.basename, field=choice.field))  # fmt: skip
    for record in rows():
        try:
            text = text_of(record.fields, choice.field)
        except SourceError as error:
            where = place.format(path=item.name, line=record.position)
            raise SourceError(f"{where} {error.what}", error.to_do) from error
        if text:
            yield Chunk(text if "\r" not in text else text.replace("\r\n", "\n").replace("\r", "\n"), True)


def text_of(fields: Mapping[str, object], name: str) -> str:
    """The text of one record, empty where there is none. Raises SourceError with the problem."""
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


def _conversations(item: InputFile, context: Context, rows: Iterator[Record]) -> Iterator[Chunk]:
    skipped = 0
    for record in rows:
        if conversations.is_conversation(record.fields):
            yield Chunk(conversations.render(record.fields), True)
        else:
            skipped += 1
    if skipped and not context.quick:
        context.notice(ngettext(
            "{file}: {n} record isn't a conversation and was skipped.",
            "{file}: {n} records aren't conversations and were skipped.", skipped,
        ).format(file=item.basename, n=number(skipped)))  # fmt: skip

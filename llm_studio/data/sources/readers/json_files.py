"""JSON lines (.jsonl) and JSON (.json): a list of records, consecutive records, or an object with such a list.

Only one record is in memory at a time, and none longer than MAX_RECORD.
"""

import json
from collections.abc import Iterator
from typing import Any, cast

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import CUT_OFF, NOT_AN_OBJECT, NOT_JSON, TOO_LONG
from llm_studio.data.sources.conversations import is_message
from llm_studio.data.sources.readers import records
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.encodings import open_text
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.data.sources.readers.json_stream import (
    BLOCK,
    LONG,
    MAX_RECORD,
    JsonStream,
    not_an_object,
    not_json,
    too_long,
)
from llm_studio.data.sources.readers.records import FieldChoice, Record, RecordLog
from llm_studio.errors import SourceError
from llm_studio.i18n import _

_AT_ONCE = 1 << 20
_MAX_BAD_AT_START = 1000
"""Lines after which a file without any record is refused."""
_LIST_FIELDS = ("data", "rows", "records", "items", "examples", "documents", "texts", "entries", "articles", "stories",
            "train", "results")  # fmt: skip
"""Fields of an object that contain the list of records."""


# --- .jsonl ------------------------------------------------------------------------------------------------------


def choose_lines(item: InputFile, context: Context) -> FieldChoice:
    """Find the field that holds the text, from the first lines."""
    return records.choose_field(
        _lines(item, context, RecordLog(item, context.silent(), "")), context.options.text_field
    )


def read_lines(item: InputFile, context: Context, choice: FieldChoice) -> Iterator[Chunk]:
    """One document per line; empty lines are skipped."""
    return records.documents(item, context, lambda log: _lines(item, context, log), choice, _("{path}, line {line}"))


def _lines(item: InputFile, context: Context, log: RecordLog) -> Iterator[Record]:
    """The records. Lines without one are left out; raises SourceError if the file begins with many of them."""
    with open_text(item, context) as stream:
        position = good = 0
        while line := stream.readline(MAX_RECORD):
            position += 1
            if position % 1000 == 0 or len(line) > BLOCK:
                context.job.check()
            if line.isspace():
                continue
            if len(line) == MAX_RECORD and not line.endswith("\n"):
                log.drop(TOO_LONG, position, too_long())
                while line and not line.endswith("\n"):
                    context.job.check()
                    line = stream.readline(BLOCK)
                continue
            try:
                record = _object(_as_conversation(json.loads(line)))
            except (ValueError, RecursionError) as error:
                log.drop(NOT_JSON, position, not_json(error))
            except SourceError as error:
                log.drop(NOT_AN_OBJECT, position, error)
            else:
                good += 1
                yield Record(position, record)
            if not good and log.first is not None and position > _MAX_BAD_AT_START:
                raise log.first


def _object(content: object) -> dict[str, object]:
    if not isinstance(content, dict):
        raise not_an_object(_("this is JSON, but not an object."))
    return cast("dict[str, object]", content)


# --- .json -------------------------------------------------------------------------------------------------------


def choose_values(item: InputFile, context: Context) -> FieldChoice:
    """Find the field that holds the text, from the first records."""
    return records.choose_field(
        _values(item, context, RecordLog(item, context.silent(), "")), context.options.text_field
    )


def read_values(item: InputFile, context: Context, choice: FieldChoice) -> Iterator[Chunk]:
    """One document per record."""
    return records.documents(item, context, lambda log: _values(item, context, log), choice, _("{path}, record {line}"))


def _values(item: InputFile, context: Context, log: RecordLog) -> Iterator[Record]:
    """The records; if the file is cut off or damaged, those before that point."""
    position = 0
    with open_text(item, context) as stream:
        try:
            for position, value in _with_messages_joined(_records(JsonStream(stream, context))):
                if isinstance(value, (dict, str)):
                    fields = {"text": value} if isinstance(value, str) else cast("dict[str, object]", value)
                    yield Record(position, fields)
                else:
                    log.drop(NOT_AN_OBJECT, position, not_an_object(_("this is JSON, but not an object.")))
        except SourceError as error:
            log.drop(CUT_OFF, position + 1, error)


def _as_conversation(value: object) -> object:
    """A record that holds `value` if it is a list of messages; other values unchanged."""
    if isinstance(value, list) and value:
        messages = cast("list[object]", value)
        if all(isinstance(one, dict) and is_message(cast("dict[str, object]", one)) for one in messages):
            return {"messages": messages}
    return value


def _with_messages_joined(values: Iterator[object]) -> Iterator[tuple[int, object]]:
    """The values with their positions. Consecutive messages are joined into one conversation, and articles of SQuAD are
    split into questions."""
    messages: list[object] = []
    length = first = 0
    for position, value in enumerate(values, 1):
        if isinstance(value, dict) and is_message(cast("dict[str, object]", value)) and length < MAX_RECORD:
            first = first or position
            messages.append(value)
            length += len(str(cast("object", value)))
            continue
        if messages:
            yield first, {"messages": messages}
            messages, length, first = [], 0, 0
        for one in _questions(_as_conversation(value)):
            yield position, one
    if messages:
        yield first, {"messages": messages}


def _questions(value: object) -> Iterator[object]:
    """The questions of an article of SQuAD, each with its paragraph; other values unchanged."""
    article = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    paragraphs = article.get("paragraphs")
    if not isinstance(paragraphs, list) or not all(
        isinstance(one, dict) and isinstance(cast("dict[str, Any]", one).get("qas"), list)
        for one in cast("list[object]", paragraphs)
    ):
        yield value
        return
    for paragraph in cast("list[dict[str, Any]]", paragraphs):
        for question in paragraph["qas"]:
            if isinstance(question, dict):
                yield {"context": paragraph.get("context"), **question}


def _records(stream: JsonStream) -> Iterator[object]:
    """The records in lists, in the list of an object, or one after another."""
    while mark := stream.next():
        if mark == "[":
            yield from stream.elements()
        elif mark == "{":
            yield from _members(stream)
        else:
            raise not_an_object(_("this is not JSON, or JSON without records."))


def _members(stream: JsonStream) -> Iterator[object]:
    """The records in the list of an object, or the object itself."""
    value = stream.short_value(_AT_ONCE)
    if value is LONG:
        yield from _members_one_by_one(stream)
        return
    record = cast("dict[str, Any]", value)
    name = next((name for name in _LIST_FIELDS if _is_list(record.get(name))), None)
    if name is None or isinstance(record.get("text"), str):
        yield from _spread(record)
    else:
        yield from record[name]


def _members_one_by_one(stream: JsonStream) -> Iterator[object]:
    record: dict[str, object] = {}
    has_list, length = False, 0
    stream.skip()
    while stream.next() != "}":
        name = stream.value()
        stream.after(":")
        if name in _LIST_FIELDS and stream.next() == "[":
            has_list = True
            yield from stream.elements()
        else:
            before = stream.place
            record[str(name)] = stream.value()
            length += stream.place - before
            if length > MAX_RECORD:
                raise too_long()
        if stream.after(",}") == "}":
            break
    else:
        stream.skip()
    if not has_list:
        yield from _spread(record)


_FIELD_NAMES = frozenset((
    "id", "title", "titre", "name", "nom", "author", "auteur", "date", "url", "text", "texte", "content", "contenu",
    "body", "corps", "story", "summary", "abstract", "question", "answer", "prompt", "response", "instruction", "input",
    "output", "context", "completion", "chosen", "rejected", "lang", "language", "source", "category", "description",
))  # fmt: skip
"""Common field names of a single record: an object without any of them may hold one text under each name."""


def _spread(record: dict[str, Any]) -> Iterator[object]:
    """The texts or records in an object that holds them by name; the object itself if it is a single record."""
    values = list(record.values())
    if len(values) > 1 and not _FIELD_NAMES.intersection(name.strip().lower() for name in record):
        if all(isinstance(value, str) for value in values) or all(
            isinstance(value, dict) and value for value in values
        ):
            yield from values
            return
        if all(isinstance(value, list) and value and isinstance(value[0], (str, dict)) for value in values):
            for value in values:
                yield from value
            return
    yield record


def _is_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], (dict, str))

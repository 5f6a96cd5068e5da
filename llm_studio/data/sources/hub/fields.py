"""The text in a record: a column of texts, of lines, of conversations; a field inside another is named with a dot."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from llm_studio.data.sources.columns import guess_text_column
from llm_studio.errors import DownloadError
from llm_studio.i18n import _

WHOLE_RECORD = ""
"""The field of a conversation whose question and answer are columns of their own."""
SAMPLE = 20
"""Records from which the column is guessed."""


def is_conversation(record: Mapping[str, Any]) -> bool:
    """Whether the record is a conversation that can be rendered."""
    from llm_studio.data.sources.conversations import is_conversation

    return is_conversation(record)


def text_of(record: Mapping[str, Any], field: str, conversations: bool) -> str | None:
    """The record's text, None where it has none. Raises DownloadError where `field` holds something else."""
    if conversations:
        from llm_studio.data.sources.conversations import render

        value = record.get(field)
        record = {"messages": value} if isinstance(value, list) else record
        return render(record) if is_conversation(record) else None
    value = value_of(record, field)
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, list) and all(isinstance(line, str) for line in cast("list[Any]", value)):
        return "\n".join(cast("list[str]", value)) or None
    raise DownloadError(_("The field “{name}” is not a text.").format(name=field), list_fields(record))


def value_of(record: Mapping[str, Any], field: str) -> Any:
    """The value of a field, by its dotted name. Raises DownloadError where there is none."""
    if field in record:
        return record[field]
    value: Any = record
    for name in field.split("."):
        if value is None:
            return None
        if not isinstance(value, Mapping) or name not in value:
            raise DownloadError(
                _("There is no field “{name}” in this data set.").format(name=field), list_fields(record)
            )
        value = cast("Mapping[str, Any]", value)[name]
    return value


def list_fields(record: Mapping[str, Any]) -> str:
    """A sentence that names a record's fields."""
    return _("Choose one with --text-field; there are: {names}.").format(names=", ".join(flatten(record)))


def flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record and of the records in it, by dotted name."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            inner = flatten(cast("Mapping[str, Any]", value))
            found |= {f"{name}.{key}": content for key, content in inner.items()}
        else:
            found[name] = value
    return found


def guess_field(records: Sequence[Mapping[str, Any]]) -> tuple[str | None, bool]:
    """The field that holds the texts, and whether they are conversations, from some records."""
    for record in records[:1]:
        for name, value in record.items():
            if isinstance(value, list) and is_conversation({"messages": value}):
                return name, True
        if is_conversation(record):
            return WHOLE_RECORD, True
    flattened = [flatten(record) for record in records]
    columns = {name: [r.get(name) for r in flattened] for name in (flattened[0] if flattened else ())}
    return guess_text_column(columns), False

"""The text in a record: a field with a text, lines or a conversation. Nested fields are named with a dot."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from llm_studio.data.sources.columns import guess_text_column
from llm_studio.data.sources.conversations import is_conversation, render
from llm_studio.errors import DownloadError
from llm_studio.i18n import _

WHOLE_RECORD = ""
"""The field name for conversations with the question and the answer in separate columns."""
SAMPLE = 20
"""Number of records from which the text field is guessed."""


def text_of(record: Mapping[str, Any], field: str, conversations: bool) -> str | None:
    """The text of the record, None where it has none. Raises DownloadError where `field` holds something else."""
    if conversations:
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
    """The value of a field by its dotted name. Raises DownloadError where there is none."""
    if field in record:
        return record[field]
    value: Any = record
    for name in field.split("."):
        if value is None:
            return None
        if not isinstance(value, Mapping) or name not in value:
            raise DownloadError(
                _("There is no field “{name}” in this dataset.").format(name=field), list_fields(record)
            )
        value = cast("Mapping[str, Any]", value)[name]
    return value


def list_fields(record: Mapping[str, Any]) -> str:
    """A message that lists the fields of a record."""
    return _("Choose one of these with --text-field: {names}.").format(names=", ".join(flatten(record)))


def flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record and of nested records, by dotted name."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            inner = flatten(cast("Mapping[str, Any]", value))
            found |= {f"{name}.{key}": content for key, content in inner.items()}
        else:
            found[name] = value
    return found


def guess_field(records: Sequence[Mapping[str, Any]]) -> tuple[str | None, bool]:
    """Guess from some records which field holds the texts, and whether they are conversations."""
    for record in records[:1]:
        for name, value in record.items():
            if isinstance(value, list) and is_conversation({"messages": value}):
                return name, True
        if is_conversation(record):
            return WHOLE_RECORD, True
    flattened = [flatten(record) for record in records]
    columns = {name: [r.get(name) for r in flattened] for name in (flattened[0] if flattened else ())}
    return guess_text_column(columns), False

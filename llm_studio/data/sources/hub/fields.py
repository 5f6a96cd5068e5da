"""The text of a record: a field with a text, lines or a conversation. Nested fields are named with dots."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_studio.data.sources import nested
from llm_studio.data.sources.account import EMPTY, NO_CONVERSATION, NO_FIELD, NOT_TEXT
from llm_studio.data.sources.columns import guess_text_column
from llm_studio.data.sources.conversations import is_conversation, render, why_not
from llm_studio.data.sources.nested import flatten, joined
from llm_studio.errors import DownloadError
from llm_studio.i18n import _

WHOLE_RECORD = ""
"""The field name for conversations with the question and the answer in separate columns."""
SAMPLE = 20
"""Number of records from which the text field is guessed."""


def text_of(record: Mapping[str, Any], field: str, conversations: bool) -> str | None:
    """The text of the record, None if it has none. Raises DownloadError if `field` holds something else."""
    if conversations:
        value = record.get(field)
        record = {"messages": value} if isinstance(value, list) else record
        return render(record) if is_conversation(record) else None
    text = joined(value_of(record, field), "\n")
    if text is None:
        raise DownloadError(_("The field “{name}” is not a text.").format(name=field), list_fields(record))
    return text or None


def value_of(record: Mapping[str, Any], field: str) -> Any:
    """The value of a field by its dotted name. Raises DownloadError if there is no such field."""
    value = nested.value_of(record, field)
    if value is nested.MISSING:
        raise DownloadError(_("There is no field “{name}” in this dataset.").format(name=field), list_fields(record))
    return value


def reason_left_out(record: Mapping[str, Any], field: str, conversations: bool) -> str:
    """Why a record that isn't a document is left out, as an untranslated message."""
    if conversations:
        value = record.get(field)
        return why_not({"messages": value} if isinstance(value, list) else record) or NO_CONVERSATION
    try:
        text_of(record, field, conversations)
    except DownloadError:
        return NO_FIELD if nested.value_of(record, field) is nested.MISSING else NOT_TEXT
    return EMPTY


def list_fields(record: Mapping[str, Any]) -> str:
    """A message that lists the fields of a record that can hold texts."""
    names = ", ".join(name for name, value in flatten(record).items() if joined(value, "\n") is not None)
    return _("Choose one of these with --text-field: {names}.").format(names=names) if names else _(
        "None of its fields holds a text: choose another dataset.")  # fmt: skip


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

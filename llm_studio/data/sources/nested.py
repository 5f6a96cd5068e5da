"""Nested fields of a record, named with dots (“tweet.full_text”), and the text of a value.

A list of records has the fields of its records: “paragraphs.text” is the list of their texts.
"""

from collections.abc import Mapping, Sequence
from typing import Final, cast

MAX_DEPTH = 8
MAX_FIELDS = 1000
"""Maximum number of fields listed for a record: an object can have a million."""


class _Missing:
    """The type of MISSING, which means that there is no such field."""


MISSING: Final = _Missing()


def value_of(record: Mapping[str, object], name: str) -> object:
    """The value of a field by its dotted name: MISSING if there is none, None if it is inside a null or empty field."""
    if name in record:
        return record[name]
    place = name.find(".")
    while place >= 0:  # field names can contain dots themselves
        found = _inside(record[name[:place]], name[place + 1 :]) if name[:place] in record else MISSING
        if found is not MISSING:
            return found
        place = name.find(".", place + 1)
    return MISSING


def _inside(value: object, name: str) -> object:
    if isinstance(value, Mapping):
        return value_of(cast("Mapping[str, object]", value), name)
    if is_list(value):
        items = (item for item in cast("Sequence[object]", value) if isinstance(item, Mapping))
        found = [one for item in items if (one := _inside(cast("object", item), name)) is not MISSING]
        return found or (MISSING if value else None)
    return None if value is None else MISSING


def flatten(record: Mapping[str, object], depth: int = MAX_DEPTH) -> dict[str, object]:
    """The fields of a record and of its nested records, by dotted name."""
    found: dict[str, object] = {}
    for name, value in record.items():
        if len(found) >= MAX_FIELDS:
            break
        inner = _fields_in(value, depth - 1) if depth > 0 else {}
        if inner:
            found |= {f"{name}.{key}": content for key, content in inner.items()}
        else:
            found[name] = value
    return found


def _fields_in(value: object, depth: int) -> dict[str, object]:
    """The fields of a record, or of all records in a list of them; empty for other values."""
    if isinstance(value, Mapping):
        return flatten(cast("Mapping[str, object]", value), depth)
    if not is_list(value):
        return {}
    found: dict[str, object] = {}
    for item in cast("Sequence[object]", value):
        if not isinstance(item, Mapping):
            return {}
        for name, content in flatten(cast("Mapping[str, object]", item), depth).items():
            if name in found or len(found) < MAX_FIELDS:
                cast("list[object]", found.setdefault(name, [])).append(content)
    return found


def is_list(value: object) -> bool:
    """Whether a value is a list or another sequence, except strings and bytes."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def joined(value: object, separator: str, depth: int = MAX_DEPTH) -> str | None:
    """The text of a value: "" if it is null or empty, None if it isn't a text (a number or a record, for example).

    The texts in a list are joined by `separator`, those in nested lists by line breaks.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if not is_list(value) or not depth:
        return None
    parts: list[str] = []
    for item in cast("Sequence[object]", value):
        part = joined(item, "\n", depth - 1)
        if part is None:
            return None
        if item is not None:
            parts.append(part)
    return separator.join(parts)

"""Converts plain JSON values to declared types; a value that doesn't fit is a Misfit, with its path.

The annotation of a field determines its values: plain types, lists, tuples, dictionaries with text keys, `X | None`,
literals, other dataclasses, and `Annotated[type, read]`, where the function `read` converts the value or raises Misfit.
"""

import dataclasses
import functools
import json
import math
import os
import reprlib
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from llm_studio.i18n import _

MOST_LEVELS = 32
"""Most levels of nested lists and objects."""
_LARGEST = 2**63
"""Whole numbers must be smaller: larger ones would overflow where they are used."""
_LARGEST_COUNT = 10**15
"""An upper bound of everything that is counted or measured."""
_SIMPLE = frozenset((str, float, bool, types.NoneType))
"""Types of plain values whose size needs no check."""

_T = TypeVar("_T")
Read = Callable[[object], Any]
"""Converts a plain value, or raises Misfit."""


class Misfit(ValueError):  # noqa: N818  caught in this package, and turned into a RecordError
    """An invalid value in a record, and its path: history[3].step, or "" for the whole record."""

    def __init__(self, value: object, place: str = "") -> None:
        super().__init__(value, place)
        self.value = value
        self.place = place

    def inside(self, name: str) -> "Misfit":
        """The same problem, with the name of the enclosing value added to its path."""
        separator = "." if self.place and not self.place.startswith("[") else ""
        return type(self)(self.value, f"{name}{separator}{self.place}")

    def __str__(self) -> str:
        """The reason, to follow a colon."""
        value = _cut(reprlib.repr(self.value))
        if not self.place:
            return _("it holds {value}").format(value=value)
        return _("“{name}” can't be {value}").format(name=_cut(self.place), value=value)


class Missing(Misfit):
    """A required value is missing."""

    def __str__(self) -> str:
        return _("“{name}” is missing").format(name=_cut(self.place))


class NotARecord(Misfit):
    """A text that isn't JSON, or can't be read as a record. `value` is the reason."""

    def __str__(self) -> str:
        return str(self.value)


def _cut(text: str) -> str:
    shown = text if text.isprintable() else text.encode("unicode_escape").decode()
    return shown if len(shown) <= 60 else shown[:59] + "…"


# --- Plain values and declared types ---------------------------------------------------------------------------------


def parse(content: bytes | str) -> object:
    """Parse JSON within limits of depth and size of numbers. Raises Misfit."""
    try:
        value = json.loads(content if isinstance(content, str) else content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise NotARecord(_("it isn't UTF-8 text")) from error
    except RecursionError as error:
        raise NotARecord(_("it is nested too deeply")) from error
    except ValueError as error:
        raise NotARecord(_("it isn't JSON")) from error
    _require_plain(value)
    return value


def _require_plain(value: object) -> None:
    """Raise Misfit for values that are nested too deeply, and for whole numbers that are too large. Iterative."""
    level = [value]
    for _depth in range(MOST_LEVELS + 1):
        inside: list[object] = []
        for one in level:
            if type(one) is int:
                _whole(one)
            else:
                inside.extend(_inner(one))
        if not inside:
            return
        level = [one for one in inside if type(one) not in _SIMPLE]
    raise NotARecord(_("it is nested too deeply"))


def _inner(value: object) -> Iterable[object]:
    """The items of a list or the values of an object; empty for other values."""
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def decode(value: object, kind: type[_T], known: Mapping[str, object] = {}) -> _T:
    """Convert a plain object to the dataclass `kind`. `known`: values of fields that aren't stored in it. Raises
    Misfit."""
    content, found = plain_object(value), dict(known)
    for name, read_value, required in _fields(kind):
        if name in known:
            continue
        if name in content:
            try:
                found[name] = read_value(content[name])
            except Misfit as error:
                raise error.inside(name) from None
        elif required:
            raise Missing(None, name)
    return kind(**found)


@functools.cache
def _fields(kind: type[Any]) -> list[tuple[str, Read, bool]]:
    """Name, reader, and whether it is required, of each field of a dataclass."""
    hints = get_type_hints(kind, include_extras=True)
    missing = dataclasses.MISSING
    return [(field.name, reader(hints[field.name]), field.default is missing and field.default_factory is missing)
            for field in dataclasses.fields(kind)]  # fmt: skip


@functools.cache
def reader(kind: Any) -> Read:
    """The function that converts a plain value to `kind`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if origin is Annotated:
        return arguments[1]
    if origin is Literal:
        return functools.partial(_literal, arguments)
    if origin in (Union, types.UnionType):
        return functools.partial(_one_of, [reader(one) for one in arguments])
    if origin is list:
        return functools.partial(_list, reader(arguments[0]))
    if origin is tuple and arguments[-1] is ...:
        return lambda value: tuple(_list(reader(arguments[0]), value))
    if origin is tuple:
        return functools.partial(_tuple, [reader(one) for one in arguments])
    if origin is dict:
        return functools.partial(_dict, reader(arguments[1]))
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"a record can't hold {kind}")
    return functools.partial(decode, kind=cast("type[Any]", kind))


def plain_object(value: object) -> dict[str, Any]:
    """A plain value that must be an object. Raises Misfit."""
    if not isinstance(value, dict):
        raise Misfit(value)
    return cast("dict[str, Any]", value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Misfit(value)
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, which can be neither shown nor written
        raise Misfit(value) from None
    return value


def _whole(value: object) -> int:
    if type(value) is not int or not -_LARGEST <= value < _LARGEST:
        raise Misfit(value)
    return value


def _number(value: object) -> float:
    found = value if isinstance(value, float) else float(_whole(value))
    if not math.isfinite(found):
        raise Misfit(value)
    return found


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise Misfit(value)
    return value


def _null(value: object) -> None:
    if value is not None:
        raise Misfit(value)


def _any(value: object) -> object:
    if isinstance(value, str):
        _text(value)
    elif isinstance(value, dict):
        for name in cast("dict[str, object]", value):
            _text(name)
    for one in _inner(value):
        _any(one)
    return value


_SCALARS: dict[Any, Read] = {
    str: _text, int: _whole, float: _number, bool: _truth, None: _null, types.NoneType: _null, Any: _any, object: _any
}  # fmt: skip


def _literal(choices: tuple[object, ...], value: object) -> object:
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise Misfit(value)
    return value


def _one_of(readers: list[Read], value: object) -> object:
    problems: list[Misfit] = []
    for read_value in readers:
        try:
            return read_value(value)
        except Misfit as error:
            problems.append(error)
    raise max(problems, key=lambda problem: len(problem.place))


def _list(read_value: Read, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise Misfit(value)
    found: list[Any] = []
    for place, one in enumerate(cast("list[object]", value)):
        try:
            found.append(read_value(one))
        except Misfit as error:
            raise error.inside(f"[{place}]") from None
    return found


def _tuple(readers: list[Read], value: object) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(cast("list[object]", value)) != len(readers):
        raise Misfit(value)
    return tuple(read_value(one) for read_value, one in zip(readers, cast("list[object]", value), strict=True))


def _dict(read_value: Read, value: object) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, one in plain_object(value).items():
        try:
            found[name] = read_value(one)
        except Misfit as error:
            raise error.inside(name) from None
    return found


# --- Readers for other fields than plain types -----------------------------------------------------------------------


def checked(read_value: Read, holds: Callable[[Any], bool]) -> Read:
    """A reader that also requires `holds` to be true for its value."""

    def read_checked(value: object) -> Any:
        found = read_value(value)
        if not holds(found):
            raise Misfit(value)
        return found

    return read_checked


def like(kind: type[Any]) -> Read:
    """A reader for plain objects that can be read as `kind`; returns them unchanged."""

    def read_plain(value: object) -> Any:
        decode(value, kind)
        return _any(value)

    return read_plain


def _measured(value: object) -> float:
    if isinstance(value, float) and (math.isnan(value) or value == math.inf):
        return value
    return reader(Amount)(value)


def _file_name(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise Misfit(value)
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise Misfit(value) from None
    return value


Count = Annotated[int, checked(_whole, lambda n: 0 <= n <= _LARGEST_COUNT)]
"""A whole number, at least 0."""
Amount = Annotated[float, checked(_number, lambda x: 0 <= x <= _LARGEST_COUNT)]
"""A number, at least 0."""
Measured = Annotated[float, _measured]
"""The same for measured values that can overflow, such as a loss: may be infinite or NaN."""
FileName = Annotated[str, _file_name]
"""A path, which on Linux may be invalid text."""

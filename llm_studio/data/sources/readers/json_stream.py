"""JSON of any length, parsed value by value."""

import json
from collections.abc import Collection, Iterator
from typing import Final, TextIO

from llm_studio.data.sources.readers.context import Context
from llm_studio.errors import SourceError
from llm_studio.i18n import _, number

MAX_RECORD = 1 << 26
"""Length limit of a record, in characters."""
BLOCK = 1 << 16
_MAX_DEPTH = 6


class _Mark:
    """A marker that isn't a JSON value."""


ITEM: Final = _Mark()
"""Marks the beginning of an object in a list."""
LONG: Final = _Mark()
"""Stands for a value that is too long, or damaged."""
_decode = json.JSONDecoder().raw_decode


class JsonStream:
    """Parses JSON of any length value by value. No value longer than MAX_RECORD is held in memory."""

    def __init__(self, stream: TextIO, context: Context) -> None:
        self._stream = stream
        self._job = context.job
        self._text = ""
        self._position = 0
        self._before = 0
        self._ended = False

    @property
    def place(self) -> int:
        """Number of characters consumed."""
        return self._before + self._position

    def skip(self) -> None:
        """Consume a character."""
        self._position += 1

    def elements(self) -> Iterator[object]:
        """The values of the list that begins here."""
        self._position += 1
        if self.next() == "]":
            self._position += 1
            return
        while True:
            yield self.value()
            if self.after(",]") == "]":
                return

    def walk(
        self, enter: Collection[str], split: Collection[str] = (), path: tuple[str, ...] = ()
    ) -> Iterator[tuple[tuple[str, ...], object]]:  # fmt: skip
        """The values in the object that begins here, each with its path: the names that lead to it.

        The values of objects and lists with a name in `enter` are yielded one by one. In lists with a name in `split`,
        the values of each object are too, after ITEM.
        """
        self._position += 1
        if self.next() == "}":
            self._position += 1
            return
        while True:
            name = self.value()
            self.after(":")
            here = (*path, str(name))
            mark = self.next()
            if name not in enter or mark not in ("{", "[") or len(here) > _MAX_DEPTH:
                yield here, self.value()
            elif mark == "{":
                yield from self.walk(enter, split, here)
            else:
                yield from self._walk_list(enter, split, here)
            if self.after(",}") == "}":
                return

    def _walk_list(
        self, enter: Collection[str], split: Collection[str], path: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], object]]:  # fmt: skip
        self._position += 1
        if self.next() == "]":
            self._position += 1
            return
        while True:
            if path[-1] in split and self.next() == "{":
                yield path, ITEM
                yield from self.walk(enter, split, path)
            else:
                yield path, self.value()
            if self.after(",]") == "]":
                return

    def next(self) -> str:
        """The next character that isn't white space, "" at the end. It is not consumed."""
        while True:
            while self._position < len(self._text):
                mark = self._text[self._position]
                if mark not in " \t\n\r":
                    return mark
                self._position += 1
            if self._ended:
                return ""
            self._read_more(BLOCK)

    def after(self, expected: str) -> str:
        """Consume the next character, which must be one of `expected`."""
        mark = self.next()
        if not mark or mark not in expected:
            raise not_json_here(_("“{mark}” is missing").format(mark=expected[0]))
        self._position += 1
        return mark

    def value(self) -> object:
        """Consume and return the value that begins here."""
        self.next()
        size = BLOCK
        while True:
            try:
                value, end = _decode(self._text, self._position)
                if end < len(self._text) or self._ended:  # a number at the end may continue
                    self._position = end
                    return value
            except json.JSONDecodeError as error:
                cut_off = error.pos + 100 > len(self._text) or error.msg.startswith("Unterminated string")
                if self._ended or not cut_off:
                    raise not_json(error) from error
            except (ValueError, RecursionError) as error:
                raise not_json(error) from error
            if len(self._text) - self._position > MAX_RECORD:
                raise too_long()
            self._read_more(size)
            size *= 2

    def short_value(self, size: int) -> object:
        """Consume and return the value that begins here if it has at most about `size` characters; else return LONG."""
        while not self._ended and len(self._text) - self._position < size:
            self._read_more(size)
        try:
            value, self._position = _decode(self._text, self._position)
        except (ValueError, RecursionError):
            return LONG
        return value

    def _read_more(self, size: int) -> None:
        self._job.check()
        block = self._stream.read(size)
        self._ended = not block
        self._before += self._position
        self._text = self._text[self._position :] + block
        self._position = 0


# --- Errors ------------------------------------------------------------------------------------------------------


def not_json(error: Exception) -> SourceError:
    """The error for a value that isn't JSON."""
    reason = error.msg if isinstance(error, json.JSONDecodeError) else error
    return not_json_here(reason)


def not_json_here(reason: object) -> SourceError:
    """The error for text that isn't JSON, with a reason."""
    return not_an_object(_("this is not JSON ({reason}).").format(reason=reason))


def not_an_object(what: str) -> SourceError:
    """The error for a value that isn't a record."""
    return SourceError(what, _("Each record must be an object: {example}").format(example='{"text": "..."}'))


def too_long() -> SourceError:
    """The error for a record that is too long to be held in memory."""
    return SourceError(
        _("this record is longer than {n} characters.").format(n=number(MAX_RECORD)),
        _("Split it, or save the texts as plain text (.txt)."),
    )

"""Strings that end a generated text: it stops where the first one is complete, and ends before it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


class StopStrings:
    """Cuts a text that comes in pieces at the first of `strings`. `found` is that one, "" as long as none has come.

    `past_first`: one at the very beginning of the text doesn't count, so that a text that was stopped can be continued.
    """

    def __init__(self, strings: Sequence[str], past_first: bool = False) -> None:
        self._strings = strings
        self._from = 1 if past_first else 0
        """Where in the pending text a stop string may begin."""
        self.found = ""

    def until(self, pieces: Iterable[tuple[Item, str]]) -> Iterator[tuple[Item, str]]:
        """The pieces of text, each with what it belongs to, up to the first stop string; the last one may be cut.

        A piece is held back as long as a stop string may have begun in it or before it.
        """
        waiting: list[tuple[Item, str]] = []
        pending = ""  # their text
        for item, text in pieces:
            waiting.append((item, text))
            pending += text
            end = self._end(pending)
            safe = len(pending) - self._held(pending) if end is None else end
            while waiting and len(waiting[0][1]) <= safe:
                safe -= len(waiting[0][1])
                pending = pending[len(waiting[0][1]) :]
                self._from = max(0, self._from - len(waiting[0][1]))
                yield waiting.pop(0)
            if end is not None:
                if safe:
                    yield waiting[0][0], waiting[0][1][:safe]
                return
        yield from waiting

    def _end(self, pending: str) -> int | None:
        """Where the text ends: at the beginning of the stop string that is complete first."""
        places = ((pending.find(stop, self._from), stop) for stop in self._strings)
        complete = [(place + len(stop), place, stop) for place, stop in places if place >= 0]
        if not complete:
            return None
        _end, place, self.found = min(complete)
        return place

    def _held(self, pending: str) -> int:
        """The number of characters at the end that may begin a stop string."""
        longest = min(max(map(len, self._strings), default=1) - 1, len(pending) - self._from)
        ends = (length for length in range(longest, 0, -1) if self._may_begin(pending[-length:]))
        return next(ends, 0)

    def _may_begin(self, text: str) -> bool:
        return any(stop.startswith(text) for stop in self._strings)


def escaped(text: str) -> str:
    r"""A stop string as it is typed: a line end as \n, a tab as \t, a backslash as \\."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def unescaped(text: str) -> str:
    r"""A stop string from what was typed; a backslash before any other character stays as it is."""
    found, place = "", 0
    while place < len(text):
        pair = text[place : place + 2]
        character = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}.get(pair)
        found += text[place] if character is None else character
        place += 1 if character is None else 2
    return found

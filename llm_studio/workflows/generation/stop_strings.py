"""Strings that end a generated text. It is cut before the stop string that is completed first."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


class StopStrings:
    """Cuts a streamed text at the first of `strings`. `found` is the one that ended it, or "" so far.

    `past_first`: ignore one at the very start of the text, so that a text that was stopped can be continued.
    """

    def __init__(self, strings: Sequence[str], past_first: bool = False) -> None:
        self._strings = strings
        self._from = 1 if past_first else 0
        """First position in the pending text where a stop string may start."""
        self.found = ""

    def until(self, pieces: Iterable[tuple[Item, str]]) -> Iterator[tuple[Item, str]]:
        """Yield the chunks of text, each with its item, up to the first stop string; the last one may be cut.

        A chunk is held back while a stop string may have started in it or before it.
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
        """The position of the stop string that is completed first; None if there is none."""
        places = ((pending.find(stop, self._from), stop) for stop in self._strings)
        complete = [(place + len(stop), place, stop) for place, stop in places if place >= 0]
        if not complete:
            return None
        _end, place, self.found = min(complete)
        return place

    def _held(self, pending: str) -> int:
        """Number of characters at the end that may be the start of a stop string."""
        longest = min(max(map(len, self._strings), default=1) - 1, len(pending) - self._from)
        ends = (length for length in range(longest, 0, -1) if self._may_begin(pending[-length:]))
        return next(ends, 0)

    def _may_begin(self, text: str) -> bool:
        return any(stop.startswith(text) for stop in self._strings)


def escaped(text: str) -> str:
    r"""A stop string as the user types it: a line end as \n, a tab as \t, a backslash as \\."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def unescaped(text: str) -> str:
    r"""A stop string from what the user typed; a backslash before any other character stays as it is."""
    found, place = "", 0
    while place < len(text):
        pair = text[place : place + 2]
        character = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}.get(pair)
        found += text[place] if character is None else character
        place += 1 if character is None else 2
    return found

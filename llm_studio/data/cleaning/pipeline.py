"""The rules for texts, one after the other, over a document that comes in parts.

Cleaning the parts gives what cleaning the whole gives: rules that look at lines are given whole lines, and a very long
line is cut where no rule sees the difference. Whatever waits is short.
"""

from collections.abc import Callable
from typing import Protocol

from llm_studio.config import DataSettings
from llm_studio.data.chunks import safe_cut, white_space_start
from llm_studio.data.cleaning.characters import normalize_unicode, remove_controls, remove_invisible
from llm_studio.data.cleaning.html import remove_html
from llm_studio.data.cleaning.lines import LineRemover
from llm_studio.data.cleaning.spaces import Tidier

TEXT_RULES = (
    "remove_controls",
    "remove_invisible",
    "normalize_unicode",
    "remove_html",
    "remove_repeated_lines",
    "tidy_spaces",
)
"""The rules that change texts, in order, by the names of their settings."""

_LONG_LINE = 100_000
"""Characters of a line that has to end before it is cleaned."""
_LONGEST_ENTITY = 64
_MOST_KEPT = 1_000_000
"""White space that waits for what follows it."""


class _Stage(Protocol):
    def __call__(self, text: str, ends: bool) -> str:
        """The next part of a document, cleaned, with what had waited for it; at the end, with all that waited."""
        ...


class Cleaner:
    """Cleans one document after the other, each in parts that were cut at safe places.

    `repeated` are the patterns of the repeated lines of the documents' source. `only` are the names of the rules to
    apply where they are set; None: all.
    """

    def __init__(
        self,
        settings: DataSettings,
        repeated: frozenset[str] = frozenset(),
        only: tuple[str, ...] | None = None,
    ) -> None:
        rules = [name for name in TEXT_RULES if getattr(settings, name) and (only is None or name in only)]
        self._stages = [_stage(name, settings, repeated) for name in rules]
        if any(isinstance(stage, _Lines) for stage in self._stages) and "tidy_spaces" not in rules:
            self._stages.append(_KeptBack())

    def feed(self, text: str, ends: bool) -> str:
        """The next part of a document, cleaned; `ends`: the last one. Each part can be followed by a token's end."""
        for stage in self._stages:
            text = stage(text, ends)
        return text


def clean(text: str, settings: DataSettings, repeated: frozenset[str] = frozenset()) -> str:
    """A whole text, cleaned by all rules that are set. Doing it twice changes nothing more."""
    return Cleaner(settings, repeated).feed(text, True)


def _stage(name: str, settings: DataSettings, repeated: frozenset[str]) -> _Stage:
    match name:
        case "remove_controls":
            return _Controls()
        case "remove_invisible":
            return lambda text, ends: remove_invisible(text)
        case "normalize_unicode":
            if settings.remove_invisible:  # what was cut apart may now belong together
                return _Lines(lambda text, goes_on, continues: normalize_unicode(text))
            return lambda text, ends: normalize_unicode(text)
        case "remove_html":
            settle = _settling(settings)
            return _Lines(lambda text, goes_on, continues: remove_html(text, settle))
        case "remove_repeated_lines":
            return _Lines(LineRemover(repeated)) if repeated else lambda text, ends: text
        case _:
            tidier = Tidier()
            return lambda text, ends: tidier.part(text, not text.endswith("\n"), ends)


def _settling(settings: DataSettings) -> Callable[[str], str]:
    """The rules for characters, for what the entities of HTML bring in."""

    def settle(text: str) -> str:
        if settings.remove_invisible:
            text = remove_invisible(text)
        return normalize_unicode(text) if settings.normalize_unicode else text

    return settle


class _Lines:
    """Gives a rule whole lines. A line that is too long is given in parts.

    The rule is told whether its text begins within a line, and whether it ends within one.
    """

    def __init__(self, rule: Callable[[str, bool, bool], str]) -> None:
        self._rule = rule
        self._waiting = ""
        self._within = False

    def __call__(self, text: str, ends: bool) -> str:
        if self._waiting:
            text = self._waiting + text
            self._waiting = ""
        if ends:
            within, self._within = self._within, False
            return self._rule(text, within, False)
        end = text.rfind("\n") + 1
        continues = len(text) - end > _LONG_LINE
        if continues:
            end = _quiet_cut(text, end)
        self._waiting = text[end:]
        if not end:
            return ""
        within, self._within = self._within, continues
        return self._rule(text[:end], within, continues)


def _quiet_cut(text: str, start: int) -> int:
    """A place within the long last line of `text`, from `start` on, where no tag and no entity is cut apart."""
    first = cut = safe_cut(text, start, len(text) - 1)
    for _try in range(100):
        opening = _opened(text, start, cut)
        if opening < 0:
            return cut
        if opening <= start:
            break
        cut = safe_cut(text, start, opening)
    return first


def _opened(text: str, start: int, cut: int) -> int:
    """Where a tag or an entity begins that a cut would leave open, or -1."""
    opening = text.rfind("<", start, cut)
    if opening >= 0 and text.find(">", opening, cut) < 0 and not text[opening + 1 : opening + 2].isspace():
        return opening
    opening = text.rfind("&", max(start, cut - _LONGEST_ENTITY), cut)
    return opening if opening >= 0 and not any(mark in text[opening:cut] for mark in "; ") else -1


class _Controls:
    """Removes control characters. A CR waits for the LF that may follow it."""

    def __init__(self) -> None:
        self._waiting = ""

    def __call__(self, text: str, ends: bool) -> str:
        text = self._waiting + text
        self._waiting = "\r" if text.endswith("\r") and not ends else ""
        return remove_controls(text[: len(text) - len(self._waiting)])


class _KeptBack:
    """Keeps white space back until something follows it, so that a part ends where a token does."""

    def __init__(self) -> None:
        self._waiting = ""

    def __call__(self, text: str, ends: bool) -> str:
        text = self._waiting + text
        self._waiting = ""
        if ends:
            return text
        cut = white_space_start(text, 0, len(text))
        if len(text) - cut > _MOST_KEPT:
            cut = len(text)
        self._waiting = text[cut:]
        return text[:cut]

"""The rules for texts, applied in order to a document that comes in chunks.

Cleaning the chunks gives the same result as cleaning the whole: rules that look at lines get complete lines, and a very
long line is cut where it makes no difference to any rule. What is held back is short.
"""

from collections.abc import Callable
from typing import Protocol

from llm_studio.config import DataSettings
from llm_studio.data.chunks import safe_cut, white_space_start
from llm_studio.data.cleaning.characters import normalize_unicode, remove_controls, remove_invisible
from llm_studio.data.cleaning.html import remove_html
from llm_studio.data.cleaning.licence import LicenceRemover
from llm_studio.data.cleaning.lines import LineRemover
from llm_studio.data.cleaning.spaces import SpaceCleaner
from llm_studio.data.mojibake import repair

TEXT_RULES = (
    "repair_mojibake",
    "remove_controls",
    "remove_invisible",
    "normalize_unicode",
    "remove_html",
    "remove_licence",
    "remove_repeated_lines",
    "tidy_spaces",
)
"""The rules that change texts, in order, by the names of their settings."""

_LONG_LINE = 100_000
"""Lines up to this many characters are cleaned as a whole."""
_MAX_ENTITY = 64
_MAX_HELD_BACK = 1_000_000
"""Limit of the white space that is held back until more text follows."""


class _Stage(Protocol):
    def __call__(self, text: str, ends: bool) -> str:
        """Return the next chunk cleaned, with what was held back before; at the end of the document, all of it."""
        ...


class Cleaner:
    """Cleans one document after the other, each in chunks cut at safe positions.

    `repeated`: the patterns of the repeated lines of the documents' source. `only`: the names of the rules to apply if
    they are on; None for all.
    """

    def __init__(
        self,
        settings: DataSettings,
        repeated: frozenset[str] = frozenset(),
        only: tuple[str, ...] | None = None,
    ) -> None:
        rules = [name for name in TEXT_RULES if getattr(settings, name) and (only is None or name in only)]
        self._stages = [_stage(name, settings, repeated) for name in rules]
        if any(isinstance(stage, (_Lines, LicenceRemover)) for stage in self._stages) and "tidy_spaces" not in rules:
            self._stages.append(_HeldBackSpace())

    def feed(self, text: str, ends: bool) -> str:
        """Return the next chunk cleaned; `ends`: it is the last one. Each result ends where a token can end."""
        for stage in self._stages:
            text = stage(text, ends)
        return text


def clean(text: str, settings: DataSettings, repeated: frozenset[str] = frozenset()) -> str:
    """Clean a whole text by all rules that are on. Idempotent."""
    return Cleaner(settings, repeated).feed(text, True)


def _stage(name: str, settings: DataSettings, repeated: frozenset[str]) -> _Stage:
    match name:
        case "repair_mojibake":
            return _Lines(lambda text, starts_mid_line, ends_mid_line: repair(text))
        case "remove_controls":
            return _Controls()
        case "remove_invisible":
            return lambda text, ends: remove_invisible(text)
        case "normalize_unicode":
            if settings.remove_invisible:  # characters that were separated may now combine
                return _Lines(lambda text, starts_mid_line, ends_mid_line: normalize_unicode(text))
            return lambda text, ends: normalize_unicode(text)
        case "remove_html":
            normalize = _character_rules(settings)
            return _Lines(lambda text, starts_mid_line, ends_mid_line: remove_html(text, normalize))
        case "remove_licence":
            return LicenceRemover()
        case "remove_repeated_lines":
            return _Lines(LineRemover(repeated)) if repeated else lambda text, ends: text
        case _:
            cleaner = SpaceCleaner()
            return lambda text, ends: cleaner.feed(text, not text.endswith("\n"), ends)


def _character_rules(settings: DataSettings) -> Callable[[str], str]:
    """The rules for characters, to be applied to those that come from HTML entities."""

    def normalize(text: str) -> str:
        if settings.remove_invisible:
            text = remove_invisible(text)
        return normalize_unicode(text) if settings.normalize_unicode else text

    return normalize


class _Lines:
    """Passes complete lines to a rule; a very long line is passed in parts.

    The arguments of the rule are the text, whether it starts within a line, and whether it ends within one.
    """

    def __init__(self, rule: Callable[[str, bool, bool], str]) -> None:
        self._rule = rule
        self._pending = ""
        self._mid_line = False

    def __call__(self, text: str, ends: bool) -> str:
        if self._pending:
            text = self._pending + text
            self._pending = ""
        if ends:
            starts_mid_line, self._mid_line = self._mid_line, False
            return self._rule(text, starts_mid_line, False)
        end = text.rfind("\n") + 1
        ends_mid_line = len(text) - end > _LONG_LINE
        if ends_mid_line:
            end = _cut_outside_markup(text, end)
        self._pending = text[end:]
        if not end:
            return ""
        starts_mid_line, self._mid_line = self._mid_line, ends_mid_line
        return self._rule(text[:end], starts_mid_line, ends_mid_line)


def _cut_outside_markup(text: str, start: int) -> int:
    """A position in the long last line of `text`, after `start`, that is not inside a tag or an entity."""
    first = cut = safe_cut(text, start, len(text) - 1)
    for _try in range(100):
        opening = _open_markup(text, start, cut)
        if opening < 0:
            return cut
        if opening <= start:
            break
        cut = safe_cut(text, start, opening)
    return first


def _open_markup(text: str, start: int, cut: int) -> int:
    """The start of a tag or an entity that is open at `cut`, or -1."""
    opening = text.rfind("<", start, cut)
    if opening >= 0 and text.find(">", opening, cut) < 0 and not text[opening + 1 : opening + 2].isspace():
        return opening
    opening = text.rfind("&", max(start, cut - _MAX_ENTITY), cut)
    return opening if opening >= 0 and not any(mark in text[opening:cut] for mark in "; ") else -1


class _Controls:
    """Removes control characters. A CR is held back until the next character is known: it may be LF."""

    def __init__(self) -> None:
        self._pending = ""

    def __call__(self, text: str, ends: bool) -> str:
        text = self._pending + text
        self._pending = "\r" if text.endswith("\r") and not ends else ""
        return remove_controls(text[: len(text) - len(self._pending)])


class _HeldBackSpace:
    """Holds white space back until something follows it, so that a chunk ends where a token can end."""

    def __init__(self) -> None:
        self._pending = ""

    def __call__(self, text: str, ends: bool) -> str:
        text = self._pending + text
        self._pending = ""
        if ends:
            return text
        cut = white_space_start(text, 0, len(text))
        if len(text) - cut > _MAX_HELD_BACK:
            cut = len(text)
        self._pending = text[cut:]
        return text[:cut]

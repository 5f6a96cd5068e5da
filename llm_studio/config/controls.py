"""How forms show a setting, where its type and limits don't say it: metadata for `Annotated` in `sections.py`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """What one press of an arrow adds in a form."""

    step: float


@dataclass(frozen=True)
class Slider:
    """A setting that is shown as a slider from `low` to `high`; values outside can be typed, within its limits.

    `curve` above 1 gives small values more room; `zero` is the text shown for 0.
    """

    low: float
    high: float
    step: float = 0.01
    curve: float = 1.0
    zero: str = ""


@dataclass(frozen=True)
class Lines:
    """A list of texts that is shown as lines, with line ends and tabs inside a text as they are typed: \\n, \\t."""


class Choices:
    """Names for people of the values of a Literal; a value without one is shown as it is written."""

    def __init__(self, **names: str) -> None:
        self.names = names

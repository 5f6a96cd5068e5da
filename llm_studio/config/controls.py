"""How forms show a setting, if its type and limits don't determine it: metadata for `Annotated` in `sections.py`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """The increment of the arrow buttons in a form."""

    step: float


@dataclass(frozen=True)
class Slider:
    """A setting that is shown as a slider from `low` to `high`; values outside can be typed, within its limits.

    `curve` above 1 enlarges the range of small values; `zero` is the text shown for 0.
    """

    low: float
    high: float
    step: float = 0.01
    curve: float = 1.0
    zero: str = ""


@dataclass(frozen=True)
class Lines:
    """A list of texts, one per line; line ends and tabs inside a text are typed as \\n and \\t."""


class Choices:
    """Display names of the values of a Literal; a value without one is shown as it is."""

    def __init__(self, **names: str) -> None:
        self.names = names

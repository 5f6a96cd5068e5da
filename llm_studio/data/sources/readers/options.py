"""How files are to be read."""

from dataclasses import dataclass

END_OF_TEXT = "<|endoftext|>"
BLANK = "blank"
"""Separator: one blank line or several."""


@dataclass(frozen=True)
class ReadOptions:
    """How files become documents.

    `separator` is what stands between two documents of a text file: BLANK lines, END_OF_TEXT anywhere, a line of
    the user's choice, or None where a file is one document. `text_field` is the field, or column, that holds the text
    of a record; None where it is to be found by itself.
    """

    separator: str | None = None
    text_field: str | None = None

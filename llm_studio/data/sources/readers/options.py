"""Options for reading files."""

from dataclasses import dataclass

END_OF_TEXT = "<|endoftext|>"
BLANK = "blank"
"""Separator: one or more blank lines."""


@dataclass(frozen=True)
class ReadOptions:
    """Options for turning files into documents.

    `separator`: what separates the documents of a text file: BLANK lines, END_OF_TEXT anywhere, or a line chosen by the
    user; None if each file is one document. `text_field`: the field or column that holds the text of a record; None to
    detect it. `follow_links`: also follow links that lead out of the folder. `encoding`: the codec of texts that aren't
    Unicode; None to detect it. `language`: language code of the texts, such as “fr”, or ""; a hint for that detection.
    `reading`: "text" or "conversations" for text files that are chats; "" to decide by their content.
    """

    separator: str | None = None
    text_field: str | None = None
    follow_links: bool = False
    encoding: str | None = None
    language: str = ""
    reading: str = ""

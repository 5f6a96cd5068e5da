"""Options for reading files."""

from dataclasses import dataclass

END_OF_TEXT = "<|endoftext|>"
BLANK = "blank"
"""Separator: one blank line or several."""


@dataclass(frozen=True)
class ReadOptions:
    """Options for turning files into documents.

    `reading`: "text" or "conversations" for text files that are chats, "" to decide that by what they hold.

    `separator` separates the documents of a text file: BLANK lines, END_OF_TEXT anywhere, a line chosen by the user, or
    None where each file is one document. `text_field` is the field, or column, that holds the text of a record; None
    to detect it. `follow_links`: read what links in a folder lead to outside of it, too. `encoding` is the codec of
    texts that aren't Unicode, None to detect it; the `language` of the texts, "" or as in “fr”, is a hint for that.
    """

    separator: str | None = None
    text_field: str | None = None
    follow_links: bool = False
    encoding: str | None = None
    language: str = ""
    reading: str = ""

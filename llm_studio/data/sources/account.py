"""The account of an import: how many files were read, and what was left out, by reason and name.

    files seen = files read + files left out

Each file in an archive counts, the archive itself only if it can't be opened; a folder that isn't entered (hidden, a
link) counts as one file. Besides whole files, records, pages and parts of documents can be left out. For a dataset
from the hub, the records are counted as well:

    records seen = records read + records left out
"""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath

from llm_studio.i18n import N_
from llm_studio.records import Count

ACCOUNT_VERSION = 1
MAX_NAMED = 10
"""Maximum number of names kept for one reason; the rest is only counted."""
_MAX_NAME = 200
_MAX_DETAIL = 400
INSIDE = " › "
"""Separator between the path of an archive and the name of a file in it."""

FILES, RECORDS, PAGES, PARTS = "files", "records", "pages", "parts"

KIND = N_("of a kind that isn’t read")
HIDDEN = N_("hidden")
LINK = N_("links that lead out of the folder")
LINK_INSIDE = N_("links in an archive")
READ_ELSEWHERE = N_("links to what is read anyway")
UNREADABLE = N_("can’t be read")
NOT_REACHED = N_("not reached: enough documents were read")
NOT_DOWNLOADED = N_("not downloaded yet")
OTHER_SPLIT = N_("of another split or configuration of the dataset")
DESCRIPTION = N_("descriptions of a dataset")

NOT_JSON = N_("not JSON")
NOT_AN_OBJECT = N_("JSON, but not an object")
NO_FIELD = N_("without the field that holds the text")
NOT_TEXT = N_("not a text in the field that holds it")
EMPTY = N_("without text")
ABOVE_HEADER = N_("above the header of a table")
OPEN_QUOTE = N_("with a quotation mark that is opened and never closed")
NOT_A_ROW = N_("not a row of the table")
TOO_LONG = N_("too long")
OTHER_SPEAKERS = N_("messages of other people in a chat of two")
SYSTEM_LINES = N_("lines that the program of a chat wrote")
BEFORE_MESSAGES = N_("lines before the first message of a conversation")
ATTACHMENTS = N_("pictures, films and other files in a chat")
NO_ANSWER = N_("conversations without an answer of the assistant")
NOT_ONLY_TEXT = N_("conversations with tool calls, pictures or other parts that aren’t text")
NO_CONVERSATION = N_("not a conversation")
HIDDEN_TEXT = N_("hidden text")
HIDDEN_SHEETS = N_("hidden sheets")
COMMENTS = N_("comments")
MISSING_CHAPTERS = N_("chapters that a book lists but doesn’t hold")
RUNNING_HEADS = N_("running heads and page numbers")
UNREADABLE_LETTERS = N_("characters that the file doesn’t identify")
PAGE_WITHOUT_TEXT = N_("pages without text: pictures, or empty")
ATTACHED = N_("attachments")
OUTPUTS = N_("what the code of a notebook printed")
PREAMBLE = N_("preambles of LaTeX")
DRAWINGS = N_("tables and drawings in LaTeX")
REDIRECTS = N_("redirects of a wiki")
OTHER_PAGES = N_("pages of a wiki that are no articles: talk, templates, categories")
EARLIER_VERSIONS = N_("earlier versions of a page")
WIKI_TABLES = N_("templates, tables and files in the pages of a wiki")
GROUP_CHATS = N_("chats of more than two people")
CUT_OFF = N_("the rest of a file that is cut off or damaged")


@dataclass(frozen=True)
class Named:
    """Something left out: its `name`, relative to what was imported, and `detail`, a sentence or ""."""

    name: str
    detail: str = ""


@dataclass(frozen=True)
class LeftOut:
    """What was left out for one `reason` (an untranslated message): `count` items of `unit`, the first ones named."""

    unit: str
    reason: str
    count: Count
    first: tuple[Named, ...] = ()


@dataclass(frozen=True)
class Account:
    """The account of one import. Records are counted for downloads only."""

    files_seen: Count = 0
    files_read: Count = 0
    left_out: tuple[LeftOut, ...] = ()
    version: Count = ACCOUNT_VERSION
    records_seen: Count = 0
    records_read: Count = 0

    @property
    def files_left_out(self) -> int:
        """Number of files left out as a whole."""
        return self.count_left_out(FILES)

    def count_left_out(self, unit: str) -> int:
        """Number of files, records, pages or parts left out."""
        return sum(entry.count for entry in self.left_out if entry.unit == unit)


def merge(entries: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """Merge entries of the same unit and reason; the result is in order of first appearance."""
    found: dict[tuple[str, str], LeftOut] = {}
    for entry in entries:
        before = found.get((entry.unit, entry.reason), LeftOut(entry.unit, entry.reason, 0))
        first = (*before.first, *entry.first)[:MAX_NAMED]
        found[entry.unit, entry.reason] = LeftOut(entry.unit, entry.reason, before.count + entry.count, first)
    return tuple(found.values())


@dataclass
class AccountBuilder:
    """Builds the account while files are read; `root` is the path of what is imported.

    Files are counted as seen when a folder or an archive is listed, and then one by one as read or left out. The counts
    are independent, so that a file that was overlooked shows up as a difference.
    """

    root: str = ""
    files_seen: int = 0
    files_read: int = 0
    archives: int = 0
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    _first: dict[tuple[str, str], list[Named]] = field(default_factory=dict[tuple[str, str], list[Named]])

    def see(self, files: int) -> None:
        """Count `files` files that were found."""
        self.files_seen += files

    def open_archive(self, members: int) -> None:
        """Count the `members` of an archive instead of the archive itself, which was seen as one file."""
        self.archives += 1
        self.files_seen += members - 1

    def leave_out(self, unit: str, reason: str, name: str, detail: str = "") -> None:
        """Count something left out; the names of the first ones are kept."""
        key = unit, reason
        self._counts[key] += 1
        named = self._first.setdefault(key, [])
        if len(named) < MAX_NAMED:
            short = self.relative(name)
            detail = _storable(detail.replace(name, short))[:_MAX_DETAIL]
            named.append(Named(_storable(short)[:_MAX_NAME], detail))

    def leave_out_record(self, reason: str, file: str, position: int, place: str) -> None:
        """Count a record left out. `place`: a template for its position, such as "{path}, line {line}"."""
        if self._counts[RECORDS, reason] < MAX_NAMED:
            self.leave_out(RECORDS, reason, place.format(path=self.relative(file), line=position))
        else:
            self._counts[RECORDS, reason] += 1

    def relative(self, name: str) -> str:
        """`name` relative to the path of what is imported."""
        for separator in (os.sep, "/", INSIDE):
            if self.root and name.startswith(self.root + separator):
                return name[len(self.root + separator) :]
        return PurePath(name).name if name == self.root else name

    def left_out(self) -> tuple[LeftOut, ...]:
        """What has been left out so far."""
        return tuple(
            LeftOut(unit, reason, count, tuple(self._first[unit, reason]))
            for (unit, reason), count in self._counts.items()
        )

    def account(self) -> Account:
        """The account so far. Files that were neither read nor left out count as not reached."""
        left = list(self.left_out())
        unreached = self.files_seen - self.files_read - sum(e.count for e in left if e.unit == FILES)
        if unreached > 0:
            left.append(LeftOut(FILES, NOT_REACHED, unreached))
        return Account(self.files_seen, self.files_read, tuple(left))


def _storable(text: str) -> str:
    """`text` without lone surrogates, which file names can contain but UTF-8 can't encode."""
    return text.encode("utf-8", "replace").decode()

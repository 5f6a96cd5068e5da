"""The account of an import as text: how many files and records were left out, and why."""

from llm_studio.data.sources.account import (
    DESCRIPTION,
    HIDDEN,
    LINK,
    NO_CONVERSATION,
    NOT_DOWNLOADED,
    NOT_REACHED,
    OTHER_SPLIT,
    PAGES,
    PARTS,
    RECORDS,
    UNREADABLE,
    Account,
    LeftOut,
)
from llm_studio.events import Notice
from llm_studio.i18n import _, ngettext, number, translated
from llm_studio.jobs import Job

LISTED_BY_LOOK = (UNREADABLE, LINK)
_REPORTED_WHILE_READING = (UNREADABLE, LINK, NO_CONVERSATION)
_EXPECTED = (HIDDEN, DESCRIPTION, OTHER_SPLIT, NOT_REACHED, NOT_DOWNLOADED)
"""Reasons that need no warning: leaving these out is expected."""


def left_out_count(account: Account | None) -> int:
    """The number of all files, records, pages and parts of documents that were left out."""
    return sum(entry.count for entry in account.left_out) if account else 0


def summary(account: Account | None) -> str:
    """One line on what was left out; "" if nothing was."""
    if account is None:
        return ""
    parts: list[str] = []
    files = account.files_left_out
    if files:
        parts.append(
            ngettext("{n} of {all} file left out", "{n} of {all} files left out", account.files_seen).format(
                n=number(files), all=number(account.files_seen)
            )
        )
    for unit in (RECORDS, PAGES, PARTS):
        count = account.count_left_out(unit)
        if count and unit == RECORDS and account.records_seen:
            parts.append(
                ngettext("{n} of {all} record left out", "{n} of {all} records left out", account.records_seen).format(
                    n=number(count), all=number(account.records_seen)
                )
            )
        elif count:
            parts.append(_counted(unit, count))
    return " · ".join(parts)


def _counted(unit: str, count: int) -> str:
    if unit == RECORDS:
        text = ngettext("{n} record left out", "{n} records left out", count)
    elif unit == PAGES:
        text = ngettext("{n} page left out", "{n} pages left out", count)
    elif unit == PARTS:
        text = ngettext("{n} part of a document left out", "{n} parts of documents left out", count)
    else:
        text = ngettext("{n} file left out", "{n} files left out", count)
    return text.format(n=number(count))


def heading(entry: LeftOut) -> str:
    """The number of things left out for one reason: “3 files left out: of a kind that isn’t read”."""
    return _("{what}: {reason}").format(what=_counted(entry.unit, entry.count), reason=translated(entry.reason))


def names(entry: LeftOut) -> list[str]:
    """The first things left out for one reason, each with its detail, and a last line with the number of others."""
    with_detail = _("{name}: {value}")
    lines = [
        with_detail.format(name=named.name, value=named.detail) if named.detail else named.name for named in entry.first
    ]
    more = entry.count - len(entry.first)
    return [*lines, _("… and {n} more").format(n=number(more))] if more > 0 and lines else lines


def paragraphs(account: Account) -> list[str]:
    """A paragraph for each reason, with a line for each name."""
    return ["\n".join([heading(entry), *(f"–  {name}" for name in names(entry))]) for entry in account.left_out]


def expected(account: Account) -> list[str]:
    """A line for each reason in the account of an inspection, except those that `Inspection` lists separately."""
    return [_sentence(entry) for entry in account.left_out if entry.reason not in LISTED_BY_LOOK]


def report(account: Account | None, job: Job) -> None:
    """Report to `job` each reason that wasn't reported while the texts were read."""
    if account is None:
        return
    for entry in account.left_out:
        if entry.reason not in _REPORTED_WHILE_READING or (entry.reason == NO_CONVERSATION and account.records_seen):
            job.report(Notice(_sentence(entry), "info" if entry.reason in _EXPECTED else "warning"))


def _sentence(entry: LeftOut) -> str:
    listed = ", ".join(named.name for named in entry.first)
    more = entry.count - len(entry.first)
    if listed and more > 0:
        listed = _("{names} and {n} more").format(names=listed, n=number(more))
    return f"{heading(entry)} ({listed})." if listed else f"{heading(entry)}."


def is_expected(account: Account) -> bool:
    """Whether all reasons are expected ones: hidden files, descriptions of a dataset, files beyond a limit, ..."""
    return all(entry.reason in _EXPECTED for entry in account.left_out)

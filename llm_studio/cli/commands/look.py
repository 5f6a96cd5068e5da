"""The command `look`: inspect a file, an archive or a folder before it is added to a project."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.options import Encoding, FollowLinks, Json, ReadAs, Separator, TextField
from llm_studio.cli.runner import running
from llm_studio.events import Done
from llm_studio.i18n import _, ngettext, number, size
from llm_studio.paths import quoted
from llm_studio.workflows.data import accounts, sources

if TYPE_CHECKING:
    from llm_studio.data.sources.readers.inspect import Inspection
    from llm_studio.data.sources.readers.records import Column

_WIDTH = 24
_SHOWN = 160
_MOST_REFUSED = 10


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(help=_("Inspect a file, an archive or a folder before adding it: kind, encoding, columns, first "
                       "documents."))(look)  # fmt: skip


def look(
    path: Annotated[Path, typer.Argument(metavar="PATH", help=_("a file, an archive or a folder"), show_default=False)],
    separator: Separator = None,
    text_field: TextField = None,
    follow_links: FollowLinks = False,
    encoding: Encoding = None,
    read_as: ReadAs = None,
    as_json: Json = False,
) -> None:
    with running(as_json) as job:
        seen = sources.look(path, job, separator=separator, text_field=text_field, follow_links=follow_links,
                            encoding=encoding, reading=read_as or "")  # fmt: skip
        field = f" --text-field {quoted(Path(seen.text_field))}" if seen.text_field and not seen.field_guessed else ""
        field += f" --encoding {quoted(Path(encoding))}" if encoding else ""
        field += f" --as {read_as}" if read_as else ""
        job.report(Done(
            "" if as_json else "\n".join(_lines(seen)),
            "" if seen.problem else f"llm-studio download DIR --dataset {quoted(path)}{field}",
            {**asdict(seen), "path": str(seen.path)},
        ))  # fmt: skip


def _lines(seen: "Inspection") -> list[str]:
    rows = [(_("Kind"), _kind(seen)), (_("Size"), size(seen.bytes))]
    if seen.encoding:
        rows.append((_("Encoding"), _maybe_guessed(seen.encoding, seen.encoding_guessed)))
    elif seen.encodings:
        rows.append((_("Encoding"), ", ".join(f"{name} ({number(count)})" for name, count in seen.encodings)))
    if seen.conversations:
        rows.append((_("Conversations"), _("yes")))
    elif seen.text_field:
        rows.append((_("Text in"), _maybe_guessed(seen.text_field, seen.field_guessed)))
    lines = [f"{name:<{_WIDTH}}{value}" for name, value in rows]
    lines += [*_columns(seen.columns), *_documents(seen), *_refused(seen), *_links(seen)]
    return [*lines, *_left_out(seen), *seen.notes]


def _left_out(seen: "Inspection") -> list[str]:
    """What would be left out, except what is listed already."""
    entries = [entry for entry in seen.account.left_out if entry.reason not in accounts.LISTED_BY_LOOK]
    lines: list[str] = []
    for entry in entries:
        lines += ["", accounts.heading(entry), *(f"–  {name}" for name in accounts.names(entry))]
    return lines


def _maybe_guessed(text: str, guessed: bool) -> str:
    return _("{text} (guessed)").format(text=text) if guessed else text


def _kind(seen: "Inspection") -> str:
    if seen.kind not in ("folder", "zip", "tar"):
        return f".{seen.kind}"
    no_suffix = _("without an ending")
    counts = ", ".join(f"{kind or no_suffix} {number(count)}" for kind, count in seen.counts)
    files = ngettext("{n} readable file", "{n} readable files", seen.files)
    where = _("folder") if seen.kind == "folder" else f".{seen.kind}"
    text = _("{name}: {value}").format(name=where, value=f"{files.format(n=number(seen.files))} ({counts})")
    if seen.tried < seen.files:
        text += "; " + _("inspected: {n}").format(n=number(seen.tried))
    return text


def _columns(columns: "tuple[Column, ...]") -> list[str]:
    if not columns:
        return []
    name, length, example = _("Column"), _("Characters"), _("Example")
    lines = ["", f"{name:<{_WIDTH}}{length:>12}  {example}"]
    for column in columns:
        length = number(column.characters) if column.texts else "–"
        example = _one_line(column.examples[0]) if column.examples else ""
        lines.append(f"{column.name[: _WIDTH - 1]:<{_WIDTH}}{length:>12}  {example[:80]}")
    return lines


def _documents(seen: "Inspection") -> list[str]:
    if seen.problem:
        return ["", seen.problem]
    lines = ["", _("First documents")]
    return [*lines, *(f"{place}  {_one_line(text)}" for place, text in enumerate(seen.documents, 1))]


def _refused(seen: "Inspection") -> list[str]:
    if not seen.refused:
        return []
    more = len(seen.refused) - _MOST_REFUSED
    lines = ["", _("Can’t be read"), *(f"–  {reason}" for _name, reason in seen.refused[:_MOST_REFUSED])]
    lines += [_("… and {n} more").format(n=number(more))] if more > 0 else []
    return [*lines, *(f"   {detail}" for detail in seen.details[:_MOST_REFUSED])]


def _links(seen: "Inspection") -> list[str]:
    if not seen.links:
        return []
    more = len(seen.links) - _MOST_REFUSED
    lines = ["", _("Left out: links that lead out of the folder; --follow-links reads them")]
    lines += [f"–  {link}" for link in seen.links[:_MOST_REFUSED]]
    return [*lines, _("… and {n} more").format(n=number(more))] if more > 0 else lines


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"

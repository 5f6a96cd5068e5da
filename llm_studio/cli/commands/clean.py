"""The command `clean`: the effect of each cleaning rule."""

import unicodedata
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.options import Changes, Folder, Json, parse_changes
from llm_studio.cli.runner import running
from llm_studio.events import CleaningExample, Done, RuleMeasured
from llm_studio.i18n import _, ngettext, number, short_number
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.data.corpus.cleaning_preview import CleaningPreview

_WIDTH = 100
"""Maximum length of an example on the screen, in characters."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(help=_("Show what each cleaning rule would change or remove, with examples; change nothing."))(clean)


def clean(
    folder: Folder,
    sample: Annotated[
        int | None,
        typer.Option(min=1, metavar="MB", help=_("estimate from this many million characters, spread over the texts")),
    ] = None,
    examples: Annotated[int, typer.Option(min=0, max=3, help=_("examples to show for each rule"))] = 1,
    changes: Changes = None,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.data.cleaning import preview

    edits = parse_changes(changes)
    project = Project.open(folder)
    settings = project.settings().replaced(edits).data if edits else None
    with running(as_json) as job:
        found = preview(project, settings, job, sample * 1_000_000 if sample else None)
        would = (rule.rule for rule in found.rules if not rule.on and rule.documents)
        proposal = " --set ".join(changes or [f"data.{rule}=true" for rule in would])
        job.report(Done(
            _as_text(found, examples),
            f"llm-studio config {quoted(folder)} --set {proposal}" if proposal else "",
            asdict(found),
        ))  # fmt: skip


def _as_text(found: "CleaningPreview", examples: int) -> str:
    from llm_studio.workflows.data.cleaning import NAMES

    rows = [(_("Rule"), _("Setting"), "", _("Documents"), _("Characters"))]
    for rule in found.rules:
        state = _("on") if rule.on else _("off")
        rows.append((_(NAMES[rule.rule]), f"data.{rule.rule}", state, _count(rule, rule.documents),
                     _count(rule, -rule.characters)))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines: list[str] = []
    for row, rule in zip(rows, (None, *found.rules), strict=True):
        left = "  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=False))
        right = "  ".join(cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=False))
        lines.append(f"{left}  {right}")
        lines += [line for example in (rule.examples[:examples] if rule else ()) for line in _example_lines(example)]
    lines += ["", _left(found)]
    if any(rule.estimated for rule in found.rules):
        lines.append(
            ngettext(
                "≈ estimated from {n} document; duplicates, lengths and languages cover all documents.",
                "≈ estimated from {n} documents; duplicates, lengths and languages cover all documents.",
                found.sampled_documents,
            ).format(n=number(found.sampled_documents))
        )
    return "\n".join(lines)


def _left(found: "CleaningPreview") -> str:
    return _("With the rules that are on, {kept} of {documents} documents and {characters} of {before} characters "
             "are left.").format(
        kept=number(found.kept_documents), documents=number(found.documents),
        characters=short_number(found.kept_characters), before=short_number(found.characters))  # fmt: skip


def _count(rule: RuleMeasured, value: int) -> str:
    if not value:
        return "–" if not rule.documents else "0"
    return ("≈ " if rule.estimated else "") + number(value)


def _example_lines(example: CleaningExample) -> list[str]:
    lines = [f"      – {visible(example.before)}"]
    return [*lines, f"      + {visible(example.after)}"] if example.after else lines


def visible(text: str) -> str:
    """`text` on one line, with invisible characters made visible."""
    out = "".join(map(_visible, text))
    return out if len(out) <= _WIDTH else out[: _WIDTH - 1] + "…"


def _visible(character: str) -> str:
    if character == "\n":
        return "⏎"
    if character == "\t":
        return "⇥"
    if character == " " or (character.isprintable() and not unicodedata.combining(character)):
        return character
    return f"‹{ord(character):04X}›"

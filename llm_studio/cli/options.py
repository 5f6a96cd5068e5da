"""Arguments, options and ways to show things that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from llm_studio.config.yaml_file import parse_value
from llm_studio.i18n import _

Folder = Annotated[Path, typer.Argument(metavar="DIR", help=_("the project's folder"), show_default=False)]
Json = Annotated[bool, typer.Option("--json", help=_("print events, one line of JSON each, for scripts"))]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help=_("change a setting, e.g. model.d_model=384; can be repeated")),
]
Language = Annotated[Literal["en", "fr"] | None, typer.Option("--lang", help=_("language of the texts"))]
Separator = Annotated[
    str | None,
    typer.Option(
        help=_(
            "what stands between two documents of one file: “blank” (blank lines), “<|endoftext|>”, or a line of "
            "your own; without it, a file is one document"
        )
    ),
]
TextField = Annotated[
    str | None,
    typer.Option(help=_("the field, or column, that holds the text of a record; without it, it is found by itself")),
]


def parse_changes(given: list[str] | None) -> dict[str, object]:
    """`["training.max_steps=200"]` as `{"training.max_steps": 200}`. Raises BadParameter where “=” is missing."""
    changes: dict[str, object] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or "." not in name:
            raise typer.BadParameter(
                _("--set takes section.name=value, as in training.max_steps=200, not “{text}”").format(text=text)
            )
        changes[name.strip()] = parse_value(value)
    return changes


def table(rows: list[tuple[str, ...]], numbers: int = 0) -> str:
    """Rows of cells as columns; the last `numbers` of them end at the right."""
    columns = list(zip(*rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    left = len(columns) - numbers
    return "\n".join(
        "  ".join(
            f"{c:<{w}}" if i < left else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )

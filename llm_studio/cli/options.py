"""Arguments, options and formatting that several commands share."""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_origin

import typer
from pydantic.fields import FieldInfo

from llm_studio.config import Section
from llm_studio.config.yaml_file import parse_value
from llm_studio.errors import StudioError
from llm_studio.i18n import _, bits_per_byte, ngettext, number
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.workflows.training.runs import Run

Folder = Annotated[Path, typer.Argument(metavar="DIR", help=_("the project's folder"), show_default=False)]
Json = Annotated[bool, typer.Option("--json", help=_("print events as JSON, one per line, for scripts"))]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help=_("change a setting, e.g. model.d_model=384; can be repeated")),
]
Language = Annotated[Literal["en", "fr"] | None, typer.Option("--lang", help=_("language of the texts"))]
CHECKPOINT_HELP = _("best (of the best run), last (of the newest run), a step, a run, or as in run-1/best; or the "
                    "folder of a checkpoint, a run or another project")  # fmt: skip
Separator = Annotated[
    str | None,
    typer.Option(
        help=_(
            "what separates documents within a file: “blank” (blank lines), “<|endoftext|>”, or a line of your own; "
            "by default, a file is one document"
        )
    ),
]
TextField = Annotated[
    str | None, typer.Option(help=_("the field or column that holds the text; by default, it is detected"))
]
Encoding = Annotated[
    str | None,
    typer.Option(help=_("encoding of texts that aren't Unicode, as in cp1252 or koi8_r; by default, it is detected")),
]
ReadAs = Annotated[
    Literal["text", "conversations"] | None,
    typer.Option("--as", help=_("read a text that is a chat as conversations, or as the text that it is")),
]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help=_("also read what links in a folder lead to outside of it"))
]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def parse_changes(given: list[str] | None) -> dict[str, object]:
    """Parse `["training.max_steps=200"]` as `{"training.max_steps": 200}`. Raises BadParameter if “=” is missing."""
    changes: dict[str, object] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or "." not in name:
            raise typer.BadParameter(
                _("--set takes section.name=value, as in training.max_steps=200, not “{text}”").format(text=text)
            )
        changes[name.strip()] = parse_value(value)
    return changes


def setting_options(section: type[Section]) -> Callable[[_Command], _Command]:
    """Give a command an option for each setting of `section`, with the help of its declaration.

    The command receives the values of the given options by name, in its parameter `sampling`.
    """

    return with_options("sampling", {name: _option(info) for name, info in section.model_fields.items()})


def with_options(parameter: str, types: Mapping[str, Any]) -> Callable[[_Command], _Command]:
    """Give a command the options `types`, annotated for Typer, by name.

    The command receives the values of the given options by name, in its argument `parameter`.
    """

    def decorate(command: _Command) -> _Command:
        @functools.wraps(command)
        def wrapper(**arguments: Any) -> Any:
            values = {name: arguments.pop(name) for name in types}
            given = {name: value for name, value in values.items() if value is not None and value != []}
            return command(**arguments, **{parameter: given})

        signature = inspect.signature(command)
        own = [known for known in signature.parameters.values() if known.name != parameter]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in types.items()
        ]
        wrapper.__signature__ = signature.replace(parameters=[*own, *added])  # pyright: ignore[reportAttributeAccessIssue]  read by inspect.signature
        wrapper.__annotations__ = {p.name: p.annotation for p in (*own, *added)}
        return wrapper  # pyright: ignore[reportReturnType]  called by Typer alone

    return decorate


def _option(info: FieldInfo) -> Any:
    """The Typer type of an option for a declared setting: None if it isn't given; a list option can be repeated."""
    is_list = get_origin(info.annotation) is tuple
    kind: Any = list[str] if is_list else info.annotation
    return Annotated[kind | None, typer.Option(help=_(str(info.description)), metavar="TEXT" if is_list else None)]


def standard_input(problem: str) -> str:
    """All text of standard input. Raises StudioError with the sentence `problem` if it isn't UTF-8."""
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")  # pyright: ignore[reportAttributeAccessIssue]  Windows consoles say cp1252
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise StudioError(problem, _("Save it as UTF-8.")) from error


def table(rows: list[tuple[str, ...]], numbers: int = 0) -> str:
    """Rows of cells as aligned columns; the last `numbers` of them are right-aligned."""
    columns = list(zip(*rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    left = len(columns) - numbers
    return "\n".join(
        "  ".join(
            f"{c:<{w}}" if i < left else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def generate_command(project: Project, run: "Run") -> str:
    """The command that generates text with the model of a run; names the run unless it has the best model."""
    from llm_studio.workflows.overview import overview

    best = overview(project).best_run
    named = "" if best is not None and best.name == run.name else f" --run {quoted(run.name)}"
    return f'llm-studio generate {quoted(project.root)}{named} --{"chat" if run.conversations else "prompt"} "..."'


def loss(value: float | None) -> str:
    """A loss with three decimals; “–” if there is none."""
    return "–" if value is None else number(value, 3)


def losses(nats: float | None, bits: float | None) -> str:
    """A loss in nats per token and, if known, in bits per byte."""
    return loss(nats) if bits is None else f"{loss(nats)} · {bits_per_byte(bits)}"


def counted(documents: int) -> str:
    """“1 document”, “3 documents”."""
    return ngettext("{n} document", "{n} documents", documents).format(n=number(documents))

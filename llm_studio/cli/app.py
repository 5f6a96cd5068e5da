"""The entry point of the command line: build the commands, run one, turn errors into messages and exit codes."""

import gettext
import os
import sys
import traceback
from typing import Annotated

import typer
from typer.exceptions import TyperException

from llm_studio import __version__
from llm_studio.cli.commands import (
    clean,
    curve,
    evaluate,
    export,
    forecast,
    generate,
    hub,
    inside,
    look,
    machine,
    make,
    moments,
    open_model,
    project,
    quickstart,
    runs,
    sources,
    stats,
    tokenizer,
    train,
)
from llm_studio.cli.display import JsonDisplay, explain, write_nowhere
from llm_studio.cli.runner import DONE, INTERRUPTED, PROBLEM, WRONG_USAGE, Interrupted, ReaderGone
from llm_studio.cli.terminal import visible_output
from llm_studio.cli.usage import explain_usage
from llm_studio.errors import Cancelled, DamagedFileError, StudioError
from llm_studio.events import Failed
from llm_studio.i18n import DOMAIN, N_, _, language
from llm_studio.paths import resource

__all__ = ["DONE", "INTERRUPTED", "PROBLEM", "WRONG_USAGE", "build_app", "main"]

COMMANDS = (
    make, project, sources, hub, look, clean, stats, tokenizer, forecast, train, runs, curve, moments, evaluate,
    generate, inside, export, open_model, machine, quickstart,
)  # fmt: skip
"""The modules with commands, in the order of the help."""

TYPER_MESSAGES = (
    N_("Arguments"), N_("Options"), N_("Commands"), N_("Missing command."), N_("No such command {name!r}."),
    N_("default: {default}"), N_("required"),
)  # fmt: skip
"""Typer's own messages, which it looks up through gettext: our catalogue must contain them."""


def build_app() -> typer.Typer:
    """The program with all its commands, with help texts in the active language."""
    app = typer.Typer(
        help=_("Build a small language model from scratch: collect texts, train a tokenizer, train a Transformer, "
               "let it write.")
        + "\n\n"
        + _("New here? Try “llm-studio quickstart”: it does every step in a few minutes."),
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip
    app.callback()(_root)
    for module in COMMANDS:
        module.register(app)
    return app


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"llm-studio {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help=_("print the version"), callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    del version


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")  # pyright: ignore[reportAttributeAccessIssue]  Windows consoles say cp1252
    _translate_typer()
    with visible_output():
        return _run(sys.argv[1:] if arguments is None else arguments)


def _run(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        outcome = build_app()(arguments, prog_name="llm-studio", standalone_mode=False)
    except TyperException as error:
        print(explain_usage(error), file=sys.stderr)
        return WRONG_USAGE
    except StudioError as error:
        _explain(error, as_json)
        return PROBLEM
    except (Cancelled, Interrupted, KeyboardInterrupt, typer.Abort) as stopped:
        print(_("Stopped.") if not str(stopped) else str(stopped), file=sys.stderr)
        return INTERRUPTED
    except (ReaderGone, BrokenPipeError):  # `llm-studio generate ... | head`
        write_nowhere()
        return DONE
    except Exception:
        traceback.print_exc()
        print(_("This is a bug in LLM Studio {version}, not your mistake. Nothing that was saved is lost.")
              .format(version=__version__), file=sys.stderr)  # fmt: skip
        return PROBLEM
    return outcome if isinstance(outcome, int) else DONE


def _translate_typer() -> None:
    """Translate Typer's own messages with our catalogue: Typer uses gettext's global domain."""
    os.environ["LANGUAGE"] = language()
    gettext.bindtextdomain(DOMAIN, str(resource("i18n")))
    gettext.textdomain(DOMAIN)


def _explain(error: StudioError, as_json: bool) -> None:
    if as_json:
        JsonDisplay().report(Failed(type(error).__name__, str(error)))
    else:
        explain(str(error), error.detail if isinstance(error, DamagedFileError) else "")

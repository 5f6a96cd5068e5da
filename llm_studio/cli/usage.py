"""Explains invalid command lines in the user's language; Typer's own messages are in English only."""

import re
from collections.abc import Sequence

from pydantic import ValidationError
from typer._click.exceptions import (  # pyright: ignore[reportPrivateImportUsage]  Typer exports only BadParameter
    BadOptionUsage,
    BadParameter,
    MissingParameter,
    NoSuchOption,
    UsageError,
)
from typer.exceptions import TyperException

from llm_studio.config import problem_sentence
from llm_studio.i18n import _

_TOO_MANY = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", re.DOTALL)
_SUGGESTION = re.compile(r"(.*?)\.? Did you mean '(.*)'\?", re.DOTALL)


def explain_usage(error: TyperException) -> str:
    """The usage of the command, the problem, and how to get help."""
    if not isinstance(error, UsageError):
        return error.format_message()
    problem = _problem(error)
    if error.ctx is None:
        return problem
    help_command = f"{error.ctx.command_path} {error.ctx.help_option_names[0]}"
    return f"{error.ctx.get_usage()}\n\n{problem}\n" + _("The help: {command}").format(command=help_command)


def _problem(error: UsageError) -> str:
    match error:
        case NoSuchOption():
            return _("There is no option {name}").format(name=error.option_name) + _did_you_mean(error.possibilities)
        case BadOptionUsage():
            wrong = _("{name} takes no value.") if "does not take" in error.message else _("{name} needs a value.")
            return wrong.format(name=error.option_name)
        case MissingParameter():
            return _("{name} is missing.").format(name=_name(error))
        case BadParameter():
            cause = error.__cause__
            wrong = problem_sentence(cause.errors()[0]) if isinstance(cause, ValidationError) else error.message
            return f"{_name(error)} – {wrong}" if error.param else wrong
        case _:
            return _problem_of_words(error.message)


def _problem_of_words(message: str) -> str:
    """The problem with extra words, or with a word that isn't a command."""
    if found := _TOO_MANY.fullmatch(message):
        return _("Too many arguments: {arguments}").format(arguments=found[1])
    if found := _SUGGESTION.fullmatch(message):
        return found[1] + _did_you_mean([found[2]])
    return message


def _did_you_mean(names: Sequence[str] | None) -> str:
    return _(": did you mean “{name}”?").format(name=names[0]) if names else "."


def _name(error: BadParameter) -> str:
    """The parameter's name as on the command line: “--minutes” or “DIR”."""
    if error.param is None:
        return str(error.param_hint or "")
    if error.param.param_type_name == "option":
        return error.param.opts[-1]
    return str(error.param.metavar or error.param.name).upper()

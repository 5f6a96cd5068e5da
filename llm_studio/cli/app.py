"""The way into the command line, its exit codes, and how a job is run from it."""

import contextlib
import gettext
import os
import signal
import sys
import traceback
from collections.abc import Callable, Generator
from types import FrameType

import typer
from typer.exceptions import TyperException

from llm_studio import __version__
from llm_studio.cli.display import JsonDisplay, TextDisplay, write_nowhere
from llm_studio.errors import Cancelled, StudioError
from llm_studio.events import Failed
from llm_studio.i18n import DOMAIN, N_, _, language
from llm_studio.jobs import Job, awake
from llm_studio.paths import resource

DONE, PROBLEM, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


TYPER_SAYS = (
    N_("Arguments"), N_("Options"), N_("Commands"), N_("Missing command."), N_("No such command {name!r}."),
    N_("default: {default}"), N_("required"),
)  # fmt: skip
"""What Typer says through gettext, so that our catalogue holds it too."""


class ReaderGone(Exception):  # noqa: N818  not an error: `| head` has read what it wanted
    """Who read our output has gone; the command was stopped, and what it had done is kept."""


class Interrupted(Exception):  # noqa: N818  not an error: what the user asked for
    """The user stopped a command; what it had done is kept and said."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and give its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")  # pyright: ignore[reportAttributeAccessIssue]  Windows consoles say cp1252
    _let_typer_speak()
    from llm_studio.cli import commands

    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        outcome = commands.app(arguments, prog_name="llm-studio", standalone_mode=False)
    except TyperException as error:
        _show_usage(error)
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
        print(_("This is a bug in LLM Studio {version}, and not your fault. Nothing that was saved is lost.")
              .format(version=__version__), file=sys.stderr)  # fmt: skip
        return PROBLEM
    return outcome if isinstance(outcome, int) else DONE


def _let_typer_speak() -> None:
    """Let Typer's own words come from our catalogue: it asks gettext's global domain."""
    os.environ["LANGUAGE"] = language()
    gettext.bindtextdomain(DOMAIN, str(resource("i18n")))
    gettext.textdomain(DOMAIN)


def _show_usage(error: TyperException) -> None:
    """Typer's own way to tell what is wrong and how the command is called, where the error has one."""
    show = getattr(error, "show", None)
    if callable(show):
        show()
    else:
        print(error.format_message(), file=sys.stderr)


def _explain(error: StudioError, as_json: bool) -> None:
    if as_json:
        JsonDisplay().report(Failed(type(error).__name__, str(error)))
    else:
        typer.secho(str(error), fg="red", err=True)


@contextlib.contextmanager
def running(as_json: bool, speaks: bool = True) -> Generator[Job]:
    """A job that Ctrl+C stops: the first asks it to end and keep its work, a second ends it at once.

    Where it doesn't speak it is one of several processes that do the same, and another speaks.

    It is asked the same when the reader of our output goes; then ReaderGone is raised at its end.
    """
    if not speaks:
        job = Job()
        with _asking_to_stop(job, quiet=True):
            yield job
        return
    with JsonDisplay() if as_json else TextDisplay() as display:
        job = Job(display.report)
        display.reader.when_gone = job.request_stop
        try:
            with _asking_to_stop(job, as_json), awake():
                yield job
        except (Cancelled, Interrupted):
            if display.reader.here:
                raise
        if not display.reader.here:
            raise ReaderGone


@contextlib.contextmanager
def _asking_to_stop(job: Job, quiet: bool) -> Generator[None]:
    def ask(_signal: int, _frame: FrameType | None) -> None:
        if job.stop_requested:
            raise KeyboardInterrupt
        job.request_stop()
        if not quiet:
            print("\n" + _("Stopping; what is done is kept. Ctrl+C once more ends at once."), file=sys.stderr)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":  # Ctrl+Break, and the console that is closed
        numbers.append(signal.SIGBREAK)
    elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # a terminal that is closed, but for nohup
        numbers.append(signal.SIGHUP)
    previous: dict[int, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.signal(number, ask) for number in numbers
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

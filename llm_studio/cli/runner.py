"""Runs a job from the command line: its display, Ctrl+C, a closed pipe, and exit codes."""

import contextlib
import signal
import sys
from collections.abc import Callable, Generator
from types import FrameType

from llm_studio.cli.display import JsonDisplay, TextDisplay
from llm_studio.errors import Cancelled
from llm_studio.i18n import _
from llm_studio.jobs import Job, awake

DONE, PROBLEM, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


class ReaderGone(Exception):  # noqa: N818  not an error: `| head` has read enough
    """The reader of our output has closed it; the command was stopped, and its results so far are kept."""


class Interrupted(Exception):  # noqa: N818  not an error: requested by the user
    """The user stopped a command; its results so far are kept and have been reported."""


@contextlib.contextmanager
def running(as_json: bool, silent: bool = False) -> Generator[Job]:
    """A job that Ctrl+C stops: the first press requests a stop that keeps its work, the second ends it at once.

    It is also stopped when the reader closes the output; ReaderGone is then raised at its end.
    `silent`: for one of several processes that do the same work, of which another one reports.
    """
    if silent:
        job = Job()
        with _stop_on_signals(job, quiet=True):
            yield job
        return
    with JsonDisplay() if as_json else TextDisplay() as display:
        job = Job(display.report)
        display.reader.when_gone = job.request_stop
        try:
            with _stop_on_signals(job, as_json), awake():
                yield job
        except (Cancelled, Interrupted):
            if display.reader.here:
                raise
        if not display.reader.here:
            raise ReaderGone


@contextlib.contextmanager
def _stop_on_signals(job: Job, quiet: bool) -> Generator[None]:
    def request_stop(_signal: int, _frame: FrameType | None) -> None:
        if job.stop_requested:
            raise KeyboardInterrupt
        job.request_stop()
        if not quiet:
            print("\n" + _("Stopping; finished work is kept. Press Ctrl+C again to end at once."), file=sys.stderr)

    signals = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":  # Ctrl+Break, and closing the console
        signals.append(signal.SIGBREAK)
    elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # closing the terminal, unless started by nohup
        signals.append(signal.SIGHUP)
    previous: dict[int, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.signal(number, request_stop) for number in signals
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

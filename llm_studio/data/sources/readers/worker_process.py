"""A worker process for libraries that may hang or take too much memory: it is monitored, and killed if they do.

It is started for the first file that needs it and reused for the following ones. A frozen program must call
`multiprocessing.freeze_support()` first.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal, Protocol

from llm_studio.data.sources.readers.errors import damaged
from llm_studio.errors import SourceError
from llm_studio.i18n import _, number, size
from llm_studio.jobs import Job

_POLL_SECONDS = 0.1
"""Interval for checking the job and the process."""
TIMEOUT = 30.0
"""Seconds that one result (a page) may take."""
MAX_MEMORY = 2_000_000_000
"""Bytes of memory that the process may take."""

_Message = tuple[Literal["result", "refused", "failed"], str] | tuple[Literal["end"], None]


class _Connection(Protocol):
    """One end of a pipe; its class depends on the operating system."""

    def poll(self, timeout: float = 0.0) -> bool: ...
    def recv(self) -> Any: ...
    def send(self, obj: Any) -> None: ...
    def close(self) -> None: ...


class Refused(Exception):  # noqa: N818  not an error: a reply
    """Raised in the worker process by a reader that can't read a file, and raised again in the calling process."""


class WorkerProcess:
    """Runs `read(source)`, a function at the top level of a module that yields strings, in another process."""

    def __init__(self, read: Callable[[Path | bytes], Iterator[str]]) -> None:
        self._read = read
        self._process: BaseProcess | None = None
        self._connection: _Connection | None = None

    def results(self, source: Path | bytes, name: str, job: Job) -> Iterator[str]:
        """Yield the results of the function for `source`, called `name` in messages.

        Raises SourceError, Refused, Cancelled.
        """
        connection, process = self._start()
        finished = False
        try:
            connection.send(source)
            while True:
                message = self._next(connection, process, name, job)
                if message[0] == "result":
                    yield message[1]
                elif message[0] == "end":
                    finished = True
                    return
                else:
                    finished = True
                    raise Refused(message[1]) if message[0] == "refused" else damaged(name, message[1])
        except (BrokenPipeError, EOFError, ConnectionError) as error:
            raise damaged(name, _("reading it failed")) from error
        finally:
            if not finished:  # the process is still reading this file
                self.end()

    def _next(self, connection: _Connection, process: BaseProcess, name: str, job: Job) -> _Message:
        import psutil

        start = time.monotonic()
        while not _has_message(connection):
            job.check()
            if time.monotonic() - start > TIMEOUT:
                raise SourceError(
                    _("{path} takes too long to read: more than {n} seconds for one page.").format(
                        path=name, n=number(TIMEOUT)
                    ),
                    _("Save it as plain text (.txt) with the program that made it."),
                )
            try:
                memory = psutil.Process(process.pid).memory_info().rss
            except psutil.Error:  # it has died: reading from its connection will fail
                continue
            if memory > MAX_MEMORY:
                raise SourceError(
                    _("{path} takes too much memory to read: more than {size}.").format(
                        path=name, size=size(MAX_MEMORY)
                    ),
                    _("Save it as plain text (.txt) with the program that made it."),
                )
        job.check()
        return connection.recv()

    def _start(self) -> tuple[_Connection, BaseProcess]:
        if self._process is None or self._connection is None or not self._process.is_alive():
            self.end()
            spawn = multiprocessing.get_context("spawn")  # the same on every system, and safe with the window's threads
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_serve, args=(theirs, self._read), daemon=True)
            with theirs:  # with this copy closed, `ours` is notified when the process ends
                process.start()
            self._connection, self._process = ours, process
        return self._connection, self._process

    def end(self) -> None:
        """Kill the process, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None


def _has_message(connection: _Connection) -> bool:
    """Wait a moment for a message or the end of the process."""
    try:
        return connection.poll(_POLL_SECONDS)
    except OSError:  # on Windows, when the other process has died
        return True


# --- In the worker process -----------------------------------------------------------------------------------


def _serve(connection: _Connection, read: Callable[[Path | bytes], Iterator[str]]) -> None:
    """Read one file after another and send the results. Errors are sent, too; a crash closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which then ends this process
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while True:
        try:
            source = connection.recv()
        except (EOFError, OSError):
            return
        try:
            for result in read(source):
                connection.send(("result", result))
            reply = ("end", None)
        except Refused as refused:
            reply = ("refused", str(refused))
        except Exception as error:  # a library can raise anything on a damaged file
            reply = ("failed", f"{type(error).__name__}: {error}"[:300])
        connection.send(reply)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

"""A process of its own for what may hang or take too much memory: it is watched, and ended when it does.

It is started with the first file that needs it and serves all that follow. A frozen program must call
`multiprocessing.freeze_support()` first thing.
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

_LOOK = 0.1
"""Seconds between two looks at the job and at the process."""
TIMEOUT = 30.0
"""Seconds that one part of a file (a page) may take."""
MAX_MEMORY = 2_000_000_000
"""Bytes that the process may hold."""

_Message = tuple[Literal["part", "refused", "failed"], str] | tuple[Literal["end"], None]


class _Connection(Protocol):
    """One end of a pipe, whose class differs between systems."""

    def poll(self, timeout: float = 0.0) -> bool: ...
    def recv(self) -> Any: ...
    def send(self, obj: Any) -> None: ...
    def close(self) -> None: ...


class Refused(Exception):  # noqa: N818  not an error: an answer
    """A reader's reason, raised in the process, told to the user by the caller."""


class WorkerProcess:
    """The process. `read(source)`, a function at the top of a module, gives the parts of a file one by one."""

    def __init__(self, read: Callable[[Path | bytes], Iterator[str]]) -> None:
        self._read = read
        self._process: BaseProcess | None = None
        self._connection: _Connection | None = None

    def results(self, source: Path | bytes, name: str, job: Job) -> Iterator[str]:
        """What the function gives for `source`, the file `name`. Raises SourceError, Refused, Cancelled."""
        connection, process = self._started()
        whole = False
        try:
            connection.send(source)
            while True:
                message = self._next(connection, process, name, job)
                if message[0] == "part":
                    yield message[1]
                elif message[0] == "end":
                    whole = True
                    return
                else:
                    whole = True
                    raise Refused(message[1]) if message[0] == "refused" else damaged(name, message[1])
        except (BrokenPipeError, EOFError, ConnectionError) as error:
            raise damaged(name, _("its reading broke off")) from error
        finally:
            if not whole:  # it is in the middle of this file
                self.end()

    def _next(self, connection: _Connection, process: BaseProcess, name: str, job: Job) -> _Message:
        import psutil

        began = time.monotonic()
        while not _has_come(connection):
            job.check()
            if time.monotonic() - began > TIMEOUT:
                raise SourceError(
                    _("{path} takes too long to be read: more than {n} seconds for one page.").format(
                        path=name, n=number(TIMEOUT)
                    ),
                    _("Save it as plain text (.txt) in its own program."),
                )
            try:
                memory = psutil.Process(process.pid).memory_info().rss
            except psutil.Error:  # it has died: its connection tells
                continue
            if memory > MAX_MEMORY:
                raise SourceError(
                    _("{path} takes too much memory to be read: more than {size}.").format(
                        path=name, size=size(MAX_MEMORY)
                    ),
                    _("Save it as plain text (.txt) in its own program."),
                )
        job.check()
        return connection.recv()

    def _started(self) -> tuple[_Connection, BaseProcess]:
        if self._process is None or self._connection is None or not self._process.is_alive():
            self.end()
            spawn = multiprocessing.get_context("spawn")  # the same on every system, and safe beside a window's threads
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_serve, args=(theirs, self._read), daemon=True)
            with theirs:  # closed here, it ends with the process: then ours tells of its death
                process.start()
            self._connection, self._process = ours, process
        return self._connection, self._process

    def end(self) -> None:
        """End the process, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None


def _has_come(connection: _Connection) -> bool:
    """Whether there is something to receive, the end of the other process too, after a moment of waiting."""
    try:
        return connection.poll(_LOOK)
    except OSError:  # Windows says so at once when the other process has died
        return True


# --- In the other process ------------------------------------------------------------------------------------


def _serve(connection: _Connection, read: Callable[[Path | bytes], Iterator[str]]) -> None:
    """Read one file after the other. Whatever happens here is told, or seen from the connection's end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which then ends this process
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while True:
        try:
            source = connection.recv()
        except (EOFError, OSError):
            return
        try:
            for part in read(source):
                connection.send(("part", part))
            answer = ("end", None)
        except Refused as refused:
            answer = ("refused", str(refused))
        except Exception as error:  # a library that meets a damaged file can raise anything
            answer = ("failed", f"{type(error).__name__}: {error}"[:300])
        connection.send(answer)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

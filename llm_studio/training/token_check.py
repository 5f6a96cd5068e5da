"""Whether the tokens are still what was prepared, found out once a run: before the first step where they are few, else
in a thread beside the training.

A run ends with an error where they are not: what it had saved stays, and resumes from there as soon as the tokens were
prepared again. Going on would be worse. A damaged disk rarely changes one bit only, the loss doesn't show it, and a
model that has learned from it for days looks like one that has not. Nothing is saved once damage is found; only where
there are many tokens may the checkpoints of the first seconds have seen a few steps of damaged ones.

The thread rests four times as long as it works, has the lowest priority that the system gives, and lets go of Python's
lock while it reads and computes.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from llm_studio.data.tokens.token_files import TokenFile
from llm_studio.errors import DataError

AT_ONCE = 64
"""Blocks that are read before the first step: about 30 ms."""
_REST = 4.0
"""Seconds of rest for a second of work."""
_PATIENCE = 5.0
"""Seconds to wait for the thread to end: a network disk may not answer."""


class TokenCheck:
    """Verifies `files` between `begin` and `end`; damage is raised by `begin` and `look`, in the caller's thread."""

    def __init__(self, files: Sequence[TokenFile]) -> None:
        self._files = files
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: DataError | None = None

    def begin(self) -> None:
        """Verify the first blocks, and begin with the others in the background. Raises DataError."""
        blocks = chain.from_iterable(file.verify() for file in self._files)
        if sum(1 for _block in islice(blocks, AT_ONCE)) == AT_ONCE:
            self._thread = threading.Thread(target=self._run, args=(blocks,), name="token check", daemon=True)
            self._thread.start()

    def look(self) -> None:
        """Raise DataError if the tokens were found to be damaged."""
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Verify no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _run(self, blocks: Iterator[None]) -> None:
        _lower_priority()
        try:
            began = time.perf_counter()
            for _block in blocks:
                if self._stop.wait(_REST * (time.perf_counter() - began)):
                    return
                began = time.perf_counter()
        except DataError as error:
            self._error = error


def _lower_priority() -> None:
    """Give the thread that calls this the lowest priority, where the system knows such a thing for threads."""
    if sys.platform == "win32":
        import ctypes

        current_thread, begin_background_mode = ctypes.c_void_p(-2), 0x00010000
        ctypes.windll.kernel32.SetThreadPriority(current_thread, begin_background_mode)
    elif sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)

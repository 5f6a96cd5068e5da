"""Verifies once per run that the token files are unchanged: before the first step if they are small, otherwise in a
background thread.

If they have changed, the run ends with an error: checkpoints stay, and the run can be resumed after the tokens were
prepared again. Continuing would be worse: a damaged disk rarely flips a single bit, the loss doesn't show it, and a
model that has learned from it for days looks like any other. Nothing is saved once damage is found; only with many
tokens may checkpoints of the first seconds include a few steps on damaged ones.

The thread sleeps four times as long as it works, has the lowest priority of the system, and releases the GIL while it
reads and computes.
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
"""Seconds of sleep per second of work."""
_PATIENCE = 5.0
"""Seconds to wait for the thread to end: a network disk may not respond."""


class TokenCheck:
    """Verifies `files` between `begin` and `end`. Damage is raised by `begin` and `look`, in the caller's thread."""

    def __init__(self, files: Sequence[TokenFile]) -> None:
        self._files = files
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: DataError | None = None

    def begin(self) -> None:
        """Verify the first blocks and start the thread for the others. Raises DataError."""
        blocks = chain.from_iterable(file.verify() for file in self._files)
        if sum(1 for _block in islice(blocks, AT_ONCE)) == AT_ONCE:
            self._thread = threading.Thread(target=self._run, args=(blocks,), name="token check", daemon=True)
            self._thread.start()

    def look(self) -> None:
        """Raise DataError if damage was found."""
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Stop verifying."""
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
    """Give the calling thread the lowest priority, if the system supports priorities of threads."""
    if sys.platform == "win32":
        import ctypes

        current_thread, begin_background_mode = ctypes.c_void_p(-2), 0x00010000
        ctypes.windll.kernel32.SetThreadPriority(current_thread, begin_background_mode)
    elif sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)

"""Whether the tokens are still what was prepared, found out once a run in a thread beside the training.

A run ends with an error where they are not: what it had saved stays, and resumes from there as soon as the tokens were
prepared again. Going on would be worse. A damaged disk rarely changes one bit only, the loss doesn't show it, and a
model that has learned from it for days can't be told from one that has not. Nothing is saved once damage is found; the
checkpoints of the first seconds, before its block was read, may have seen it in a few steps.

The thread hashes a few hundred megabytes a second at most: it rests four times as long as it works, has the lowest
priority that the system gives, and lets go of Python's lock while it reads and computes.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Sequence

from llm_studio.data.tokens.token_files import TokenFile
from llm_studio.errors import DataError

_REST = 4.0
"""Seconds of rest for a second of work."""
_PATIENCE = 1.0
"""Seconds that a run which is over waits for the rest of the check."""


class TokenCheck:
    """Verifies `files` in the background while the context lasts; the error is raised in the training's thread."""

    def __init__(self, files: Sequence[TokenFile]) -> None:
        self._files = files
        self._stop, self._hurry = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="token check", daemon=True)
        self._error: DataError | None = None

    def __enter__(self) -> "TokenCheck":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._hurry.set()
        self._thread.join(_PATIENCE)  # a network disk may not answer

    def look(self) -> None:
        """Raise DataError if the tokens were found to be damaged."""
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """The run is over: check the rest without resting, as far as that takes a moment only. Raises DataError."""
        self._hurry.set()
        self._thread.join(_PATIENCE)
        self.look()

    def _run(self) -> None:
        _lower_priority()
        try:
            for file in self._files:
                began = time.perf_counter()
                for _block in file.verify():
                    self._hurry.wait(_REST * (time.perf_counter() - began))
                    if self._stop.is_set():
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

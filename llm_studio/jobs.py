"""The context of a running job: it reports events and checks whether to stop or to save.

A job is a plain function that receives a `Job`. The command line runs it in place, the window in a thread, a test
with `events.append`. Requests come from another thread or a signal handler; the job checks for them at safe points.
"""

import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from llm_studio.errors import Cancelled
from llm_studio.events import Event

_T = TypeVar("_T")
_POLL_SECONDS = 0.2


def _ignore(event: Event) -> None:
    del event


class Job:
    """The context of one running job."""

    def __init__(self, report: Callable[[Event], None] = _ignore) -> None:
        self.report = report
        self._stop = threading.Event()
        self._save = threading.Event()

    @property
    def stop_requested(self) -> bool:
        """Whether the job should end soon and keep what it can."""
        return self._stop.is_set()

    def request_stop(self) -> None:
        """Request that the job ends. Safe from any thread and from a signal handler."""
        self._stop.set()

    def request_save(self) -> None:
        """Request that a training run saves a checkpoint now and continues."""
        self._save.set()

    def take_save_request(self) -> bool:
        """Whether a save was requested since the last call."""
        if not self._save.is_set():
            return False
        self._save.clear()
        return True

    def check(self) -> None:
        """Raise Cancelled if the job should end: for jobs with nothing to keep yet."""
        if self.stop_requested:
            raise Cancelled

    def silent(self) -> "Job":
        """The same job for a part of its work that isn't reported: it stops when this job does."""
        part = Job()
        part._stop, part._save = self._stop, self._save
        return part

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`. Raises Cancelled as soon as the job should end."""
        self._stop.wait(seconds)
        self.check()


def iterate_in_thread(job: Job, produce: Callable[[threading.Event], Iterator[_T]]) -> Generator[_T]:
    """Yield the items of `produce`, which runs in a thread, so that the job can stop while it waits for the network.

    `produce` gets an event that is set once no more items are needed. Raises its exceptions, and Cancelled.
    """
    items: queue.Queue[tuple[_T] | BaseException | None] = queue.Queue(maxsize=4)
    abandoned = threading.Event()

    def put(item: tuple[_T] | BaseException | None) -> None:
        while not abandoned.is_set():
            with contextlib.suppress(queue.Full):
                items.put(item, timeout=_POLL_SECONDS)
                return

    def run() -> None:
        try:
            for item in produce(abandoned):
                put((item,))
            put(None)
        except BaseException as error:  # raised in the consumer
            put(error)

    threading.Thread(target=run, name="iterate", daemon=True).start()
    try:
        while True:
            job.check()
            try:
                item = items.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        abandoned.set()


_CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 0x00000001
"""ES_CONTINUOUS, ES_SYSTEM_REQUIRED of SetThreadExecutionState."""


def hold_awake(wanted: bool) -> None:
    """Keep Windows from going to sleep, or allow it again; the screen may turn off. Does nothing on other systems.

    The request belongs to the calling thread and ends with it.
    """
    if sys.platform == "win32":
        import ctypes

        state = _CONTINUOUS | (_SYSTEM_REQUIRED if wanted else 0)
        ctypes.windll.kernel32.SetThreadExecutionState(ctypes.c_uint(state))


@contextlib.contextmanager
def awake() -> Generator[None]:
    """Keep Windows awake during the block, in the current thread."""
    hold_awake(True)
    try:
        yield
    finally:
        hold_awake(False)

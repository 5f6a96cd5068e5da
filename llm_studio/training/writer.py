"""What a run writes: its log, at once; checkpoints and snapshots, in a background thread.

One thing is written at a time, in order, and reports are sent from the training thread. If the disk is full, training
waits until there is space or it is asked to stop; after other errors it retries for a while.
"""

import contextlib
import errno
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from llm_studio.errors import Cancelled, DiskFullError, FolderGoneError, StorageError
from llm_studio.events import Event, Notice
from llm_studio.i18n import _, number
from llm_studio.jobs import Job
from llm_studio.runs.log import RunLog
from llm_studio.training.clock import ActiveClock

_FOR_GOOD = {errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.ENAMETOOLONG, errno.EINVAL,
             errno.EOPNOTSUPP}  # fmt: skip
"""Errors of a path that doesn't exist or can't be what is to be written. And on Windows:"""
_FOR_GOOD_ON_WINDOWS = {2, 3, 123, 183, 267}
"""No such file, no such path, invalid name, already exists, not a folder. A disconnected network has other codes."""
_POLL_SECONDS = 3.0
"""Seconds between two attempts while there is no space."""
_PATIENCE = 120.0
"""Seconds of retries after which an error other than a full disk is final.

A network disk may be disconnected for a moment, and a virus scanner may lock a folder."""

_PATIENCE_GONE = 20.0
"""The same if the folder of the project is gone: time to restore its name."""

_T = TypeVar("_T")
Task = Callable[[], Event | None]


class NotSavedError(Exception):
    """The job was asked to stop while the disk couldn't be written to; pending writes are lost."""

    def __init__(self, cause: StorageError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class OnWaiting(Protocol):
    """Called with True when a run starts to wait for the disk, and with False when it continues."""

    def __call__(self, waits: bool, /) -> object: ...


class RunWriter:
    """Writes the files of one run. Use it as a context manager: its end waits for pending writes."""

    def __init__(self, log: RunLog, job: Job, waiting: OnWaiting = bool, clock: ActiveClock | None = None) -> None:
        """`clock` is stopped while the run waits for the disk."""
        self._log = log
        self._job = job
        self._waiting, self._clock = waiting, clock or ActiveClock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="saver")
        self._written: Future[Event | None] | None = None
        self._task: Task | None = None

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        try:
            if kind is None:
                self.finish()
            else:  # report the first error only; the pending write may succeed
                with contextlib.suppress(Exception):
                    self._collect(patient=False)
        finally:
            self._thread.shutdown()

    def report(self, event: Event) -> None:
        """Write an event to the log, and report it."""
        try:
            self._log.write(event)
        except StorageError as error:  # the log keeps the line in memory
            self._try_again(error, self._log.flush)
        self._job.report(event)

    def notify(self, notice: Notice) -> None:
        """Report something that isn't part of the log."""
        self._job.report(notice)

    def write_now(self, action: Callable[[], object]) -> None:
        """Run `action`, a small write, in this thread; waits while the disk is full."""
        try:
            action()
        except StorageError as error:
            self._try_again(error, action)

    def cut_log(self, step: int, evaluated: bool) -> None:
        """Remove the log's entries after `step`."""
        try:
            self._log.cut_after(step, evaluated)
        except StorageError as error:  # the log is unchanged
            self._try_again(error, lambda: self._log.cut_after(step, evaluated))

    def log_to_disk(self) -> None:
        """Wait until the log is flushed to disk. Thread-safe."""
        self._log.to_disk()

    @property
    def busy(self) -> bool:
        """Whether a write is in progress."""
        return self._written is not None and not self._written.done()

    def write(self, task: Task) -> None:
        """Run `task` in the background, after the previous one is done.

        A permanent error is raised here, or by `look` or `finish`, in the caller's thread.
        """
        self.finish()
        self._task = task
        self._written = self._thread.submit(task)

    def look(self) -> None:
        """Report what has been written since, without waiting."""
        if not self.busy:
            self.finish()

    def finish(self) -> None:
        """Wait for pending writes. Raises StorageError, NotSavedError."""
        self._collect(patient=True)

    def _collect(self, patient: bool) -> None:
        written, task = self._written, self._task
        if written is None or task is None:
            return
        try:
            event = written.result()
        except StorageError as error:
            if not patient:
                raise
            event = self._try_again(error, task)
        finally:
            self._written = self._task = None
        if event:
            self.report(event)

    def _try_again(self, error: StorageError, action: Callable[[], _T]) -> _T:
        """Repeat `action` until the disk accepts it.

        Errors other than a full disk are raised after a while; permanent ones after a second attempt.
        """
        full = isinstance(error, DiskFullError)
        if _is_for_good(error):
            try:
                return action()  # once more: the folder may have been renamed meanwhile
            except FolderGoneError as gone:
                error = gone
        patience = min(_PATIENCE, _PATIENCE_GONE) if isinstance(error, FolderGoneError) else _PATIENCE
        to_do = (
            _("Make room on the disk; training then continues by itself. A stop loses the steps since the last save.")
            if full else _("Retrying for {n} seconds. A stop loses all steps since the last save.").format(
                n=number(round(patience)))
        )  # fmt: skip
        self._job.report(Notice(_("The training waits: {reason}").format(reason=error.what), "warning", to_do))
        self._report_waiting(True)
        until = time.monotonic() + patience
        while True:
            try:
                self._job.wait(_POLL_SECONDS)
                done = action()
            except DiskFullError:
                continue
            except StorageError:
                if time.monotonic() > until:
                    raise
                continue
            except Cancelled:
                raise NotSavedError(error) from error
            self._report_waiting(False)
            self._job.report(Notice(
                _("There is room on the disk again: training continues.") if full else
                _("The disk can be written to again: training continues.")
            ))  # fmt: skip
            return done

    def _report_waiting(self, waits: bool) -> None:
        (self._clock.stop if waits else self._clock.resume)()
        with contextlib.suppress(StorageError):  # the disk may be full for the record, too
            self._waiting(waits)


def _is_for_good(error: StorageError) -> bool:
    cause = error.__cause__
    if cause is None and not isinstance(error, DiskFullError):  # refused by this program itself, e.g. a link
        return True
    on_windows = getattr(cause, "winerror", None)
    if on_windows is not None:
        return on_windows in _FOR_GOOD_ON_WINDOWS
    return isinstance(cause, OSError) and cause.errno in _FOR_GOOD


class NullRunWriter(RunWriter):
    """Writes nothing: for all processes of a run except the first."""

    def report(self, event: Event) -> None:
        """Only the first process reports."""

    def write_now(self, action: Callable[[], object]) -> None:
        """Only the first process writes."""

    def cut_log(self, step: int, evaluated: bool) -> None:
        """Only the first process changes the log."""

    def write(self, task: Task) -> None:
        """Only the first process writes."""

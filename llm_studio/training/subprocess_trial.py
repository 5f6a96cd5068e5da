"""Trials in a separate process: they can't crash this one, and their memory is measured alone.

A system that overcommits memory kills the process that asks for too much, which is then the other one. Cancelling also
ends it. A frozen program must call `multiprocessing.freeze_support()` first.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, Protocol

from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.training.measure import Attempt

_POLL_SECONDS = 0.1
"""Seconds between two checks whether to stop."""


class _Connection(Protocol):
    """One end of a pipe: its class differs between systems."""

    def poll(self, timeout: float = 0.0) -> bool: ...
    def recv(self) -> Any: ...
    def send(self, obj: Any) -> None: ...
    def close(self) -> None: ...


class SubprocessTrial:
    """A `Trial` in a separate process, with the same attempts. Use it as a context manager, which ends the process."""

    def __init__(self, settings: Settings, vocab_size: int, compute: Compute, job: Job) -> None:
        self._job = job
        spawn = multiprocessing.get_context("spawn")  # the same on every system, and safe with threads
        self._connection: _Connection
        self._connection, theirs = spawn.Pipe()
        self.process: BaseProcess = spawn.Process(
            target=_serve, args=(theirs, settings.to_dict(), vocab_size, compute), daemon=True
        )
        with theirs:  # now only the process holds it: if it dies, ours gets an EOF
            self.process.start()

    def __enter__(self) -> "SubprocessTrial":
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()
        self.process.kill()
        self.process.join()
        self.process.close()

    def attempt(
        self, batch_size: int, micro_batches: int, checkpointing: bool, steps: int, seconds: float | None = None
    ) -> "Attempt":
        """As `Trial.attempt`. If the system killed the process, memory ran out. Raises Cancelled."""
        from llm_studio.training.measure import SECONDS, Attempt

        try:
            self._connection.send((batch_size, micro_batches, checkpointing, steps, seconds or SECONDS))
            while not self._has_come():
                self._job.check()
            answer = self._connection.recv()
        except (EOFError, OSError):
            return Attempt(batch_size, checkpointing, fits=False)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _has_come(self) -> bool:
        try:
            return self._connection.poll(_POLL_SECONDS)
        except OSError:  # on Windows sending fails as soon as the process has died
            return True


# --- In the other process -----------------------------------------------------------------------------------


def _serve(connection: _Connection, settings: dict[str, Any], vocab_size: int, compute: Compute) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which then ends this process
    threading.Thread(target=_die_with_parent, daemon=True).start()
    from llm_studio.training.memory import resident_bytes  # imports torch, whose memory isn't the model's

    before = resident_bytes()
    from llm_studio.training.measure import Trial

    with contextlib.suppress(EOFError, OSError):  # the parent has closed the pipe
        try:
            trial = Trial(Settings.from_dict(settings), vocab_size, compute, Job(), before)
            while True:
                connection.send(trial.attempt(*connection.recv()))
        except MemoryError:
            raise
        except (EOFError, OSError):
            raise
        except Exception as error:
            error.add_note(traceback.format_exc())
            connection.send(error)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

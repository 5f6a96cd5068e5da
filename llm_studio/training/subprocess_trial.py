"""Trials in a process of their own: without any danger for this one, and with a memory that nothing else uses.

Where a computer promises more memory than it has, the system ends whoever asks for too much: let that be the other
process. A cancel ends it too. A frozen program must call `multiprocessing.freeze_support()` first thing.
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

_LOOK = 0.1
"""Seconds between two looks at whether to stop."""


class _Connection(Protocol):
    """One end of a pipe, whose class differs between systems."""

    def poll(self, timeout: float = 0.0) -> bool: ...
    def recv(self) -> Any: ...
    def send(self, obj: Any) -> None: ...
    def close(self) -> None: ...


class SubprocessTrial:
    """A `Trial` in another process, with the same attempts. Use it as a context: it ends with it."""

    def __init__(self, settings: Settings, vocab_size: int, compute: Compute, job: Job) -> None:
        self._job = job
        spawn = multiprocessing.get_context("spawn")  # the same on every system, and safe beside a window's threads
        self._connection: _Connection
        self._connection, theirs = spawn.Pipe()
        self.process: BaseProcess = spawn.Process(
            target=_serve, args=(theirs, settings.to_dict(), vocab_size, compute), daemon=True
        )
        with theirs:  # closed here, it ends with the process: then ours tells of its death
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
        """As `Trial.attempt`. A process that the system ended had no memory. Raises Cancelled."""
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
            return self._connection.poll(_LOOK)
        except OSError:  # Windows says so at once when the other process has died
            return True


# --- In the other process -----------------------------------------------------------------------------------


def _serve(connection: _Connection, settings: dict[str, Any], vocab_size: int, compute: Compute) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which then ends this process
    threading.Thread(target=_die_with_parent, daemon=True).start()
    from llm_studio.training.memory import resident_bytes  # imports torch, which isn't the model's memory

    before = resident_bytes()
    from llm_studio.training.measure import Trial

    with contextlib.suppress(EOFError, OSError):  # the parent has what it wanted
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

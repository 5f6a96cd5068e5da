"""Adjusts the number of processor threads of a run to the load by other programs.

The threads that compute a step wait for each other hundreds of times. If another program is busy, one of them is often
suspended while the others wait for it: it is faster to use one thread for each core that other programs leave free. The
number of threads affects rounding. So each change is a decision: it is on disk, with its step, before it is used, and a
resumed run repeats it.
"""

import time
from collections.abc import Callable

import torch

from llm_studio import other_programs
from llm_studio.config import Settings
from llm_studio.device import MOST_THREADS, Compute
from llm_studio.errors import StorageError
from llm_studio.events import Notice
from llm_studio.i18n import _, number
from llm_studio.jobs import Job
from llm_studio.runs.decisions import Decision, DecisionLog
from llm_studio.training.distributed import is_launched
from llm_studio.training.progress import TrainingProgress

KIND = "threads"
LOOK = 1.0
"""Seconds over which each measurement of the load by other programs extends."""
FEWER, MORE, LONGEST = 2, 4, 64
"""Number of consecutive measurements that must agree before threads are removed or added; the latter doubles with each
increase, up to `LONGEST`, so that programs that start and stop cause fewer and fewer changes."""
_MARGIN = 0.25
"""Number of free cores, in addition to those needed, that is required before threads are added."""


class ThreadControl:
    """Sets the number of processor threads of one run.

    It changes only if the settings leave it open, and the run trains on the CPU, in a single process.
    """

    def __init__(
        self, settings: Settings, compute: Compute, decisions: DecisionLog, job: Job,
        measure: Callable[[], other_programs.Usage] = other_programs.light_usage,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:  # fmt: skip
        self._most, self._job, self._measure, self._clock = compute.threads, job, measure, clock
        is_open = settings.training.threads == 0 and compute.device == "cpu" and compute.threads > 1
        self._log = decisions if is_open and not is_launched() else None
        self._before: other_programs.Usage | None = None
        self._agreeing, self._patience, self._seen = 0, MORE, -1
        self.threads = compute.threads
        torch.set_num_threads(self.threads)

    def resume(self, now: TrainingProgress) -> None:
        """Restore the number of threads after a resume or a rollback to `now`, before any decision at that step."""
        diverged = max((change.get("diverged_at", 0) for change in now.history), default=0)
        self._seen = max(self._seen, now.step - 1, diverged)
        if self._log:
            self._use(_threads_of(self._log.latest(KIND, now.step - 1)) or self._most)

    def before_step(self, now: TrainingProgress) -> None:
        """Repeat the recorded decision for the step after `now`, or make one. Call it in the training thread."""
        if self._log is None:
            return
        if now.step < self._seen:  # it was rolled back
            self.resume(now)
        if now.step <= max(self._log.last_step(KIND), self._seen):
            threads = _threads_of(self._log.made_at(KIND, now.step))
        else:
            self._seen = now.step
            threads = self._decided(now.step, self._log)
        if threads is None:
            return
        self._use(threads)
        if {"step": now.step, KIND: threads} not in now.history:
            now.note(threads=threads)

    def _decided(self, step: int, log: DecisionLog) -> int | None:
        """The new number of threads from the next step on; None if it doesn't change."""
        before = self._before
        if before is None or self._clock() - before.at >= LOOK:
            self._before = self._measure()
        if before is None or self._before is before or self._before is None:
            return None
        wanted = self._wanted(other_programs.cores_used(before, self._before))
        self._agreeing = self._agreeing + 1 if wanted != self.threads else 0
        fewer = wanted < self.threads
        if self._agreeing < (FEWER if fewer else self._patience) or log.full:
            return None
        try:
            log.record(step, KIND, threads=wanted)
        except StorageError:  # a decision that can't be recorded isn't used
            self._agreeing = 0
            return None
        if fewer:
            text = _("Other programs are busy: from step {step} on, training uses {count} of {most} processor threads.")
        else:
            self._patience = min(2 * self._patience, LONGEST)
            text = _("Other programs use less: from step {step} on, training uses {count} of {most} processor threads.")
        self._job.report(Notice(text.format(step=number(step + 1), count=wanted, most=self._most)))
        return wanted

    def _wanted(self, others: float) -> int:
        """One thread for each core that other programs don't use, with hysteresis."""
        fewer = max(1, self._most - int(others + 0.5))
        more = max(1, self._most - int(others + 0.5 + _MARGIN))
        return fewer if fewer < self.threads else max(self.threads, more)

    def _use(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self.threads, self._before, self._agreeing = threads, None, 0


def _threads_of(made: Decision | None) -> int | None:
    """The number of threads in a decision; None without a decision or if its line is damaged."""
    threads = made.values.get(KIND) if made else None
    return threads if type(threads) is int and 1 <= threads <= MOST_THREADS else None

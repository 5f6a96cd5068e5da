"""Processor use by other programs."""

import contextlib
import sys
import time
from dataclasses import dataclass

import psutil

_CORES = 0.5
_FRACTION = 0.1
"""Other programs are busy if they use at least this many cores, and at least this fraction of all."""
_NAMED = 0.3
"""Number of cores that a program must use to be named."""


@dataclass(frozen=True)
class Usage:
    """Seconds of processor time up to a moment `at`: of all programs, on the cores that this process may use, and of
    this program.

    `programs`: seconds of each process, by (id, name), if requested.
    """

    at: float
    total: float
    own: float
    programs: dict[tuple[int, str], float] | None = None


def usage(by_program: bool = False) -> Usage:
    """The processor time used so far. `by_program` includes each process, which takes a moment."""
    own, ours = _own_seconds()
    programs = _programs(ours) if by_program else None
    return Usage(time.perf_counter(), _total_seconds(), own, programs)


def light_usage() -> Usage:
    """The same in a fraction of a millisecond: child processes of this one count as other programs."""
    return Usage(time.perf_counter(), _total_seconds(), sum(psutil.Process().cpu_times()[:2]))


def cores_used(before: Usage, after: Usage) -> float:
    """Average number of cores that other programs used between two readings."""
    others = (after.total - before.total) - (after.own - before.own)
    return max(0.0, others / max(after.at - before.at, 1e-9))


def are_busy(before: Usage, after: Usage) -> bool:
    """Whether other programs used enough of the processor to slow a training run down."""
    return cores_used(before, after) >= max(_CORES, _FRACTION * len(_own_cores()))


def busiest(before: Usage, after: Usage) -> str:
    """The name of the program that used the processor most, as the system lists it; "" if none used much."""
    used: dict[str, float] = {}
    for key, seconds in (after.programs or {}).items():
        used[key[1]] = used.get(key[1], 0.0) + seconds - (before.programs or {}).get(key, seconds)
    name = max(used, key=lambda one: used[one], default="")
    return name if used.get(name, 0.0) >= _NAMED * (after.at - before.at) else ""


def _own_cores() -> list[int]:
    with contextlib.suppress(psutil.Error, AttributeError, NotImplementedError):
        return psutil.Process().cpu_affinity() or []
    return list(range(psutil.cpu_count() or 1))


def _total_seconds() -> float:
    """Processor time of the cores that this process may use, excluding time in which a virtual machine was
    suspended."""
    cores = psutil.cpu_times(percpu=True)
    names = ("user", "nice", "system", "irq", "softirq")
    mine = [cores[core] for core in _own_cores() if core < len(cores)] or cores
    return sum(getattr(core, name, 0.0) for core in mine for name in names)


def _own_seconds() -> tuple[float, set[int]]:
    """Processor time of this process and its children, and their ids."""
    this = psutil.Process()
    times = this.cpu_times()
    seconds, ids = sum(times[:4]) if sys.platform == "linux" else times.user + times.system, {this.pid}
    for child in this.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            seconds += sum(child.cpu_times()[:2])
            ids.add(child.pid)
    return seconds, ids


def _programs(ours: set[int]) -> dict[tuple[int, str], float]:
    """Processor time of each other process that the system reports. Process 0 is Windows' idle time."""
    found: dict[tuple[int, str], float] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid and process.pid not in ours:
                found[process.pid, process.name()] = sum(process.cpu_times()[:2])
    return found

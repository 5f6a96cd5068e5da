"""The number of processor threads of a run, if the settings leave it open: measured for two seconds, then stored.

More threads are not always faster: with a small model they wait for each other longer than they compute. The result is
stored for this machine and this model shape, so that an identical run is computed identically, to the last bit; a
resumed run uses the number in its checkpoint. A result found while other programs are busy is used for this run only:
the next one measures again.
"""

import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch

from llm_studio import device, files, other_programs, records
from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.errors import StorageError
from llm_studio.jobs import Job
from llm_studio.paths import data_folder
from llm_studio.training.measure import StepTimer

SECONDS = 2.0
"""Duration of the measurement."""
LARGE = 0.3
"""Seconds per step from which on all cores are used without further measurements, unless other programs are busy."""
_PATIENCE = 5.0
"""Seconds after which no further number is tried."""
WORTH = 0.95
"""Fewer threads are used only if a step then takes at most this fraction of the time."""


def compute_for(settings: Settings, vocab_size: int, job: Job) -> Compute:
    """Device, precision and threads of a new run. Raises TrainingError if a setting can't be met, Cancelled."""
    compute = device.choose(settings.training)
    if not _is_open(settings, compute):
        return compute
    found = _remembered(settings, vocab_size, compute)
    if found is None:
        before = other_programs.usage()
        found = fastest(settings, vocab_size, compute, job)
        if other_programs.are_busy(before, other_programs.usage()):
            return replace(compute, threads=found)
        path = _file()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_json(path, records.recall_plain(path) | {_key(settings, vocab_size, compute): found})
        except (OSError, StorageError):
            return compute  # not stored, so an identical run could find another number: use all cores instead
    return replace(compute, threads=found)


def known_compute(settings: Settings, vocab_size: int) -> Compute:
    """The same without a measurement: all cores if the best number of threads isn't known yet."""
    compute = device.choose(settings.training)
    found = _remembered(settings, vocab_size, compute) if _is_open(settings, compute) else None
    return replace(compute, threads=found or compute.threads)


def _is_open(settings: Settings, compute: Compute) -> bool:
    """Whether the number of threads is to be determined here."""
    return not settings.training.threads and compute.device == "cpu" and compute.threads > 1


def _remembered(settings: Settings, vocab_size: int, compute: Compute) -> int | None:
    found = records.recall_plain(_file()).get(_key(settings, vocab_size, compute))
    return found if type(found) is int and 1 <= found <= compute.threads else None


def _file() -> Path:
    return data_folder() / "threads.json"


def _key(settings: Settings, vocab_size: int, compute: Compute) -> str:
    """A key for everything that the best number of threads depends on."""
    model, training = settings.model, settings.training
    shape = (model.d_model, model.n_layers, model.n_heads, model.kv_heads, model.d_ff, model.max_seq_len,
             model.activation, training.batch_size, training.optimizer)  # fmt: skip
    machine = (device.processor_name(), compute.threads, compute.precision, torch.__version__)
    return files.fingerprint(*map(str, (*machine, *shape, vocab_size)))


def candidates(threads: int) -> list[int]:
    """Numbers of threads to try, in descending order."""
    return sorted({threads, threads * 3 // 4, threads // 2, threads // 4} - {0}, reverse=True)


def fastest(settings: Settings, vocab_size: int, compute: Compute, job: Job) -> int:
    """The number of threads with which a step of one micro-batch is fastest, measured alternately. Raises Cancelled."""
    timer = StepTimer(settings.replaced({"training.gradient_accumulation_steps": 1}), vocab_size, compute, job)
    times: dict[int, list[float]] = {}
    before, start = other_programs.usage(), time.perf_counter()
    for count in candidates(compute.threads):
        times[count] = [_seconds(timer, count)]  # this also starts the threads
        if len(times) == 1 and times[count][0] > LARGE and not other_programs.are_busy(before, other_programs.usage()):
            return count
        if time.perf_counter() - start > _PATIENCE and len(times) > 1:
            break
    start = time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        for count, measured in times.items():
            measured.append(_seconds(timer, count))
    medians = {count: statistics.median(measured) for count, measured in times.items()}
    best = min(medians, key=lambda count: medians[count])
    return best if medians[best] <= WORTH * medians[compute.threads] else compute.threads


def _seconds(timer: StepTimer, threads: int) -> float:
    return timer.time(1, warm_up=0, threads=threads).of_step(1)

"""How many processor threads a run takes where the settings leave it open: tried for two seconds, then remembered.

More threads are not always faster: those of a small model wait for each other longer than they work. What is found is
written down for this machine and this shape of model, so that an equal run is computed equally, to the last bit; a
run that goes on takes what its checkpoint says. With one or two cores there is nothing to find out.
"""

import statistics
import time
from dataclasses import replace

import torch

from llm_studio import device, files
from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.errors import StorageError
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.paths import data_folder

SECONDS = 2.0
LARGE = 0.3
"""Seconds of a step from which on a model keeps every core busy."""
WORTH = 0.95
"""Fewer threads are taken only where a step takes at most this share of the time."""


def compute_for(settings: Settings, vocab_size: int, job: Job) -> Compute:
    """What a new run is computed with. Raises TrainingError where a wish can't be met, Cancelled."""
    compute = device.choose(settings.training)
    if settings.training.threads or compute.device != "cpu" or compute.threads <= 2:
        return compute
    memory = data_folder() / "threads.json"
    key = _key(settings, vocab_size, compute)
    known = files.read_json(memory) or {}
    found = known.get(key)
    if not (isinstance(found, int) and 1 <= found <= compute.threads):
        found = fastest(settings, vocab_size, compute, job)
        try:
            memory.parent.mkdir(parents=True, exist_ok=True)
            files.write_json(memory, known | {key: found})
        except (OSError, StorageError):
            return compute  # it couldn't be remembered, and an equal run may find another: all cores are no guess
    return replace(compute, threads=found)


def _key(settings: Settings, vocab_size: int, compute: Compute) -> str:
    """All that the answer depends on."""
    model, training = settings.model, settings.training
    shape = (model.d_model, model.n_layers, model.n_heads, model.kv_heads, model.d_ff, model.max_seq_len,
             model.activation, training.batch_size, training.optimizer)  # fmt: skip
    machine = (device.processor_name(), compute.threads, compute.precision, torch.__version__)
    return files.fingerprint(*map(str, (*machine, *shape, vocab_size)))


def candidates(threads: int) -> list[int]:
    """Numbers of threads to try, the most first."""
    return sorted({threads, threads * 3 // 4, threads // 2, threads // 4} - {0}, reverse=True)


def fastest(settings: Settings, vocab_size: int, compute: Compute, job: Job) -> int:
    """The number of threads with which a micro-batch takes the least time, tried in turns. Raises Cancelled."""
    model = Transformer(settings.model, vocab_size)
    shape = (settings.training.batch_size, settings.model.max_seq_len + 1)
    ids = torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    times: dict[int, list[float]] = {count: [] for count in candidates(compute.threads)}
    try:
        for count in times:  # each once to wake its threads
            if _seconds(model, ids, compute, count) > LARGE and count == compute.threads:
                return count
        began = time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            for count, kept in times.items():
                job.check()
                kept.append(_seconds(model, ids, compute, count))
    finally:
        torch.set_num_threads(before)
    medians = {count: statistics.median(kept) for count, kept in times.items()}
    best = min(medians, key=lambda count: medians[count])
    return best if medians[best] <= WORTH * medians[compute.threads] else compute.threads


def _seconds(model: Transformer, ids: torch.Tensor, compute: Compute, threads: int) -> float:
    torch.set_num_threads(threads)
    began = time.perf_counter()
    with compute.autocast():
        loss = model.loss(ids[:, :-1], ids[:, 1:])
    loss.backward()
    model.zero_grad()
    return time.perf_counter() - began

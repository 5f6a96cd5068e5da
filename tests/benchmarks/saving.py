"""The cost to a run of saving every two minutes: `python -m tests.benchmarks saving`.

A model of the size of `mini` does the same number of steps alternately without and with a save, which is written in the
background during the steps and is complete at their end. So the difference between two consecutive turns is the whole
cost of a save: the copy, the writing, the checksums, the wait for the disk. It is related to the two minutes between
two saves.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch

from llm_studio import files
from llm_studio.config.presets import load_preset
from llm_studio.device import choose
from llm_studio.jobs import Job
from llm_studio.runs import checkpoint
from llm_studio.training.measure import RandomBatches
from llm_studio.training.progress import TrainingProgress
from llm_studio.training.step import Updater
from tests.benchmarks.training import BATCH

ROUNDS = 5
STEPS = 4
"""Number of steps per turn: these take some seconds, several times as long as a save."""
EVERY = 120.0
"""Seconds between two saves."""


def main() -> None:
    """Print the fraction of the throughput that saving costs."""
    settings = load_preset("mini").replaced({"training.batch_size": BATCH["mini"]})
    compute = choose(settings.training)
    torch.set_num_threads(compute.threads)
    vocab_size = settings.model.vocab_size
    update = Updater(RandomBatches(vocab_size), vocab_size, settings, compute, Job())
    ids = torch.randint(0, vocab_size, (BATCH["mini"], settings.model.max_seq_len + 1))

    def step() -> None:
        with compute.autocast():
            loss = update.model.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        update.apply(1e-4)

    step()
    turns: list[tuple[float, float]] = []
    copies: list[float] = []
    writes: list[float] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        for number in range(ROUNDS):
            plain = _turn(step)
            began = time.perf_counter()
            weights, moments = update.copies()
            copies.append(time.perf_counter() - began)
            state = TrainingProgress(step=number).state(settings.model.vocab_size, compute, "", {})
            task = partial(checkpoint.save, Path(folder), state, settings, "{}", weights.wait(), moments.wait())
            written = thread.submit(task)
            saving = copies[-1] + _turn(step)
            assert written.done(), "a turn is too short for a save"
            writes.append(written.result().seconds)
            turns.append((plain, saving))
            print(f"   {STEPS} steps: {plain:.2f} s, with a save {saving:.2f} s", flush=True)
            del weights, moments, task, written
        size = files.folder_size(checkpoint.folder(Path(folder), ROUNDS - 1))
    cost = statistics.median(saving - plain for plain, saving in turns)
    ratio = statistics.median(saving / plain for plain, saving in turns)
    plain = statistics.median(plain for plain, _saving in turns)
    print(f"mini: a checkpoint of {size / 1e6:.0f} MB; copied in {statistics.median(copies) * 1000:.0f} ms, "
          f"written in {statistics.median(writes):.2f} s beside the steps")  # fmt: skip
    print(f"{STEPS} steps take {plain:.2f} s, with a save {ratio:.3f} times that: a save costs {cost:.2f} s, "
          f"{100 * cost / (EVERY + cost):.2f} % of the throughput at one in {EVERY:.0f} s")  # fmt: skip


def _turn(step: Callable[[], None]) -> float:
    """Seconds of `STEPS` steps."""
    began = time.perf_counter()
    for _n in range(STEPS):
        step()
    return time.perf_counter() - began

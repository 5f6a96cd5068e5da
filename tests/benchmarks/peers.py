"""Comparison with another program: any checkout with nanoGPT's `train.py`, run unchanged in a separate process.

Rules: same machine, same number of threads, no compiler on either side, the peer's own split of the text. The time
starts with the first step and excludes evaluations. Since other programs may start and stop meanwhile, whole runs
aren't compared by the clock: seconds per step are measured alternately, a few steps of each program, and the time to a
loss is the number of steps times the median.
"""

import contextlib
import json
import os
import pickle
import re
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from tests.benchmarks.learning import REAL_TEXTS

ROUNDS = 3
ROOT = Path(__file__).parents[2]
EXAMPLE = {  # nanoGPT's README, "I only have a macbook", with config/train_shakespeare_char.py
    "eval_iters": 20, "block_size": 64, "batch_size": 12, "n_layer": 4, "n_head": 4, "n_embd": 128, "max_iters": 2000,
    "lr_decay_iters": 2000, "dropout": 0.0, "learning_rate": 1e-3, "min_lr": 1e-4, "beta2": 0.99, "warmup_iters": 100,
    "eval_interval": 250,
}  # fmt: skip
OURS = {  # the same size; like the presets, but for a short run: less momentum, a learning rate that decreases to zero
    "model.d_model": 128, "model.n_heads": 4, "model.n_layers": 4, "model.d_ff": 344, "model.max_seq_len": 64,
    "model.dropout": 0.0, "training.optimizer": "muon", "training.learning_rate": 6e-3,
    "training.muon_learning_rate": 0.01, "training.muon_momentum": 0.85, "training.warmup_steps": 10,
    "training.schedule": "linear", "training.final_learning_rate_ratio": 0.0,
    "training.batch_size": 12, "training.max_steps": 300,
}  # fmt: skip
WIDE = {
    "eval_iters": 1, "warmup_iters": 100, "block_size": 512, "batch_size": 8, "n_layer": 6, "n_head": 8,
    "n_embd": 256, "dropout": 0.1, "max_iters": 4, "eval_interval": 1000,
}  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """The output of a run: seconds of each step, losses by step; and its peak memory in bytes."""

    seconds: list[float]
    losses: dict[int, float]
    memory: int
    parameters: float = 0.0

    @property
    def median(self) -> float:
        """Median seconds per step, without the first ones, which warm up."""
        return statistics.median(self.seconds[2:])


def main(peer: Path) -> None:
    """Print tokens per second at a vocabulary of 32,000, and the time to the peer's final loss on characters."""
    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or len(os.sched_getaffinity(0))
    print(f"beside {peer}, {threads} threads each, in turns, median of {ROUNDS} rounds")
    with tempfile.TemporaryDirectory() as folder:
        wide = Path(folder) / "wide"
        random = np.random.default_rng(1)
        _write(wide, random.integers(0, 32000, 400_000), random.integers(0, 32000, 50_000), 32000)
        small = {"preset": "small", "training.batch_size": 8, "steps": 5}
        theirs, ours = _in_turns(peer, wide, WIDE, small, threads)
        tokens = 8 * 512
        print(f"vocabulary 32,000, 8 x 512: the peer {tokens / theirs.median:,.0f} tokens/s and "
              f"{theirs.memory / 1e6:,.0f} MB, ours {tokens / ours.median:,.0f} and {ours.memory / 1e6:,.0f} MB, "
              f"{theirs.median / ours.median:.2f} times")  # fmt: skip
        text = REAL_TEXTS / "tinyshakespeare.txt"
        if not text.is_file():
            print("tinyshakespeare is not at hand")
            return
        _characters(peer, Path(folder) / "characters", text.read_text(encoding="utf-8"), threads)


def _characters(peer: Path, data: Path, text: str, threads: int) -> None:
    write_characters(data, text)
    their_step, our_step = _in_turns(peer, data, EXAMPLE | {"max_iters": 40, "eval_interval": 1000},
                                     OURS | {"steps": 40}, threads)  # fmt: skip
    theirs, ours = _run_peer(peer, data, EXAMPLE, threads), _run_ours(data, OURS, threads)
    last = max(theirs.losses)
    goal = theirs.losses[last]
    reached = next((step for step, loss in sorted(ours.losses.items()) if loss <= goal), None)
    print(f"characters: the peer ({theirs.parameters:.2f} M) {goal:.3f} after {last} steps of "
          f"{1000 * their_step.median:.0f} ms = {last * their_step.median:.0f} s, "
          f"{theirs.memory / 1e6:,.0f} MB")  # fmt: skip
    print(f"ours ({ours.parameters:.2f} M), steps of {1000 * our_step.median:.0f} ms, {ours.memory / 1e6:,.0f} MB: "
          + ", ".join(f"{loss:.3f} at {step}" for step, loss in ours.losses.items()))  # fmt: skip
    if reached:
        ratio = last * their_step.median / (reached * our_step.median)
        print(
            f"its loss is reached at step {reached}, after {reached * our_step.median:.0f} s: {ratio:.1f} times sooner"
        )


def write_characters(folder: Path, text: str) -> None:
    """Write a text in nanoGPT's format, with a number for each character; the last tenth is for validation."""
    known = {character: index for index, character in enumerate(sorted(set(text)))}
    ids, cut = np.array([known[character] for character in text]), int(len(text) * 0.9)
    _write(folder, ids[:cut], ids[cut:], len(known))


def _write(folder: Path, train: "np.ndarray", validation: "np.ndarray", vocabulary: int) -> None:
    """Write a dataset in nanoGPT's format."""
    folder.mkdir()
    train.astype(np.uint16).tofile(folder / "train.bin")
    validation.astype(np.uint16).tofile(folder / "val.bin")
    (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": vocabulary}))


def _in_turns(peer: Path, data: Path, theirs: dict, ours: dict, threads: int) -> tuple[Ran, Ran]:
    """For each program, the run with the median time per step, out of several alternating runs."""
    rounds = [(_run_peer(peer, data, theirs, threads), _run_ours(data, ours, threads)) for _n in range(ROUNDS)]
    one, other = (sorted(runs, key=lambda ran: ran.median)[ROUNDS // 2] for runs in zip(*rounds, strict=True))
    return one, other


def _run_peer(peer: Path, data: Path, options: dict, threads: int) -> Ran:
    common = {"dataset": data, "out_dir": data, "device": "cpu", "dtype": "float32", "compile": False,
              "log_interval": 1, "gradient_accumulation_steps": 1, "always_save_checkpoint": False}  # fmt: skip
    arguments = [f"--{name}={value}" for name, value in (common | options).items()]
    output, memory = _run([sys.executable, "train.py", *arguments], peer, threads)
    losses = {int(s): float(v) for s, v in re.findall(r"^step (\d+): .*val loss ([\d.]+)", output, re.MULTILINE)}
    times = {int(s): float(ms) / 1000 for s, ms in re.findall(r"^iter (\d+):.* time ([\d.]+)ms", output, re.MULTILINE)}
    (millions,) = re.findall(r"number of parameters: ([\d.]+)M", output)
    # the time of a step after an evaluation includes the evaluation
    return Ran([t for step, t in times.items() if step not in losses], losses, memory, float(millions))


def _run_ours(data: Path, options: dict, threads: int) -> Ran:
    command = [sys.executable, "-m", "tests.benchmarks.ours", str(data), json.dumps(options)]
    output, memory = _run(command, ROOT, threads)
    summary = json.loads(output.splitlines()[-1])
    losses = {int(step): loss for step, loss in summary["losses"].items()}
    return Ran(summary["seconds"], losses, memory, summary["parameters"] / 1e6)


def _run(command: list[str], folder: Path, threads: int) -> tuple[str, int]:
    """The output of a command, and its peak memory in bytes, sampled fifty times a second."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout is not None
    # not the system's figure for an ended child: under Linux it includes memory of the parent
    seen = psutil.Process(process.pid)
    peak, ended = 0, threading.Event()

    def look() -> None:
        nonlocal peak
        with contextlib.suppress(psutil.Error):
            while not ended.wait(0.02):
                peak = max(peak, seen.memory_info().rss)

    watching = threading.Thread(target=look)
    watching.start()
    output = process.stdout.read()
    ended.set()
    watching.join()
    if process.wait():
        sys.exit(f"{' '.join(command)} failed")
    return output, peak

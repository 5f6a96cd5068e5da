"""Fraction of their speed that training and generation keep beside other programs: `python -m tests.benchmarks
contention`.

On two cores, while N programs occupy a core each, at least 0.8 / (N + 1) of the undisturbed speed should be kept. The
same is measured with threads that spin while they wait, OpenMP's default: undisturbed, they should not be faster.
Rounds in which further programs used the processor are left out; the medians of at least three others are printed.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from llm_studio import other_programs
from llm_studio.jobs import Job
from llm_studio.openmp import WAITING, wait_briefly

CORES, MOST_BUSY, ROUNDS, MOST_ROUNDS = 2, 2, 3, 6
SECONDS = {"training": 1.5, "generation": 1.0}
SETTLING = 4.0
"""Seconds for a run to find the best number of threads, before it is measured."""
FOREIGN = 0.3
"""Maximum number of cores that further programs may use on average; rounds with more are left out."""
PRESET = "nano"


def main() -> None:
    """Print the speeds, and the fractions that are kept."""
    if hasattr(os, "sched_setaffinity"):  # inherited by all processes
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    workers = {"program": Worker("program"), "spinning": Worker("spinning")}
    rates: dict[tuple[str, str, int], list[float]] = {}
    counted = loud = 0
    while counted < ROUNDS and counted + loud < MOST_ROUNDS:
        found, foreign = _round(workers)
        last = counted + loud == MOST_ROUNDS - 1
        if foreign > FOREIGN and not (last and not rates):
            loud += 1
            print(f"   left out: further programs used {foreign:.2f} cores", flush=True)
            continue
        counted += 1
        print(f"   round {counted}: further programs used {foreign:.2f} cores", flush=True)
        for key, rate in found.items():
            rates.setdefault(key, []).append(rate)
    for worker in workers.values():
        worker.end()
    for kind in SECONDS:
        _print(kind, {key: statistics.median(values) for key, values in rates.items()})


def _round(workers: dict[str, "Worker"]) -> tuple[dict[tuple[str, str, int], float], float]:
    """Each speed, measured once, and the number of cores that further programs used meanwhile."""
    found: dict[tuple[str, str, int], float] = {}
    before = other_programs.usage()
    for count in range(MOST_BUSY + 1):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _n in range(count)]
        try:
            time.sleep(0.2)  # until they are running
            workers["program"].rate("settling", SETTLING)
            for kind, seconds in SECONDS.items():
                for name, worker in workers.items():
                    found[kind, name, count] = worker.rate(kind, seconds)
        finally:
            for one in busy:
                one.kill()
                one.wait()
    return found, other_programs.cores_used(before, other_programs.usage())


def _print(kind: str, rates: dict[tuple[str, str, int], float]) -> None:
    alone, spinning = rates[kind, "program", 0], rates[kind, "spinning", 0]
    print(f"{kind} alone: {alone:.0f} tokens/s, {alone / spinning:.2f} times that of spinning threads (bar: 1.0)")
    for count in range(1, MOST_BUSY + 1):
        kept, with_spinning = rates[kind, "program", count] / alone, rates[kind, "spinning", count] / spinning
        print(f"{kind} beside {count}: {kept:.2f} of that (bar: {0.8 / (count + 1):.2f}); "
              f"of spinning threads' {with_spinning:.2f}")  # fmt: skip


@dataclass
class Worker:
    """A process that trains and generates on request."""

    waiting: str
    """How its threads wait: "program", as in the program; "spinning", OpenMP's default."""
    _process: "subprocess.Popen[str]" = field(init=False)

    def __post_init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in (*WAITING, "OMP_WAIT_POLICY")}
        command = [sys.executable, "-m", "tests.benchmarks.contention", self.waiting]
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True)  # fmt: skip
        for kind in SECONDS:
            self.rate(kind, 0.3)  # to start its threads

    def rate(self, kind: str, seconds: float) -> float:
        """Tokens per second."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps([kind, seconds]), file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


# --- In a worker's process --------------------------------------------------------------------------------------


def _serve(folder: str, controlled: bool) -> None:
    kinds = {"training": _training(Path(folder) / "0", controlled), "generation": _generation()}
    for count, line in enumerate(sys.stdin):
        kind, seconds = json.loads(line)
        if kind == "settling":  # as at the beginning of a run
            kinds[kind] = kinds["training"] = _training(Path(folder) / str(count), controlled)
        began, tokens = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < seconds:
            tokens += kinds[kind]()
        print(tokens / spent, flush=True)


def _training(folder: Path, controlled: bool) -> Callable[[], int]:
    """A function that does one training step and returns its number of tokens. `controlled`: use `ThreadControl`."""
    import numpy as np

    from llm_studio.config.presets import load_preset
    from llm_studio.device import choose
    from llm_studio.runs.decisions import DecisionLog
    from llm_studio.training.progress import TrainingProgress
    from llm_studio.training.thread_control import ThreadControl
    from tests.benchmarks.learner import Learner

    settings = load_preset(PRESET).replaced({"training.device": "cpu"})
    now = TrainingProgress()
    control = ThreadControl(settings, replace(choose(settings.training), threads=CORES), DecisionLog(folder), Job())
    vocabulary, length, count = settings.model.vocab_size, settings.model.max_seq_len, settings.training.batch_size
    learner = Learner(settings, vocabulary)
    sequences = np.random.default_rng(0).integers(0, vocabulary, (count, length + 1))

    def step() -> int:
        now.step += 1
        if controlled:
            control.before_step(now)
        learner.learn(sequences)
        return count * length

    return step


def _generation() -> Callable[[], int]:
    """A function that generates some tokens and returns their number."""
    from llm_studio.config.presets import load_preset
    from llm_studio.inference.generate import generate
    from llm_studio.model.transformer import Transformer

    settings = load_preset(PRESET)
    model = Transformer(settings.model, settings.model.vocab_size).eval()
    sampling = settings.generation.model_copy(update={"max_tokens": 50, "seed": 0})

    def write() -> int:
        return len(list(generate(model, [1, 2, 3], sampling)))

    return write


if __name__ == "__main__":
    if sys.argv[1] == "program":
        wait_briefly()
    with tempfile.TemporaryDirectory() as runs:
        _serve(runs, controlled=sys.argv[1] == "program")

"""Compares the planner's runs with hand-made ones of the same time, and with nanoGPT's recipe for a CPU.

Twelve configurations ("cells"), chosen before the planner ran, train on two texts for 3 minutes; the best three for
each text with two seeds for 10; the best for one text for 30. Each time they are compared with the planner's own run.
All use the planner's schedule, so that the comparison is about the choice of model, vocabulary, context and batch.

A run has one thread and its minutes are processor time, so other programs, and a second run, may run at the same time.
The result is bits per byte on the last tenth of the text, which no run has seen, with at least half a context before
each predicted token.

The stage "variants" changes one setting of the planned run at a time, for three minutes. The stage "pattern" compares
nano's tokenizer with one that splits texts by GPT-2's pattern.

The environment variable `LLM_STUDIO_BUDGET` sets the file with the results of completed runs, which aren't repeated,
and the stages, texts, and seeds of the 10-minute stage and of "pattern": `out=budget.jsonl stages=3,10,30,peer
texts=french-novels seeds=0 workers=2`. `--peer PATH` is a checkout of nanoGPT.
"""

import concurrent.futures
import contextlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.learning import REAL_TEXTS

ROOT = Path(__file__).parents[2]
TEXTS = ("tinyshakespeare.txt", "french-novels")
PLAN = "plan"
PEER = "nanoGPT"
GPT2_WORDS = "nano, GPT-2's pattern"
CELLS: dict[str, dict[str, object]] = {  # choices of someone who knows the presets
    "nano": {},
    "nano, vocabulary 512": {"model.vocab_size": 512},
    "nano, vocabulary 1,024": {"model.vocab_size": 1024},
    "nano, vocabulary 4,096": {"model.vocab_size": 4096},
    "nano, context 256": {"model.max_seq_len": 256, "training.batch_size": 8},
    "nano, context 64": {"model.max_seq_len": 64, "training.batch_size": 32},
    "nano, batch 8": {"training.batch_size": 8},
    "nano, batch 32": {"training.batch_size": 32},
    "64 wide, 2 layers": {"model.d_model": 64, "model.n_heads": 2, "model.n_layers": 2, "model.d_ff": 176,
                          "model.vocab_size": 1024},
    "96 wide, 3 layers": {"model.d_model": 96, "model.n_heads": 3, "model.n_layers": 3, "model.d_ff": 256},
    "192 wide, 5 layers": {"model.d_model": 192, "model.n_heads": 6, "model.n_layers": 5, "model.d_ff": 512},
    "256 wide, 6 layers": {"model.d_model": 256, "model.n_heads": 8, "model.n_layers": 6, "model.d_ff": 704,
                           "model.vocab_size": 4096, "training.batch_size": 8},
}  # fmt: skip
VARIANTS: dict[str, dict[str, object]] = {  # of the planned run
    "dropout 0": {"model.dropout": 0.0, "training.weight_decay": 0.1},
    "dropout 0.1": {"model.dropout": 0.1, "training.weight_decay": 0.1},
    "dropout 0.2": {"model.dropout": 0.2, "training.weight_decay": 0.1},
    "dropout 0.3": {"model.dropout": 0.3, "training.weight_decay": 0.1},
    "dropout 0.1, weight decay 0.5": {"model.dropout": 0.1, "training.weight_decay": 0.5},
    "dropout 0.1, weight decay 1": {"model.dropout": 0.1, "training.weight_decay": 1.0},
    "dropout 0.1, weight decay 2": {"model.dropout": 0.1, "training.weight_decay": 2.0},
    "matrix rate x 2": {"training.muon_learning_rate": 1e-2},
    "matrix rate x 0.5": {"training.muon_learning_rate": 2.5e-3},
    "batch 8": {"training.batch_size": 8},
    "constant rate, last 40 % to zero": {"training.schedule": "constant", "training.decay_share": 0.4},
    "zero initialisation": {"model.zero_init": True},
    "head of its own": {"model.tie_embeddings": False},
}
_WRITES = 10.0
"""For runs of at least this many minutes, the real words in generated text are counted, too."""
SCHEDULE: dict[str, object] = {"training.schedule": "linear", "training.threads": 1}


@dataclass(frozen=True)
class Run:
    """One run. `cell` is one of CELLS, PLAN, PLAN with one of VARIANTS, GPT2_WORDS or PEER."""

    text: str
    cell: str
    minutes: float
    seed: int = 0


def main(peer: Path | None = None) -> None:
    """Do the missing runs and print the results."""
    if not REAL_TEXTS.is_dir():
        print("the real texts are not at hand")
        return
    wanted = dict(part.split("=", 1) for part in os.environ.get("LLM_STUDIO_BUDGET", "").split())
    stages = wanted.get("stages", "3,10,30,peer").split(",")
    texts = wanted.get("texts", ",".join(TEXTS)).split(",")
    seeds = [int(seed) for seed in wanted.get("seeds", "0,1").split(",")]
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(wanted.get("out", f"{folder}/budget.jsonl")), int(wanted.get("workers", 2)), peer)
        if "3" in stages:
            runs.do(Run(text, cell, 3) for cell in (*CELLS, PLAN) for text in texts)
        if "variants" in stages:
            runs.do(Run(text, f"{PLAN}, {name}", 3) for name in VARIANTS for text in texts)
        if "pattern" in stages:
            runs.do(Run(text, cell, 3, seed) for text in texts for seed in seeds for cell in ("nano", GPT2_WORDS))
        if "peer" in stages and peer:
            runs.do([Run(TEXTS[0], PEER, 3)])
        if "10" in stages:
            best = {text: runs.best(text, 3)[:3] for text in texts}
            runs.do(Run(text, cell, 10, seed) for text in texts for seed in seeds for cell in (*best[text], PLAN))
        if "30" in stages:
            runs.do(Run(TEXTS[1], cell, 30) for cell in (runs.best(TEXTS[1], 10)[0], PLAN))
        runs.print()


class Runs:
    """The completed runs, stored in a file. `workers`: number of parallel runs."""

    def __init__(self, path: Path, workers: int, peer: Path | None) -> None:
        self._path, self._workers, self._peer = path, workers, peer
        self._done: dict[Run, dict[str, Any]] = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            row = json.loads(line)
            self._done[Run(**row.pop("run"))] = row

    def do(self, runs: Iterable[Run]) -> None:
        """Do those of `runs` that aren't done yet."""
        with concurrent.futures.ThreadPoolExecutor(self._workers) as pool:
            done = {pool.submit(self._one, run): run for run in runs if run not in self._done}
            for future in concurrent.futures.as_completed(done):
                run, row = done[future], future.result()
                self._done[run] = row
                with self._path.open("a") as stream:
                    stream.write(json.dumps({"run": asdict(run), **row}) + "\n")
                print(f"{run}: {row['bits']:.4f} bits per byte", flush=True)

    def best(self, text: str, minutes: float) -> list[str]:
        """The hand-made cells, best first."""
        scores: dict[str, list[float]] = {}
        for run, row in self._done.items():
            if (run.text, run.minutes) == (text, minutes) and run.cell in CELLS:
                scores.setdefault(run.cell, []).append(row["bits"])
        return sorted(scores, key=lambda cell: statistics.fmean(scores[cell]))

    def print(self) -> None:
        """Print a table for each text and time."""
        for text, minutes in sorted({(run.text, run.minutes) for run in self._done}):
            print(f"\n{text}, {minutes:g} minutes of one core, bits per byte:")
            of_cell: dict[str, list[float]] = {}
            for run, row in self._done.items():
                if (run.text, run.minutes) == (text, minutes):
                    of_cell.setdefault(run.cell, []).append(row["bits"])
                    if run.cell == PLAN and not run.seed:
                        print(f"  the plan: {row['about']}; it expected {row['expected']:.3f}")
            lowest = min((statistics.fmean(bits) for cell, bits in of_cell.items() if cell in CELLS), default=0.0)
            for cell, bits in sorted(of_cell.items(), key=lambda found: statistics.fmean(found[1])):
                mean = statistics.fmean(bits)
                off = f"{100 * (mean / lowest - 1):+.1f} %" if lowest else ""
                words = self._real_words(text, cell, minutes)
                print(f"  {cell:24} {mean:.4f}  {off:>7}  {' '.join(f'{value:.4f}' for value in bits)}{words}")

    def _real_words(self, text: str, cell: str, minutes: float) -> str:
        done = [row for run, row in self._done.items() if (run.text, run.cell, run.minutes) == (text, cell, minutes)]
        rates = [f"{100 * row['real_words']:.1f} %" for row in done if "real_words" in row]
        return f"  real words {' '.join(rates)}" if rates else ""

    def _one(self, run: Run) -> dict[str, Any]:
        """The result of a run in a separate process."""
        command = [sys.executable, "-m", "tests.benchmarks.budget", json.dumps(asdict(run))]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        if run.cell == PEER:
            assert self._peer is not None
            command.append(str(self._peer))
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            sys.exit(f"{run}: {ended.stderr}")
        return json.loads(ended.stdout.splitlines()[-1])


# --- One run, in its own process -------------------------------------------------------------------------------------


def _count_processor_time() -> None:
    """Make the clocks of training, and of the measurements before it, count this process's processor time."""
    from llm_studio.training import clock

    time.perf_counter = clock.awake_seconds = time.process_time


def _split(text: str, folder: Path) -> tuple[Path, Path]:
    """Paths of two files: the text without its last tenth, and the last tenth."""
    source, learned, held_out = REAL_TEXTS / text, folder / "texts", folder / "held-out.txt"
    if source.is_file():
        learned.mkdir()
        content = source.read_bytes()
        cut = content.rindex(b"\n", 0, len(content) * 9 // 10) + 1
        (learned / "text.txt").write_bytes(content[:cut])
        held_out.write_bytes(content[cut:])
        return learned, held_out
    shutil.copytree(source, learned, copy_function=shutil.copyfile)
    files = sorted(learned.iterdir())
    for path in files[-len(files) // 10 :]:
        with held_out.open("ab") as stream:
            stream.write(path.read_bytes())
        path.unlink()
    return learned, held_out


def _ours(run: Run) -> dict[str, Any]:
    _count_processor_time()
    from llm_studio.data.tokenizer import patterns, training
    from llm_studio.jobs import Job
    from llm_studio.workflows import make, projects
    from llm_studio.workflows.data import sources
    from llm_studio.workflows.generation.writing_quality import writing_quality
    from llm_studio.workflows.training.evaluate import evaluate
    from llm_studio.workflows.training.train import train

    changes = {"training.seed": run.seed, "training.checkpoint_minutes": 0.0}
    about, expected = "", 0.0
    with tempfile.TemporaryDirectory() as folder:
        learned, held_out = _split(run.text, Path(folder))
        project = projects.new_project(Path(folder) / "project", "nano")
        sources.add_files(project, learned, Job())
        if run.cell.startswith(PLAN):
            changes |= VARIANTS.get(run.cell.removeprefix(f"{PLAN}, "), {})
            projects.change_settings(project, {"training.threads": 1})
            made = make.make(project, run.minutes, Job(), lambda _step, _plan: None, changes)
            assert made.plan is not None
            plan = made.plan
            about = (f"{plan.settings.model.d_model} wide, {plan.settings.model.n_layers} layers, vocabulary "
                     f"{plan.vocab_size:,}, context {plan.context}, batch {plan.batch}, dropout "
                     f"{plan.settings.model.dropout}, weight decay {plan.settings.training.weight_decay}, "
                     f"{plan.steps:,} steps, {plan.passes:.1f} passes")  # fmt: skip
            expected = plan.bits_per_byte
        else:
            if run.cell == GPT2_WORDS:
                training.pattern_for = lambda split_digits: patterns.GPT2
            projects.change_settings(project, {**SCHEDULE, **CELLS["nano" if run.cell == GPT2_WORDS else run.cell]})
            make.prepare(project, Job(), lambda _step: None)
            train(project, Job(), minutes=run.minutes, changes=changes)
        found = evaluate(project, Job(), texts=[held_out], max_tokens=200_000)
        row = {"bits": found.bits_per_byte, "about": about, "expected": expected}
        if run.minutes >= _WRITES:
            wrote = writing_quality(project, Job())
            samples = [sample.prompt + "|" + sample.text for sample in wrote.samples]
            row |= {"real_words": wrote.own.real_words, "real_words_held_out": wrote.held_out.real_words,
                    "copied": wrote.own.copied, "verdict": wrote.verdict, "samples": samples}  # fmt: skip
    return row


# --- nanoGPT ---------------------------------------------------------------------------------------------------------

_CALIBRATION = (20, 120)
"""Steps of two short runs, whose difference gives the time per step."""
_SCORE = """
import json, math, sys
import numpy as np, torch
from model import GPT, GPTConfig
saved = torch.load(sys.argv[1] + "/ckpt.pt", map_location="cpu")
model = GPT(GPTConfig(**saved["model_args"]))
model.load_state_dict(saved["model"])
model.eval()
ids = torch.from_numpy(np.fromfile(sys.argv[1] + "/val.bin", dtype=np.uint16).astype(np.int64))
size = model.config.block_size
nats, count = 0.0, 0
with torch.no_grad():
    for start in range(0, len(ids) - size - 1, size // 2):
        logits, _ = model(ids[None, start : start + size], ids[None, start + 1 : start + size + 1])
        loss = torch.nn.functional.cross_entropy(logits[0], ids[start + 1 : start + size + 1], reduction="none")
        scored = loss if start == 0 else loss[size // 2 :]
        nats, count = nats + scored.sum().item(), count + len(scored)
print(nats / count / math.log(2))
"""


def _peer(run: Run, peer: Path) -> dict[str, Any]:
    """Bits per byte of nanoGPT's example for a CPU, with its steps and decay scaled to the time. ASCII only."""
    import psutil

    from tests.benchmarks.peers import EXAMPLE, write_characters

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "characters"
        write_characters(data, (REAL_TEXTS / run.text).read_text(encoding="ascii"))

        def train(steps: int) -> float:
            """Train, and return the seconds of processor time it took."""
            options = EXAMPLE | {
                "dataset": data, "out_dir": data, "device": "cpu", "dtype": "float32", "compile": False,
                "gradient_accumulation_steps": 1, "always_save_checkpoint": True, "log_interval": 1000,
                "eval_interval": steps, "eval_iters": 1, "max_iters": steps, "lr_decay_iters": steps,
                "warmup_iters": min(100, steps // 2),
            }  # fmt: skip
            before = psutil.Process().cpu_times()
            arguments = [f"--{name}={value}" for name, value in options.items()]
            subprocess.run([sys.executable, "train.py", *arguments], cwd=peer, check=True, stdout=subprocess.DEVNULL)
            after = psutil.Process().cpu_times()
            return after.children_user + after.children_system - before.children_user - before.children_system

        few, many = _CALIBRATION
        step_seconds = (train(many) - train(few)) / (many - few)
        steps = int(60 * run.minutes / step_seconds)
        train(steps)
        scored = subprocess.run([sys.executable, "-c", _SCORE, str(data)], cwd=peer, check=True, capture_output=True)
    bits, about = float(scored.stdout.split()[-1]), f"{steps} steps of {1000 * step_seconds:.0f} ms"
    return {"bits": bits, "about": about, "expected": 0.0}


if __name__ == "__main__":
    wanted = Run(**json.loads(sys.argv[1]))
    with contextlib.redirect_stdout(io.StringIO()):
        result = _peer(wanted, Path(sys.argv[2])) if wanted.cell == PEER else _ours(wanted)
    print(json.dumps(result))

"""Runs for the planner's scaling law, and its fit: bits per byte by model size, bytes read, vocabulary, context.

In each group of runs one variable changes, with the same recipe. The length of a run is given in steps, not seconds, so
that the results don't depend on the machine or on other programs.

`python -m tests.benchmarks.scaling RUNS.jsonl [GROUP ...]` appends the missing runs to the file, which takes about two
hours on one core. `python -m tests.benchmarks.scaling --fit RUNS.jsonl` fits the law to them, and writes
`resources/scaling.yaml`. The runs of the current fit are in `scaling.jsonl`, next to this module.
"""

import json
import math
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llm_studio.config import Settings
from llm_studio.config.presets import load_preset
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens.dataset import open_tokens
from llm_studio.jobs import Job
from llm_studio.model import cost
from llm_studio.paths import resource
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from tests.benchmarks.learning import REAL_TEXTS
from tests.benchmarks.screen import SLICE, Variant, train_variant

TOKENS = 2048
"""Tokens per step."""
SHAPES = {"0.1M": (64, 2), "0.3M": (96, 3), "0.8M": (128, 4), "2M": (192, 5), "5M": (256, 6)}
"""(width, number of layers) by number of parameters."""
TEXTS = ("tinyshakespeare.txt", "french-novels")


@dataclass(frozen=True)
class Setup:
    """One run."""

    text: str
    shape: str
    steps: int
    vocabulary: int = 2048
    context: int = 128
    tokens: int = TOKENS
    rate: float = 1.0
    dropout: float = 0.0


def _runs() -> dict[str, list[Setup]]:
    """The groups of runs: one variable changes in each; every group on both texts, for few and for many steps."""
    size = [Setup(text, shape, steps) for steps in (100, 200, 400, 800) for shape in SHAPES for text in TEXTS
            if not (shape == "5M" and steps > 200)]  # fmt: skip
    both = [(text, steps) for steps in (200, 800) for text in TEXTS]
    vocabulary = [Setup(text, "0.3M", steps, vocabulary=v) for v in (512, 8192, 1024, 4096) for text, steps in both]
    batch = [Setup(text, "0.3M", steps * TOKENS // tokens, tokens=tokens) for tokens in (512, 8192, 1024, 4096)
             for text, steps in both]  # fmt: skip
    context = [Setup(text, "0.3M", steps, context=c) for c in (64, 512, 256) for text, steps in both]
    context += [Setup(text, "0.3M", 1600, context=c) for c in (128, 512) for text in TEXTS]
    passes = [Setup("slice", shape, steps, vocabulary=1024) for steps in (200, 800, 2400) for shape in ("0.1M", "0.8M")]
    passes += [Setup("slice", "0.8M", 2400, vocabulary=1024, dropout=0.2)]
    long = [Setup(text, shape, 1600) for shape in ("0.1M", "0.3M", "0.8M") for text in TEXTS]
    rate = [Setup(text, shape, 400, rate=rate) for shape in ("0.1M", "0.8M") for rate in (0.5, 2.0) for text in TEXTS]
    return {"size": size, "vocabulary": vocabulary, "batch": batch, "context": context, "passes": passes,
            "long": long, "rate": rate}  # fmt: skip


def settings_of(setup: Setup) -> Settings:
    """The settings of a run: heads of width 32, feed-forward layers of 8/3 the width, rounded to multiples of 8."""
    width, layers = SHAPES[setup.shape]
    return load_preset("nano").replaced({
        "model.d_model": width, "model.n_layers": layers, "model.n_heads": max(2, width // 32),
        "model.d_ff": (width * 8 // 3 + 7) // 8 * 8, "model.max_seq_len": setup.context,
        "model.dropout": setup.dropout, "training.batch_size": max(1, setup.tokens // setup.context),
        "training.max_steps": setup.steps, "training.warmup_steps": max(1, min(100, setup.steps // 20)),
        "training.schedule": "constant", "training.decay_share": 0.4, "training.final_learning_rate_ratio": 0.0,
        "training.threads": 1, "training.learning_rate": 6e-3 * setup.rate,
        "training.muon_learning_rate": 5e-3 * setup.rate,
    })  # fmt: skip


def main() -> None:
    """Do the missing runs, or with --fit, fit the law to the existing ones."""
    if sys.argv[1] == "--fit":
        fit(Path(sys.argv[2]))
        return
    out, wanted = Path(sys.argv[1]), sys.argv[2:]
    done = {json.dumps(row["setup"]) for row in _rows(out)}
    with tempfile.TemporaryDirectory() as folder:
        made: dict[tuple[str, int], Project] = {}
        for name, setups in _runs().items():
            for setup in setups if not wanted or name in wanted else []:
                if json.dumps(asdict(setup)) in done:
                    continue
                key = (setup.text, setup.vocabulary)
                if key not in made:
                    made[key] = _project(*key, Path(folder))
                row = _row(setup, made[key])
                with out.open("a") as stream:
                    stream.write(json.dumps({"group": name, "setup": asdict(setup), **row}) + "\n")


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# --- The fit ------------------------------------------------------------------------------------------------------

_START = {
    "size_factor": 5.0, "size_exponent": 0.3, "text_factor": 100.0, "text_exponent": 0.35, "context_factor": 1.0,
    "context_exponent": 1.0, "long_context_factor": 50.0, "vocabulary_factor": 1.0, "vocabulary_exponent": 1.0,
    "merges_factor": 1.0, "merges_exponent": 0.3, "repetitions": 10.0,
}  # fmt: skip
_HUBER = 0.003
"""Delta of the Huber loss on the logarithm of bits per byte: outliers beyond it weigh less."""
_PRIOR = 1e-6


def fit(path: Path) -> None:
    """Fit the law to the runs in a file, print its errors, and write `resources/scaling.yaml`."""
    rows = [row for row in _rows(path) if row["group"] not in ("batch", "rate") and not row["setup"]["dropout"]]
    texts = sorted({row["setup"]["text"] for row in rows})
    names = list(_START)
    raw = torch.tensor([math.log(_START[name]) for name in names] + [math.log(0.7)] * len(texts), dtype=torch.float64)
    start = raw[: len(names)].clone()
    raw.requires_grad_()
    inputs = [_inputs(row) for row in rows]
    target = torch.tensor([row["bits"] for row in rows], dtype=torch.float64).log()
    text = torch.tensor([texts.index(row["setup"]["text"]) for row in rows])
    optimizer = torch.optim.LBFGS([raw], max_iter=2000, line_search_fn="strong_wolfe")

    def predicted() -> torch.Tensor:
        return _law(dict(zip(names, raw[: len(names)].exp(), strict=True)), inputs) + raw[len(names) :].exp()[text]

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.huber_loss(predicted().log(), target, delta=_HUBER)
        loss = loss + _PRIOR * (raw[: len(names)] - start).square().sum()  # keep what the runs don't determine
        loss.backward()
        return loss

    optimizer.step(closure)  # pyright: ignore[reportArgumentType]  torch's own type of a closure is too narrow
    off = (predicted().log() - target).exp().sub(1).abs()
    for group in sorted({row["group"] for row in rows}):
        of_group = off[[place for place, row in enumerate(rows) if row["group"] == group]]
        print(f"{group:12} {len(of_group):3} runs: off by {100 * of_group.median():.1f} % (median), "
              f"{100 * of_group.max():.1f} % at most")  # fmt: skip
    found = dict(zip(names, raw.exp().tolist(), strict=False))
    found["irreducible"] = float(raw[len(names) :].exp().mean().detach())
    found |= _of_tokens(rows) | {"batch_factor": _batch_factor(_rows(path))}
    lines = [f"{name}: {value:.4g}" for name, value in found.items()]
    head = "# The constants of the scaling law (workflows/training/scaling_law.py), fitted to runs by\n"
    head += "# python -m tests.benchmarks.scaling --fit RUNS.jsonl\n"
    resource("scaling.yaml").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _inputs(row: dict[str, Any]) -> tuple[float, float, float, float, float, float]:
    """Parameters without the embedding, bytes read, bytes of text, bytes of context, V / T, V."""
    setup = Setup(**row["setup"])
    counts = cost.count_parameters(settings_of(setup).model, row["vocab"])
    tokens, length = setup.steps * setup.tokens, row["bytes_per_token"]
    return (counts.total - counts.embedding, tokens * length, row["train_tokens"] * length, setup.context * length,
            row["vocab"] / tokens, row["vocab"])  # fmt: skip


def _law(found: dict[str, torch.Tensor], inputs: list[tuple[float, float, float, float, float, float]]) -> torch.Tensor:
    size, read, texts, context, rare, vocabulary = torch.tensor(inputs, dtype=torch.float64).unbind(1)
    repeated = (read / texts - 1).clamp_min(0)
    worth = torch.where(
        read <= texts, read,
        texts * (1 + found["repetitions"] * (1 - torch.exp(-repeated / found["repetitions"]))),
    )  # fmt: skip
    return (
        found["size_factor"] * size ** -found["size_exponent"]
        + found["text_factor"] * worth ** -found["text_exponent"]
        + found["context_factor"] * context ** -found["context_exponent"]
        + found["long_context_factor"] * context / read
        + found["vocabulary_factor"] * rare ** found["vocabulary_exponent"]
        + found["merges_factor"] * vocabulary ** -found["merges_exponent"]
    )


def _of_tokens(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Bytes per token as p + q ln V, by least squares over all texts."""
    x = np.log([row["vocab"] for row in rows])
    y = np.array([row["bytes_per_token"] for row in rows])
    slope, base = np.polyfit(x, y, 1)
    return {"bytes_of_token": float(base), "bytes_per_log_vocabulary": float(slope)}


def _batch_factor(rows: list[dict[str, Any]]) -> float:
    """The k for which k sqrt(T) is closest, in the geometric mean, to the best batch for each length of run."""
    best: dict[tuple[str, int], tuple[float, float]] = {}
    for row in rows:
        setup = Setup(**row["setup"])
        like = Setup(setup.text, setup.shape, setup.steps, tokens=setup.tokens)
        if setup != like or setup.shape != "0.3M":
            continue
        seen = setup.steps * setup.tokens
        best[setup.text, seen] = min(best.get((setup.text, seen), (math.inf, 0.0)), (row["bits"], setup.tokens))
    several = {key: found for key, found in best.items() if key[1] in (200 * TOKENS, 800 * TOKENS)}
    return math.exp(statistics.fmean(math.log(tokens / math.sqrt(key[1])) for key, (_bits, tokens) in several.items()))


# --- The runs -----------------------------------------------------------------------------------------------------


def _project(text: str, vocabulary: int, folder: Path) -> Project:
    project = projects.new_project(folder / f"{text}-{vocabulary}", "nano")
    path = REAL_TEXTS / text
    if text == "slice":
        path = folder / "slice.txt"
        path.write_bytes((REAL_TEXTS / "tinyshakespeare.txt").read_bytes()[:SLICE])
    sources.add_files(project, path, Job())
    train_tokenizer(project, Job(), vocabulary)
    prepare_tokens(project, Job())
    return project


def _row(setup: Setup, project: Project) -> dict[str, float]:
    settings = settings_of(setup)
    began = time.perf_counter()
    tokenizer = Tokenizer.load(project.tokenizer_file)
    with open_tokens(project.processed) as tokens:
        bits = train_variant(Variant({}), settings, tokens, tokenizer, setup.steps, setup.tokens // setup.context)
        sample = tokens.train[:200_000]
        length = sum(len(tokenizer.token_bytes(int(token))) for token in sample) / len(sample)
        facts = {"bits": bits, "bytes_per_token": length, "train_tokens": len(tokens.train)}
    return facts | {"vocab": tokenizer.vocab_size, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    main()

"""A screen of the recipe: one change at a time, equal tokens, two texts, two seeds; bits per byte on held-out text.

No change affects the cost of a token, so equal tokens mean equal time: 900 steps take three minutes on one core, and a
few seconds on a graphics card. `LLM_STUDIO_SCREEN` sets other values:
`steps=900 seeds=0,1 texts=tinyshakespeare.txt,french-novels only=decay,batch_8 threads=1`.
"""

import itertools
import math
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from llm_studio.config import Settings
from llm_studio.config.presets import load_preset
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens import batches
from llm_studio.data.tokens.dataset import Tokens, open_tokens
from llm_studio.device import choose
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.project import Project
from llm_studio.training.optim import optimizer
from llm_studio.training.optim.schedule import learning_rate
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from tests.benchmarks.learning import REAL_TEXTS

VOCABULARY = 2048
SLICE = 150_000
"""Bytes of the small text, over which a run makes many passes."""


@dataclass(frozen=True)
class Variant:
    """A recipe: changed settings, and options that aren't settings. `embedding` and `vectors` are factors for AdamW's
    learning rate for these parameters."""

    changes: dict[str, object]
    embedding: float = 1.0
    vectors: float = 1.0
    cautious: bool = False
    growing: bool = False


_LINEAR: dict[str, object] = {"training.schedule": "linear", "training.final_learning_rate_ratio": 0.0}
"""The schedule of planned runs, also used by all variants except those of the schedule."""


def _changed(changes: dict[str, object] | None = None, **others: Any) -> Variant:
    return Variant(_LINEAR | (changes or {}), **others)


VARIANTS = {
    "linear to zero": _changed(),
    "cosine to a tenth": Variant({}),
    "cosine to zero": Variant({"training.final_learning_rate_ratio": 0.0}),
    "constant, 40 % to zero": Variant(
        {"training.schedule": "constant", "training.decay_share": 0.4, "training.final_learning_rate_ratio": 0.0}
    ),
    "weight decay 0": _changed({"training.weight_decay": 0.0}),
    "weight decay 0.5": _changed({"training.weight_decay": 0.5}),
    "weight decay 2": _changed({"training.weight_decay": 2.0}),
    "cautious decay 0.1": _changed(cautious=True),
    "cautious decay 0.5": _changed({"training.weight_decay": 0.5}, cautious=True),
    "embedding rate x 0.5": _changed(embedding=0.5),
    "embedding rate x 2": _changed(embedding=2.0),
    "vector rate x 0.3": _changed(vectors=0.3),
    "vector rate x 3": _changed(vectors=3.0),
    "head of its own": _changed({"model.tie_embeddings": False}),
    "matrix rate x 0.5": _changed({"training.muon_learning_rate": 2.5e-3}),
    "matrix rate x 2": _changed({"training.muon_learning_rate": 1e-2}),
    "batch growing 8, 16, 32": _changed(growing=True),
    "batch 8": _changed({"training.batch_size": 8}),
    "batch 32": _changed({"training.batch_size": 32}),
    "dropout 0.1": _changed({"model.dropout": 0.1}),
    "dropout 0.1, decay 0.5": _changed({"model.dropout": 0.1, "training.weight_decay": 0.5}),
}


def main() -> None:
    """Print a line after each run."""
    wanted = dict(part.split("=", 1) for part in os.environ.get("LLM_STUDIO_SCREEN", "").split())
    steps, seeds = int(wanted.get("steps", 900)), [int(seed) for seed in wanted.get("seeds", "0,1").split(",")]
    texts = wanted.get("texts", "tinyshakespeare.txt,french-novels").split(",")
    only = wanted.get("only", "").replace("_", " ").split(",")
    names = [name for name in VARIANTS if any(part in name for part in only)]
    with tempfile.TemporaryDirectory() as folder:
        prepared = {text: _prepared(text, Path(folder)) for text in texts}
        for seed, name, text in itertools.product(seeds, names, texts):
            began = time.perf_counter()
            found = bits_per_byte(VARIANTS[name], prepared[text], steps, seed, int(wanted.get("threads", 0)))
            took = time.perf_counter() - began
            print(f"{name:26} {text:20} seed {seed}  {found:.4f} bits/byte  {took:.0f} s", flush=True)


def bits_per_byte(variant: Variant, project: Project, steps: int, seed: int, threads: int = 0) -> float:
    """Held-out bits per byte after `steps` steps of the preset's batch."""
    settings = load_preset("nano").replaced(
        {"training.max_steps": steps, "training.warmup_steps": max(1, steps // 20), "training.seed": seed,
         "training.threads": threads} | variant.changes
    )  # fmt: skip
    with open_tokens(project.processed) as tokens:
        return train_variant(variant, settings, tokens, Tokenizer.load(project.tokenizer_file), steps)


def _prepared(text: str, folder: Path) -> Project:
    project = projects.new_project(folder / text, "nano")
    sources.add_files(project, _file(text, folder), Job())
    train_tokenizer(project, Job(), VOCABULARY)
    prepare_tokens(project, Job())
    return project


def _file(text: str, folder: Path) -> Path:
    if text != "slice":
        return REAL_TEXTS / text
    made = folder / "slice.txt"
    made.write_bytes((REAL_TEXTS / "tinyshakespeare.txt").read_bytes()[:SLICE])
    return made


def train_variant(
    variant: Variant, settings: Settings, tokens: Tokens, tokenizer: Tokenizer, steps: int, base: int = 16
) -> float:
    compute, training = choose(settings.training), settings.training
    torch.set_num_threads(compute.threads)
    torch.manual_seed(training.seed)
    model = Transformer(settings.model, tokenizer.vocab_size).to(compute.device)
    built = optimizer.build(model, training, compute.dtype)
    budget = steps * base  # sequences
    done = step = 0
    while done < budget:
        size = _batch(variant, training.batch_size, done / budget)
        # the schedule follows the sequences seen, in units of the base batch
        place = max(1, round((done + size) / base))
        rate = learning_rate(place, training)
        _set_rates(built, variant, rate, training)
        ids = torch.from_numpy(batches.draw_sequences(tokens, training.seed, step, size, settings.model.max_seq_len))
        ids = ids.to(compute.device)
        with compute.autocast():
            loss = model.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip)
        _update(built, model, variant, rate, training)
        built.zero_grad()
        done += size
        step += 1
    return _measure(model, tokens, tokenizer, settings)


def _batch(variant: Variant, size: int, progress: float) -> int:
    return (8, 16, 32)[min(2, int(3 * progress))] if variant.growing else size


def _set_rates(built: optimizer.Optimizer, variant: Variant, rate: float, _training: object) -> None:
    built.set_learning_rate(rate)
    for group in built.parts[0].param_groups:  # AdamW's
        matrices = group["params"][0].dim() >= 2
        group["lr"] *= variant.embedding if matrices else variant.vectors


def _update(built: optimizer.Optimizer, model: Transformer, variant: Variant, rate: float, training: object) -> None:
    if not variant.cautious:
        built.step()
        return
    decays = [(group, group["weight_decay"]) for group in built.param_groups]
    before = {p: p.detach().clone() for group, decay in decays if decay for p in group["params"]}
    for group, _decay in decays:
        group["weight_decay"] = 0.0
    built.step()
    with torch.no_grad():
        for group, decay in decays:
            group["weight_decay"] = decay
            for p in group["params"] if decay else []:
                towards_zero = (before[p] - p) * before[p] > 0
                p.sub_(before[p] * towards_zero, alpha=float(group["lr"]) * decay)


@torch.no_grad()
def _measure(model: Transformer, tokens: Tokens, tokenizer: Tokenizer, settings: Settings) -> float:
    model.eval()
    ids: NDArray[np.int64] = batches.evaluation_sequences(tokens, 1500, settings.model.max_seq_len)
    lengths = np.array([0 if token == tokenizer.end_of_text else len(tokenizer.token_bytes(token))
                        for token in range(tokenizer.vocab_size)])  # fmt: skip
    device, total = next(model.parameters()).device, 0.0
    for part in torch.from_numpy(ids).split(64):
        rows = part.to(device)
        total += model.loss(rows[:, :-1], rows[:, 1:]).item() * len(part) * settings.model.max_seq_len
    return total / math.log(2) / int(lengths[ids[:, 1:]].sum())


if __name__ == "__main__":
    main()

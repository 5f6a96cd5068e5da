"""Effect of each ingredient of the recipe: validation losses at equal steps and at equal time.

One ingredient of a plain model is changed at a time. All variants learn the same sequences in the same order. Other
programs may slow a run down, so runs aren't compared by the clock: the cost of a step is measured separately, a few
steps of each variant alternately in one process, as the median of the ratios to the plain one. The loss at equal time
is then taken from the curve, at a number of steps divided by this ratio; it is pessimistic, since the learning rate
hasn't decreased to its final value there.

`LLM_STUDIO_RECIPE` sets other steps, presets, texts or ingredients: `steps=300 preset=mini text=stories only=Muon`.
"""

import itertools
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from llm_studio.config import Settings
from llm_studio.config.presets import load_preset
from llm_studio.data.tokens import batches
from llm_studio.data.tokens.dataset import Tokens, open_tokens
from llm_studio.jobs import Job
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from tests.benchmarks.learner import Learner
from tests.benchmarks.learning import REAL_TEXTS

STEPS = {"nano": 600, "mini": 200}
ROUNDS = 7
POINTS = 20
"""Number of points per curve."""
PLAIN = {
    "training.optimizer": "adamw", "model.qk_norm": False, "model.zero_init": False, "training.schedule": "cosine",
    "training.learning_rate": 3e-3, "training.final_learning_rate_ratio": 0.1,
}  # fmt: skip
MUON = {
    "training.optimizer": "muon", "training.muon_learning_rate": 0.01, "training.learning_rate": 6e-3,
    "model.qk_norm": True,
}  # fmt: skip
INGREDIENTS: dict[str, dict[str, object]] = {
    "AdamW, rate 3e-3": {},
    "AdamW, rate 1.5e-3": {"training.learning_rate": 1.5e-3},
    "AdamW, rate 6e-3": {"training.learning_rate": 6e-3},
    "AdamW, query/key norm": {"model.qk_norm": True},
    "Muon, query/key norm": MUON,
    "Muon, no query/key norm": MUON | {"model.qk_norm": False},
    "Muon, rate 2.5e-3": MUON | {"training.muon_learning_rate": 2.5e-3},
    "Muon, rate 5e-3": MUON | {"training.muon_learning_rate": 5e-3},
    "Muon, rate 2e-2": MUON | {"training.muon_learning_rate": 2e-2},
    "Muon, zero beginning": MUON | {"model.zero_init": True},
    "Muon, constant, then falling": MUON | {"training.schedule": "constant", "training.decay_share": 0.4},
    "Muon, falling to zero": MUON | {"training.final_learning_rate_ratio": 0.0},
    "Muon, squared ReLU": MUON | {"model.activation": "relu2"},
    "Muon, GELU": MUON | {"model.activation": "gelu"},
    "Muon, rate 5e-3, zero, constant": MUON
    | {
        "training.muon_learning_rate": 5e-3,
        "model.zero_init": True,
        "training.schedule": "constant",
        "training.decay_share": 0.4,
    },
}  # the others have one matrix fewer than SwiGLU: `_variant` widens them, to keep the number of parameters


def main() -> None:
    """Print a table for each preset and text."""
    wanted = dict(part.split("=", 1) for part in os.environ.get("LLM_STUDIO_RECIPE", "").split())
    for preset in wanted.get("preset", ",".join(STEPS)).split(","):
        steps = int(wanted.get("steps", STEPS[preset]))
        names = [n for n in INGREDIENTS if n == next(iter(INGREDIENTS)) or wanted.get("only", "") in n]
        variants = {name: _variant(preset, steps, INGREDIENTS[name]) for name in names}
        costs = _costs(variants)
        for text in wanted.get("text", "stories,tinyshakespeare.txt,french-novels").split(","):
            if text == "stories" or (REAL_TEXTS / text).exists():
                _table(preset, text, steps, variants, costs)
            else:
                print(f"{text} is not at hand")


def _table(preset: str, text: str, steps: int, variants: dict[str, Settings], costs: dict[str, float]) -> None:
    print(f"{preset}, {text}, {steps} steps", flush=True)
    with _tokens(preset, text) as (tokens, vocabulary):
        for name, settings in variants.items():
            curve = _curve(settings, tokens, vocabulary, steps)
            print(f"    {name:30} {costs[name]:5.2f} x time  {curve[-1][1]:.3f} at equal steps  "
                  f"{_at(curve, steps / costs[name]):.3f} at equal time", flush=True)  # fmt: skip


def _variant(preset: str, steps: int, changes: dict[str, object]) -> Settings:
    settings = load_preset(preset).replaced(
        PLAIN | {"training.max_steps": steps, "training.warmup_steps": steps // 20} | changes
    )
    wide = settings.model.activation != "swiglu"
    return settings.replaced({"model.d_ff": settings.model.d_ff * 3 // 2}) if wide else settings


@contextmanager
def _tokens(preset: str, text: str) -> Iterator[tuple[Tokens, int]]:
    """The tokens of a text, and the vocabulary size."""
    with tempfile.TemporaryDirectory() as folder:
        project = projects.new_project(Path(folder) / "p", preset)
        if text == "stories":
            sources.add_stories(project, "en", 20_000, Job())
        else:
            sources.add_files(project, REAL_TEXTS / text, Job())
        vocabulary = train_tokenizer(project, Job()).vocab_size
        prepare_tokens(project, Job())
        with open_tokens(project.processed) as tokens:
            yield tokens, vocabulary


def _curve(settings: Settings, tokens: Tokens, vocabulary: int, steps: int) -> list[tuple[int, float]]:
    learner, training, length = Learner(settings, vocabulary), settings.training, settings.model.max_seq_len
    measured = batches.evaluation_sequences(tokens, training.eval_sequences, length)
    curve: list[tuple[int, float]] = []
    for step in range(steps):
        learner.learn(batches.draw_sequences(tokens, training.seed, step, training.batch_size, length))
        if (step + 1) % max(1, steps // POINTS) == 0 or step + 1 == steps:
            curve.append((step + 1, learner.loss(measured)))
    return curve


def _at(curve: list[tuple[int, float]], step: float) -> float:
    """The loss at a step, interpolated between measured ones; after the last one, its loss."""
    for (before, high), (after, low) in itertools.pairwise(curve):
        if before <= step < after:
            return high + (low - high) * (step - before) / (after - before)
    return curve[-1][1]


def _costs(variants: dict[str, Settings]) -> dict[str, float]:
    """Time per step of each variant, as a multiple of the first one's."""
    vocabulary = next(iter(variants.values())).model.vocab_size
    learners = {name: Learner(settings, vocabulary) for name, settings in variants.items()}
    random = np.random.default_rng(0)
    ratios: dict[str, list[float]] = {name: [] for name in variants}
    for _round in range(ROUNDS):
        times: list[float] = []
        for name, settings in variants.items():
            shape = (settings.training.batch_size, settings.model.max_seq_len + 1)
            ids = random.integers(0, vocabulary, shape)
            times.append(min(learners[name].learn(ids) for _n in range(2)))
            ratios[name].append(times[-1] / times[0])
    return {name: statistics.median(found) for name, found in ratios.items()}

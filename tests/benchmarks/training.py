"""Training speed, in tokens per second, compared with a plain implementation of the same architecture."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from llm_studio.config import Settings
from llm_studio.config.presets import load_preset
from llm_studio.device import choose
from llm_studio.model.transformer import Transformer
from llm_studio.training.optim import optimizer
from tests.benchmarks.reference import PlainTransformer

ROUNDS = 5
STEPS = {"nano": 6, "mini": 2, "small": 1}
BATCH = {"nano": 32, "mini": 16, "small": 8}


def main() -> None:
    """Print tokens per second and their ratio for the presets that a CPU can train."""
    for preset, steps in STEPS.items():
        settings = load_preset(preset).replaced({"training.batch_size": BATCH[preset]})
        compute = choose(settings.training)
        torch.manual_seed(0)
        plain = PlainTransformer(settings.model, settings.model.vocab_size)
        ours, likewise = (Transformer(settings.model, settings.model.vocab_size) for _copy in range(2))
        assert sum(p.numel() for p in plain.parameters()) == ours.parameter_count(), "not the same architecture"
        adamw = torch.optim.AdamW(plain.parameters(), lr=3e-4)
        plain_step = _step(plain, adamw, settings, torch.autocast("cpu", enabled=False))
        our_step = _step(ours, optimizer.build(ours, settings.training, compute.dtype), settings, compute.autocast())
        same = settings.replaced({"training.optimizer": "adamw"})
        with_adamw = _step(likewise, optimizer.build(likewise, same.training), settings, compute.autocast())
        slow, fast, alike = _in_turns(steps, plain_step, our_step, with_adamw)
        tokens = settings.training.batch_size * settings.model.max_seq_len
        print(f"{preset:6} {settings.training.batch_size} x {settings.model.max_seq_len}: plain float32 "
              f"{tokens / slow:8,.0f} tokens/s, ours ({compute.precision}) {tokens / fast:8,.0f} tokens/s, "
              f"{slow / fast:.2f} times, with AdamW too {slow / alike:.2f}", flush=True)  # fmt: skip


def _step(model: nn.Module, adamw: torch.optim.Optimizer, settings: Settings, autocast) -> Callable[[], None]:
    shape = (settings.training.batch_size, settings.model.max_seq_len + 1)
    ids = torch.randint(0, settings.model.vocab_size, shape)

    def step() -> None:
        with autocast:
            loss = model.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        adamw.zero_grad()

    return step


def _in_turns(steps: int, *ways: Callable[[], None]) -> list[float]:
    """Median seconds per step of each, measured alternately."""
    times: list[list[float]] = [[] for _way in ways]
    for round_number in range(ROUNDS + 1):
        for step, kept in zip(ways, times, strict=True):
            began = time.perf_counter()
            for _n in range(steps):
                step()
            if round_number:
                kept.append((time.perf_counter() - began) / steps)
    return [statistics.median(kept) for kept in times]

"""The web page: its size, and tokens per second in headless Chromium, with WebAssembly SIMD and in plain JavaScript.

Limits: `nano` under 2 MB, `small` under 25 MB, at 50 tokens/s with SIMD and 15 without. The figures are medians of
several texts of 100 tokens, each after half a context. Other programs affect the first figure, tokens per second, but
not the second, tokens per second of processor time.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from llm_studio.config.presets import load_preset
from tests.tokenizers import of_pairs
from tests.web.browser import Browser, browser
from tests.web.models import checkpoint, page_of

BARS = {"nano": (2, None, None), "mini": (None, None, None), "small": (25, 50, 15)}
"""Limits: megabytes, tokens/s with SIMD, and tokens/s without."""
ROUNDS, TOKENS = 5, 100
_MEASURE = """(() => {
  const model = page.model, half = Math.floor(model.settings.max_seq_len / 2), random = randomNumbers(1);
  const id = () => Math.floor(random() * model.settings.vocab_size);
  model.context = [];
  for (let i = 0; i < half - TOKENS / 2; i++) model.read(id(), false);
  const began = performance.now();
  for (let i = 0; i < TOKENS; i++) distribution(model.read(id(), true), model.context, page.sampling());
  return 1000 * TOKENS / (performance.now() - began);
})()""".replace("TOKENS", str(TOKENS))


def main() -> None:
    """Print sizes and speeds."""
    print(f"load of the machine: {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "")
    with tempfile.TemporaryDirectory() as folder, browser() as page:
        for name, (megabytes, fast, plain) in BARS.items():
            settings = load_preset(name).model
            made = checkpoint(Path(folder) / name, settings, of_pairs(settings.vocab_size), scale=0.02)
            file = page_of(made, Path(folder) / f"{name}.html")
            _show(name, "size", file.stat().st_size / 1e6, "MB", megabytes, "under")
            for fragment, title, bar in (("", "WebAssembly SIMD", fast), ("#javascript", "JavaScript", plain)):
                page.open(file, fragment)
                page.run(_MEASURE)  # until the browser has compiled it
                found = [_measured(page) for _ in range(ROUNDS)]
                speed, alone = (statistics.median(column) for column in zip(*found, strict=True))
                _show(name, title, speed, f"tokens/s, {alone:7.1f} by processor time", bar, "at least")


def _measured(page: Browser) -> tuple[float, float]:
    """Tokens per second, and per second of processor time."""
    spent, began = _processor_time(page), time.perf_counter()
    speed = page.run(_MEASURE)
    seconds, spent = time.perf_counter() - began, _processor_time(page) - spent
    return speed, speed * seconds / spent


def _processor_time(page: Browser) -> float:
    """Processor time of the browser and its pages, in seconds."""
    processes = psutil.Process(page.pid).children(recursive=True)
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _show(name: str, title: str, value: float, unit: str, bar: int | None, relation: str) -> None:
    limit = "" if bar is None else f"   (bar: {relation} {bar})"
    print(f"{name:<6} {title:<18} {value:8.1f} {unit}{limit}", flush=True)

"""The web page: its size, and tokens per second in headless Chromium, with WebAssembly SIMD and in plain JavaScript.

Bars: `nano` under 2 MB, `small` under 25 MB, at 50 tokens/s with SIMD and 15 without. The median of several texts of
100 tokens, with half of the context read before; on a busy machine, also per second of the browser's processor time.
"""

import os
import statistics
import tempfile
from pathlib import Path

from llm_studio.config.presets import load_preset
from tests.tokenizers import of_pairs
from tests.web.browser import browser
from tests.web.models import checkpoint, page_of

BARS = {"nano": (2, None, None), "mini": (None, None, None), "small": (25, 50, 15)}
"""Megabytes, tokens/s with SIMD and without."""
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
                speed = statistics.median(page.run(_MEASURE) for _ in range(ROUNDS))
                _show(name, title, speed, "tokens/s", bar, "at least")


def _show(name: str, title: str, value: float, unit: str, bar: int | None, relation: str) -> None:
    limit = "" if bar is None else f"   (bar: {relation} {bar})"
    print(f"{name:<6} {title:<18} {value:8.1f} {unit}{limit}", flush=True)

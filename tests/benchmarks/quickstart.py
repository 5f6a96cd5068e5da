"""The real `llm-studio quickstart`, as a newcomer types it: its time and results."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAR = 180


def main() -> None:
    """Print seconds, losses and stories for both languages."""
    for language in ("en", "fr"):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "llm_studio", "quickstart", str(Path(folder) / "q")]
            began = time.perf_counter()
            done = subprocess.run(
                [*command, "--lang", language, "--json"], stdout=subprocess.PIPE, encoding="utf-8", check=True
            )
            seconds = time.perf_counter() - began
        records = [json.loads(line) for line in done.stdout.splitlines()]
        figures = records[-1]["figures"]
        steps = max(record["step"] for record in records if record["event"] == "step")
        print(f"{language}: {seconds:.0f} s (bar {BAR} s), {steps} steps; loss: unigram {figures['unigram_loss']:.2f}, "
              f"bigram {figures['bigram_loss']:.2f}, model {figures['loss']:.2f}", flush=True)  # fmt: skip
        for story in figures["stories"]:
            print(f"    {' '.join(story.split())}")

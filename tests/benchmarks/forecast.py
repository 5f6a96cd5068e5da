"""Compares the forecast of memory and time with a real run, each preset in a separate process.

`python -m tests.benchmarks forecast` does nano, mini and small; LLM_STUDIO_PRESETS names others. Memory is measured in
addition to that of the process after importing torch; the texts are random words, which cost the same as real ones.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = {"nano": 150, "mini": 20, "small": 6, "medium": 4, "gpt2": 3}


def main() -> None:
    """Print forecast, measurement and error for each preset."""
    for preset in os.environ.get("LLM_STUDIO_PRESETS", "nano mini small").split():
        with tempfile.TemporaryDirectory() as folder:
            made = _apart(preset, folder)
            if made.returncode:
                print(f"{preset}: {made.stderr[-2000:]}")
                continue
            found = json.loads(made.stdout.splitlines()[-1])
            measured = train_apart(folder, preset)
        memory, seconds = measured["memory"], measured["seconds"]
        for name, key, real, unit in (
            ("memory, formula", "memory_formula", memory / 1e6, "MB"),
            ("memory, probe", "memory", memory / 1e6, "MB"),
            ("time, formula", "seconds_formula", seconds, "s/step"),
            ("time, probe", "seconds", seconds, "s/step"),
        ):
            summary = found[key] / 1e6 if unit == "MB" else found[key]
            error = 100 * (summary / real - 1)
            print(f"{preset:6} {name:16} {summary:9.3f} {unit:6} measured {real:9.3f}  {error:+.0f} %", flush=True)
        print(f"{preset:6} fit: {found['fit']}", flush=True)


def train_apart(folder: str, preset: str) -> dict[str, float]:
    """A real run in a separate process: peak bytes beyond those of torch, median seconds per step."""
    made = _apart(preset, folder, "train")
    made.check_returncode()
    return json.loads(made.stdout.splitlines()[-1])


def _apart(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.benchmarks.forecast", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def prepare_and_report(preset: str, folder: str) -> None:
    """Create a project with random words and print its forecast."""
    from llm_studio.jobs import Job
    from llm_studio.workflows import projects
    from llm_studio.workflows.data import sources
    from llm_studio.workflows.tokenizer.prepare import prepare_tokens
    from llm_studio.workflows.tokenizer.train import train_tokenizer
    from llm_studio.workflows.training import forecast

    project = projects.new_project(Path(folder) / "p", preset)  # type: ignore[arg-type]
    projects.change_settings(project, {"data.remove_duplicates": False})
    settings = project.settings()
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(2 * settings.model.vocab_size)]
    source = Path(folder) / "words.txt"
    source.write_text("\n\n".join(" ".join(chance.choices(words, k=300)) for _ in range(1200)), encoding="utf-8")
    sources.add_files(project, source, Job(), separator="blank")
    train_tokenizer(project, Job())
    prepare_tokens(project, Job())
    first = forecast.forecast(project, settings)
    measured = forecast.measured(project, settings, Job())
    began = time.perf_counter()
    fit = forecast.fit(project, settings, Job())
    print(
        json.dumps(
            {
                "memory_formula": first.memory,
                "memory": measured.memory,
                "seconds_formula": first.seconds_per_step,
                "seconds": measured.seconds_per_step,
                "fit": f"{fit.micro_batches} x {fit.batch_size} at {fit.tokens_per_second:,.0f} tokens/s, tried "
                f"{[attempt.batch_size for attempt in fit.tried]} in {time.perf_counter() - began:.1f} s",
            }
        )
    )


def train_here(preset: str, folder: str) -> None:
    """Train some steps and print their memory and time."""
    import psutil
    import torch

    before = psutil.Process().memory_info().rss if torch.__version__ else 0
    from llm_studio.events import Event, StepDone
    from llm_studio.jobs import Job
    from llm_studio.project import Project
    from llm_studio.training.memory import peak_bytes
    from llm_studio.workflows.training.train import train

    times: list[float] = []
    last = time.perf_counter()

    def heard(event: Event) -> None:
        nonlocal last
        if isinstance(event, StepDone):
            times.append(time.perf_counter() - last)
        last = time.perf_counter()

    project = Project.open(Path(folder) / "p")
    steps = STEPS[preset]
    changes = {"training.max_steps": steps, "training.warmup_steps": 1, "training.eval_interval": steps,
               "training.checkpoint_interval": max(2, steps // 2)}  # fmt: skip
    train(project, Job(heard), changes=changes)
    print(json.dumps({"memory": peak_bytes() - before, "seconds": statistics.median(times[1:])}))


if __name__ == "__main__":
    if len(sys.argv) > 3:
        train_here(*sys.argv[1:3])
    else:
        prepare_and_report(*sys.argv[1:3])

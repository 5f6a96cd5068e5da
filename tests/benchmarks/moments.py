"""Cost of a run's timeline, and precision of its weights: `python -m tests.benchmarks moments`.

The built-in stories, preset nano with its own settings except the number of steps. The costs, as ratios:
- the seconds that texts and weights took within the run, and the processor time of the texts, which depends less on
  other programs that start and stop;
- the processor time of a whole run compared with one without a timeline, measured alternately.

Then the time to read the timeline, and bits per byte with the original weights, in float16 and in int8.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, moments, registry, snapshots
from llm_studio.training.progress import TrainingProgress
from llm_studio.training.timeline import Timeline
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training.evaluate import evaluate
from llm_studio.workflows.training.moments import read_moments
from llm_studio.workflows.training.train import train

STEPS = int(os.environ.get("LLM_STUDIO_STEPS", "2000"))
"""Steps of the run whose parts are measured; by default those of the preset."""
TURNS, SHORT = 2, 400
"""Number of pairs of runs with and without a timeline, and their steps."""
STORIES = 12_000
TOKENS = 200_000
"""Number of tokens evaluated for bits per byte."""


def main() -> None:
    """Print costs, times and losses."""
    with tempfile.TemporaryDirectory() as folder:
        project = projects.new_project(Path(folder) / "p", "nano", "en")
        sources.add_stories(project, "en", STORIES, Job())
        train_tokenizer(project, Job())
        prepare_tokens(project, Job())
        _parts(project)
        _reading(project)
        _precision(project)
        _turns(project)


def _parts(project: Project) -> None:
    """Print the time that texts and weights take within one run."""
    spent = {"texts": 0.0, "all": 0.0, "texts' processor time": 0.0}

    def timed(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def action(*arguments: Any) -> Any:
            began, worked = time.perf_counter(), time.process_time()
            result = real(*arguments)
            spent[name] += time.perf_counter() - began
            if name == "texts":
                spent["texts' processor time"] += time.process_time() - worked
            return result

        return action

    worked = time.process_time()
    real = Timeline.record, Timeline.write_texts
    Timeline.record, Timeline.write_texts = timed("all", real[0]), timed("texts", real[1])
    try:
        run = train(project, Job(), run="whole", changes={"training.max_steps": STEPS}).run
    finally:
        Timeline.record, Timeline.write_texts = real
    worked = 100 * spent["texts' processor time"] / (time.process_time() - worked)
    texts, weights = (100 * seconds / run.seconds for seconds in (spent["texts"], spent["all"] - spent["texts"]))
    folder = registry.folder(project, "whole")
    found, kept = moments.read(folder), snapshots.listed(folder)
    lengths = [len(text.ids) for moment in found for text in moment.texts if not text.ended]
    sizes = (folder / moments.FILE).stat().st_size, sum(path.stat().st_size for path in kept.values())
    print(f"nano, {run.step} steps in {run.seconds:.0f} s: {len(found)} moments with {len(found[-1].texts)} texts of "
          f"{statistics.median(lengths):.0f} tokens, weights of {len(kept)}")  # fmt: skip
    print(f"   texts took {spent['texts']:.2f} s, {texts:.2f} % of the run, and {worked:.2f} % of its processor time; "
          f"weights {weights:.2f} %; {sizes[0] / 1e3:.0f} kB and {sizes[1] / 1e6:.0f} MB on the disk",
          flush=True)  # fmt: skip


def _reading(project: Project) -> None:
    times: list[float] = []
    for _turn in range(9):
        began = time.perf_counter()
        found = read_moments(project, "whole")
        times.append(time.perf_counter() - began)
    print(f"   read in {1000 * statistics.median(times):.0f} ms ({len(found.moments)} moments)", flush=True)  # pyright: ignore[reportPossiblyUnboundVariable]


def _precision(project: Project) -> None:
    """Compare the same weights in float32, float16 and int8."""
    saved = checkpoint.listed(registry.folder(project, "whole"))[-1]
    tokenizer, losses = saved.tokenizer_json(), {"float32": _bits(project, str(saved.path))}
    size = 2 * sum(tensor.numel() for tensor in saved.weights().values())
    for name, limit in (("float16", 100 * size), ("int8", 1)):
        run = project.checkpoints / name
        snapshots.save(run, saved.step, saved.weights(), limit, saved.settings(), tokenizer)
        path = snapshots.listed(run)[saved.step]
        losses[name] = _bits(project, str(path))
        print(f"   {name}: {path.stat().st_size / 1e6:.2f} MB", flush=True)
    figures = ", ".join(f"{name} {bits:.5f}" for name, bits in losses.items())
    print(f"   bits per byte: {figures}; int8 costs {losses['int8'] - losses['float32']:+.5f}", flush=True)


def _bits(project: Project, reference: str) -> float:
    return evaluate(project, Job(), reference, (), TOKENS).bits_per_byte


def _nothing(self: Timeline, now: TrainingProgress) -> None:
    """Replaces `Timeline.record`: no timeline."""


def _turns(project: Project) -> None:
    """Print the processor time of runs with and without a timeline."""
    changes = {"training.max_steps": SHORT, "training.checkpoint_interval": SHORT, "training.eval_interval": SHORT}
    ratios: list[float] = []
    for turn in range(TURNS):
        took: dict[bool, float] = {}
        for with_it in (True, False) if turn % 2 else (False, True):
            real = Timeline.record
            if not with_it:
                Timeline.record = _nothing
            began = time.process_time()
            try:
                train(project, Job(), run=f"turn-{turn}-{with_it}", changes=changes)
            finally:
                Timeline.record = real
            took[with_it] = time.process_time() - began
        ratios.append(took[True] / took[False])
        print(f"   {SHORT} steps: {took[False]:.1f} s of processor time, with a timeline {took[True]:.1f} s")
    print(f"   ratio {statistics.median(ratios):.3f}; a run of {SHORT} steps is short: its texts may take some time "
          "more than 1 %", flush=True)  # fmt: skip

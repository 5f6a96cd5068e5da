"""Cost of inspecting a model: `nano` and `small` on a text as long as their context, without the window; then in the
window while a model trains, see `inside_window.py`.

Each is measured in a separate process, on two cores, after a text of two tokens, so that what torch loads at its first
use isn't counted. Times are medians, followed by half of the processor time, which is what an idle machine would take;
memory is the peak in addition to the process with the loaded model. Limits for `small` with 512 tokens: 2 s and 300 MB
for the trace with everything computed from it. For a moment, from a snapshot on disk to the logit lens of a text:
300 ms for `nano`, 2 s for `small`; the same for the attention of a moment, which is drawn before the scores of its
heads are known.
"""

import contextlib
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from llm_studio.config.presets import load_preset
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.project import Project
from llm_studio.runs import registry, snapshots
from llm_studio.training.memory import peak_bytes, resident_bytes
from llm_studio.ui.views.levels import attention_levels
from llm_studio.workflows.inside.session import InsideSession, open_session
from tests.benchmarks import inside_window
from tests.runs.models import save_run
from tests.tokenizers import byte_level, of_pairs

ROUNDS, CORES = 5, 2
BARS = {"nano": (None, 0.3), "small": (2.0, 2.0)}
"""Limits in seconds: for everything, and for a moment."""
MEMORY_BAR = 300e6


def main() -> None:
    """Print times and memory of both presets, then the delays of the window."""
    print(f"load of the machine: {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "")
    for preset, (everything, moment) in BARS.items():
        with tempfile.TemporaryDirectory() as folder:
            _project(preset, Path(folder) / "project")
            found, peak = _apart(preset, folder)
        for name, (seconds, used) in found.items():
            bar = {"everything": everything, "a moment": moment, "a moment, its attention": moment}.get(name)
            limit = f"   (bar: {1000 * bar:.0f})" if bar else ""
            print(f"{preset}: {name:<44} {1000 * seconds:7.0f} ms  {1000 * used / CORES:7.0f} ms{limit}")
        print(f"{preset}: {'memory above the model':<44} {peak / 1e6:7.0f} MB   (bar: {MEMORY_BAR / 1e6:.0f})")
    inside_window.main()


def _apart(preset: str, folder: str) -> tuple[dict[str, tuple[float, float]], int]:
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_measure, args=(preset, folder, there))
    process.start()
    found = here.recv()
    process.join()
    return found


def _measure(preset: str, folder: str, answer: Connection) -> None:
    torch.set_num_threads(CORES)
    project = Project.open(Path(folder) / "project")
    session = open_session(project, Job(), "run/0")
    context = session.facts.context
    generator = torch.Generator().manual_seed(0)
    texts = [torch.randint(3, session.facts.vocab_size, (context,), generator=generator).tolist()
             for _round in range(ROUNDS + 1)]  # fmt: skip
    _everything(session, texts[0][:2])
    _forget_peak()
    before = resident_bytes()
    found = {"everything": _median([lambda text=text: _everything(session, text) for text in texts])}
    peak = peak_bytes() - before
    found |= {
        f"  {name}": _median([lambda text=text, view=view: view(text) for text in texts])
        for name, view in _views(session).items()
    }
    found["a moment"] = _median([lambda text=text: _moment(session, text) for text in texts])
    found["a moment, its attention"] = _median(
        [lambda text=text: _attention_of_moment(session, text) for text in texts]
    )
    found["a moment, its tokenizer loaded too"] = _median([lambda: open_session(project, Job(), "run/0")] * ROUNDS)
    answer.send((found, peak))


def _views(session: InsideSession) -> dict[str, Callable[[list[int]], object]]:
    """The views by name; all after the first use its trace."""
    from llm_studio.inference.heads import score_heads
    from llm_studio.inference.trace import trace

    return {
        "the trace alone": lambda text: trace(session.model, text),
        "surprise": lambda text: session.surprise(text, Job()),
        "attention of all heads, with the trace": lambda text: session.attention(text, Job()),
        "logit lens, with the trace": lambda text: session.lens(text, Job()),
        "contributions to a logit, with the trace": lambda text: session.contributions(text, Job(), len(text) - 1),
        "scores of all heads": lambda _text: score_heads(session.model, 0),
        "neighbours of a token": lambda text: session.similar_tokens(text[0]),
        "map of all tokens": lambda _text: session.embedding_map(),
    }


def _everything(session: InsideSession, text: list[int]) -> None:
    """The trace and everything computed from it; all results are kept in memory at the same time."""
    held = [
        session.attention(text, Job()), session.lens(text, Job()), session.surprise(text, Job()),
        session.contributions(text, Job(), len(text) - 1),
    ]  # fmt: skip
    assert held


def _moment(session: InsideSession, text: list[int]) -> None:
    session.at("run/1", Job()).lens(text, Job())


def _attention_of_moment(session: InsideSession, text: list[int]) -> None:
    attention_levels(session.at("run/1", Job()).attention(text, Job()))


def _median(runs: list[Callable[[], object]]) -> tuple[float, float]:
    """Median seconds of a call, and of its processor time."""
    seconds: list[float] = []
    used: list[float] = []
    for run in runs:
        began, before = time.perf_counter(), time.process_time()
        run()
        seconds.append(time.perf_counter() - began)
        used.append(time.process_time() - before)
    return statistics.median(seconds), statistics.median(used)


def _forget_peak() -> None:
    """Reset the peak memory of this process, if the system supports it (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _project(preset: str, root: Path) -> None:
    """A project with a tokenizer of the preset's size and snapshots of random weights."""
    settings = load_preset(preset)
    project = Project.create(root, settings)
    text = of_pairs(settings.model.vocab_size, byte_level())
    save_run(project, "run", "2024-01-01T00:00:00")
    for step in range(2):
        model = Transformer(settings.model, settings.model.vocab_size)
        snapshots.save(registry.folder(project, "run"), step, model.state_dict(), 10**9, settings, text)

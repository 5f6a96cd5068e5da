"""`prepare` compared with the bare library on the same texts, and its peak memory: on ten times the texts, and on one
long line.

Each figure comes from a separate process: a large `encode_batch` slows down everything after it in the same process.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from llm_studio.config import Settings
from llm_studio.data.corpus.corpus import Corpus
from llm_studio.data.sources.stories.grammar import generate_stories
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens import dataset
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer

STORIES = 20_000
ROUNDS = 3
LINE_MEGABYTES = 200
LEARNED_MEGABYTES = 50


def main() -> None:
    """Print speeds and memory."""
    with tempfile.TemporaryDirectory() as folder:
        project = projects.new_project(Path(folder) / "p", "nano", "en")
        sources.add_stories(project, "en", STORIES, Job())
        train_tokenizer(project, Job(), 4096)
        _speed(project.root)
        for stories in (STORIES, 10 * STORIES):
            sources.add_stories(project, "en", stories, Job())
            figures = _in_a_process("whole", project.root)
            print(f"prepare on {figures['megabytes']:6.0f} MB: peak memory {figures['peak_mb']:.0f} MB, "
                  f"{figures['megabytes'] / figures['seconds']:.1f} MB/s with the scan")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        write_line(Path(folder) / "line.txt", LINE_MEGABYTES)
        figures = _in_a_process("line", Path(folder))
        steps = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in figures["seconds"].items())
        print(f"one line of {LINE_MEGABYTES} MB, tokenizer from {LEARNED_MEGABYTES} MB: {steps}; peak memory "
              f"{figures['peak_mb']:.0f} MB, of its child {figures['child_mb']:.0f} MB")  # fmt: skip


def write_line(path: Path, megabytes: int) -> None:
    """Write a file of about `megabytes` that contains a single line of words."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        written = seed = 0
        while written < megabytes * 1_000_000:
            for story in generate_stories("en", 10_000, seed):
                written += stream.write(" ".join(story.split()) + " ")
                if written >= megabytes * 1_000_000:
                    break
            seed += 1


def _in_a_process(what: str, root: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.preparing", what, str(root)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _speed(root: Path) -> None:
    bare, ours = [], []
    for _round in range(ROUNDS):
        bare.append(_in_a_process("bare", root))
        ours.append(_in_a_process("ours", root))
    megabytes = bare[0]["megabytes"]
    alone, scan, prepare = (
        statistics.median(figures[name] for figures in rounds)
        for rounds, name in ((bare, "seconds"), (ours, "scan"), (ours, "seconds"))
    )
    bare_speed, our_speed, whole = megabytes / alone, megabytes / prepare, megabytes / (scan + prepare)
    print(f"encode_batch alone {bare_speed:.1f} MB/s; prepare, from Parquet to train.bin, {our_speed:.1f} MB/s "
          f"({our_speed / bare_speed:.0%}); with its scan {whole:.1f} MB/s ({whole / bare_speed:.0%})")  # fmt: skip


# --- In the other process ------------------------------------------------------------------------------------


def bare(root: Path) -> dict[str, Any]:
    """Seconds that the library alone takes for all texts, already in memory."""
    import tokenizers

    project = Project.open(root)
    plan = Corpus(project.raw, Settings().data).plan(Job())
    documents = [stretch.text for side in ("train", "validation") for stretch in plan.texts(side)]
    library = tokenizers.Tokenizer.from_str(Tokenizer.load(project.tokenizer_file).to_json())
    began = time.perf_counter()
    for start in range(0, len(documents), 1000):
        library.encode_batch(documents[start : start + 1000])
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "megabytes": sum(len(text.encode()) for text in documents) / 1e6}


def ours(root: Path) -> dict[str, Any]:
    """Seconds of the scan and of the steps after it."""
    project = Project.open(root)
    tokenizer, corpus = Tokenizer.load(project.tokenizer_file), Corpus(project.raw, Settings().data)
    began = time.perf_counter()
    plan = corpus.plan(Job())
    scanned = time.perf_counter()
    dataset.write_tokens(plan, tokenizer, project.processed, corpus.fingerprint(), Job())
    return {"scan": scanned - began, "seconds": time.perf_counter() - scanned}


def whole(root: Path) -> dict[str, Any]:
    """The whole step as in the program, with its peak memory."""
    began = time.perf_counter()
    prepared = prepare_tokens(Project.open(root), Job())
    return {"seconds": time.perf_counter() - began, "peak_mb": peak_mb(), "megabytes": prepared.characters / 1e6}


def line(folder: Path) -> dict[str, Any]:
    """From the file `line.txt` to tokens: seconds per step, peak memory, also that of the tokenizer's child process."""
    project = projects.new_project(folder / "p", "nano", "en")
    projects.change_settings(project, {"tokenizer.max_megabytes": LEARNED_MEGABYTES})
    base = peak_mb()
    seconds: dict[str, float] = {}
    for name, step in {
        "download": lambda: sources.add_files(project, folder / "line.txt", Job()),
        "train-tokenizer": lambda: train_tokenizer(project, Job()),
        "prepare": lambda: prepare_tokens(project, Job()),
    }.items():
        began = time.perf_counter()
        step()
        seconds[name] = time.perf_counter() - began
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    tokens = Project.open(project.root).processed / "train.bin"
    return {"seconds": seconds, "base_mb": base, "peak_mb": peak_mb(), "child_mb": child,
            "token_bytes": tokens.stat().st_size}  # fmt: skip


def peak_mb() -> float:
    """Peak memory of this process in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage includes memory of the parent when it started this process
        kept = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(kept.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    print(json.dumps({"bare": bare, "ours": ours, "whole": whole, "line": line}[sys.argv[1]](Path(sys.argv[2]))))

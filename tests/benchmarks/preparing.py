"""`prepare` beside the bare library on the same texts, and its peak memory when the corpus grows."""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from llm_studio.config import Settings
from llm_studio.data import dataset
from llm_studio.data.corpus import Corpus
from llm_studio.data.tokenizer import Tokenizer
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects, texts

STORIES = 20_000
ROUNDS = 3


def main() -> None:
    """Print speeds and memory."""
    with tempfile.TemporaryDirectory() as folder:
        project = projects.new_project(Path(folder) / "p", "nano", "en")
        texts.add_stories(project, "en", STORIES, Job())
        texts.train_tokenizer(project, Job(), 4096)
        _speed(project)
        for stories in (STORIES, 10 * STORIES):
            texts.add_stories(project, "en", stories, Job())
            command = [sys.executable, "-m", "tests.benchmarks.preparing", str(project.root)]
            figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(f"prepare on {figures['megabytes']:6.0f} MB: peak memory {figures['peak_mb']:.0f} MB, "
                  f"{figures['megabytes'] / figures['seconds']:.1f} MB/s with the scan")  # fmt: skip


def _speed(project: Project) -> None:
    tokenizer = Tokenizer.load(project.tokenizer_file)
    corpus = Corpus(project.raw, Settings().data)
    plan = corpus.plan(Job())
    documents = [stretch.text for side in ("train", "validation") for stretch in plan.texts(side)]
    megabytes = sum(len(text.encode()) for text in documents) / 1e6
    bare, ours, scan = [], [], []
    import tokenizers

    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    for _round in range(ROUNDS):
        began = time.perf_counter()
        for start in range(0, len(documents), 1000):
            library.encode_batch(documents[start : start + 1000])
        bare.append(time.perf_counter() - began)
        began = time.perf_counter()
        plan = corpus.plan(Job())
        scan.append(time.perf_counter() - began)
        began = time.perf_counter()
        dataset.prepare(plan, tokenizer, project.processed, corpus.fingerprint(), Job())
        ours.append(time.perf_counter() - began)
    bare_speed, our_speed = megabytes / statistics.median(bare), megabytes / statistics.median(ours)
    whole = megabytes / (statistics.median(ours) + statistics.median(scan))
    print(f"encode_batch alone {bare_speed:.1f} MB/s; prepare, from Parquet to train.bin, {our_speed:.1f} MB/s "
          f"({our_speed / bare_speed:.0%}); with its scan {whole:.1f} MB/s ({whole / bare_speed:.0%})")  # fmt: skip


def measured(root: Path) -> None:
    """Prepare the project at `root` in this process and print its figures as JSON."""
    began = time.perf_counter()
    prepared = texts.prepare(Project.open(root), Job())
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "megabytes": prepared.characters / 1e6}))


if __name__ == "__main__":
    measured(Path(sys.argv[1]))

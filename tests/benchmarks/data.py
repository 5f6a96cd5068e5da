"""From texts to tokens: peak memory at three sizes, which must not grow, and speed compared with the bare libraries.

    python -m tests.benchmarks.data [FACTOR]       sizes of 1, 2 and 4 GB times FACTOR
    LLM_STUDIO_DATA_FACTOR=0.05 python -m tests.benchmarks data

Each figure comes from a separate process; the memory includes its child processes and is sampled fifty times a second.
The texts are built-in stories. Every third needs cleaning: decomposed accents, trailing blanks, blank lines, remains of
HTML or page headers; some documents have several megabytes. At the end, PDF and EPUB in pages per second (`pages.py`).
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from llm_studio.data.sources.stories.grammar import generate_stories
from llm_studio.files import folder_size
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects
from tests.benchmarks import pages

GIGABYTES = (1, 2, 4)
SPEED_MEGABYTES = 200
"""Megabytes of text on which the speed is measured, times the factor, but at least 10."""
ROUNDS = 3
VOCABULARY = 4096
ALL_RULES = {
    "data.remove_html": True, "data.remove_repeated_lines": True, "data.languages": ["en"],
    "data.remove_near_duplicates": True,
}  # fmt: skip
_MEGA = 1_000_000


def main() -> None:
    """Print memory and speed."""
    factor = float(sys.argv[1] if __name__ == "__main__" and sys.argv[1:] else os.environ.get(
        "LLM_STUDIO_DATA_FACTOR", "1"))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        projects_by_size = [_written(Path(folder), gigabytes * factor * 1000) for gigabytes in GIGABYTES]
        for name, rules in (("rules of a new project", {}), ("all rules", ALL_RULES)):
            for made in projects_by_size:
                _memory(*made, name, rules)
    with tempfile.TemporaryDirectory() as folder:
        _speed(Path(folder), max(10, SPEED_MEGABYTES * factor))
    pages.main()


def _written(folder: Path, megabytes: float) -> tuple[Project, int, float]:
    """A project with about `megabytes` of texts, its number of documents and its exact megabytes."""
    project = projects.new_project(folder / f"{megabytes:g}", "nano", "en")
    made = _in_a_process("write", project.root, str(megabytes))
    print(f"{made['megabytes']:.0f} MB, {made['documents']} documents, written in {made['peak_mb']:.0f} MB of memory",
          flush=True)  # fmt: skip
    return project, made["documents"], made["megabytes"]


def _memory(project: Project, documents: int, megabytes: float, name: str, rules: dict[str, object]) -> None:
    projects.change_settings(project, {**rules, "tokenizer.max_megabytes": 50})
    steps = [_in_a_process(step, project.root) for step in ("plan", "tokenizer", "prepare")]
    summary = ", ".join(f"{step['name']} {step['peak_mb']:.0f} MB in {step['seconds']:.0f} s" for step in steps)
    speed, each = megabytes / steps[0]["seconds"], steps[0]["plan_bytes"] / documents
    print(f"{megabytes:.0f} MB, {name}: peak memory {summary}; plan {speed:.1f} MB/s, {each:.1f} bytes a document, "
          f"{steps[0]['kept']} kept", flush=True)  # fmt: skip


def _speed(folder: Path, megabytes: float) -> None:
    """Compare all steps with the bare libraries, measured alternately; the ratio is that of the medians."""
    project = projects.new_project(folder / "p", "nano", "en")
    projects.change_settings(project, {"tokenizer.max_megabytes": 20})
    written = _in_a_process("write", project.root, str(megabytes))["megabytes"]
    _in_a_process("tokenizer", project.root)
    ours, bare = [], []
    for _round in range(ROUNDS):
        bare.append(_in_a_process("bare", project.root)["seconds"])
        ours.append(_in_a_process("prepare", project.root)["seconds"])
    fast, slow = sorted(bare)[ROUNDS // 2], sorted(ours)[ROUNDS // 2]
    print(f"{written:.0f} MB: bare libraries {written / fast:.1f} MB/s; texts to tokens, with the scan, "
          f"{written / slow:.1f} MB/s: {fast / slow:.0%}")  # fmt: skip


def _in_a_process(what: str, *arguments: str | Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.data", "--step", what, *map(str, arguments)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


# --- In the other process ------------------------------------------------------------------------------------


class _Peak:
    """Peak memory in MB of this process and its children together, within a `with` block."""

    def __enter__(self) -> "_Peak":
        self.megabytes = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        here = psutil.Process()
        while not self._done.wait(0.02):
            held = 0
            for process in (here, *here.children(recursive=True)):
                try:
                    held += process.memory_info().rss
                except psutil.Error:
                    continue
            self.megabytes = max(self.megabytes, held / _MEGA)


def documents(megabytes: float) -> Iterator[str]:
    """Documents of at least `megabytes` in all."""
    written = seed = 0
    while written < megabytes * _MEGA:
        long: list[str] = []
        for number, story in enumerate(generate_stories("en", 10_000, seed)):
            text = story
            match number % 15:
                case 0:
                    text = unicodedata.normalize("NFD", f"{story}\nDéjà vu à l’été.")
                case 3:
                    text = story.replace("\n", "  \n\n\n\n")
                case 6:
                    text = "<p>" + story.replace("\n", "</p>\n<p>") + "&nbsp;&amp;</p>"
                case 9:
                    text = f"The Story Book\n{story}\nPage {number}"
                case 12 if number % 30 == 12:
                    long.append(story)
                case _:
                    pass
            written += len(text.encode())
            yield text
        for copies in range(3):  # a few long, different ones
            text = "\n\n".join(long[copies::3]) * 3
            written += len(text.encode())
            yield text
        seed += 1


def write(root: Path, megabytes: str) -> dict[str, Any]:
    """Write the texts to disk, as a reader would."""
    from llm_studio.data.chunks import Chunk
    from llm_studio.data.sources.store import write_source

    source = write_source(Project.open(root).raw, "stories", "", (Chunk(t, True) for t in documents(float(megabytes))),
                          Job())  # fmt: skip
    return {"documents": source.documents, "megabytes": source.bytes / _MEGA}


def plan(root: Path) -> dict[str, Any]:
    """The scan alone: cleaning, and the decision for each document."""
    import pickle

    from llm_studio.data.corpus.corpus import Corpus

    project = Project.open(root)
    made = Corpus(project.raw, project.settings().data).plan(Job())
    return {"plan_bytes": len(pickle.dumps(made)), "kept": made.documents}


def tokenizer(root: Path) -> dict[str, Any]:
    """A tokenizer trained on the corpus, in the child process that the program starts for it."""
    from llm_studio.workflows.tokenizer.train import train_tokenizer

    return {"vocabulary": train_tokenizer(Project.open(root), Job(), VOCABULARY).vocab_size}


def prepare(root: Path) -> dict[str, Any]:
    """The tokens, prepared as in the program: a scan, then cleaning again, encoding and writing."""
    from llm_studio.workflows.tokenizer.prepare import prepare_tokens

    return {"tokens": prepare_tokens(Project.open(root), Job()).train_tokens}


def bare(root: Path) -> dict[str, Any]:
    """The same with the libraries alone: Parquet, NFC, encode_batch, a file of ids. No scan, no document left out."""
    import numpy as np
    import pyarrow.parquet as pq
    import tokenizers

    project = Project.open(root)
    library = tokenizers.Tokenizer.from_file(str(project.tokenizer_file))
    with (root / "bare.bin").open("wb") as out:
        for batch in pq.ParquetFile(project.raw / "stories.parquet").iter_batches(1000, columns=["text"]):
            texts = [unicodedata.normalize("NFC", text) for text in batch.column(0).to_pylist()]
            for encoded in library.encode_batch(texts, add_special_tokens=False):
                np.array([*encoded.ids, 0], np.uint16).tofile(out)
    return {"bytes": folder_size(root)}


def _step(name: str, root: str, *arguments: str) -> None:
    steps = {"write": write, "plan": plan, "tokenizer": tokenizer, "prepare": prepare, "bare": bare}
    began = time.perf_counter()
    with _Peak() as peak:
        figures = steps[name](Path(root), *arguments)
    seconds = time.perf_counter() - began
    print(json.dumps({"name": name, "seconds": seconds, "peak_mb": peak.megabytes, **figures}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        _step(*sys.argv[2:])
    else:
        main()

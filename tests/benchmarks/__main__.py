"""Figures about the program: `python -m tests.benchmarks [NAME ...]`. They print; they never fail on time.

training   tokens per second beside a plain float32 model of the same architecture; with `--peer PATH` also beside a
           checkout of nanoGPT or of what has its `train.py`: tokens per second, time to its final loss, memory
logits     memory and time of a step at a vocabulary of 32,000, beside one that holds all logits
recipe     what each ingredient of the training does to the validation loss, at equal steps and at equal time
screen     the recipe, one change at a time, at equal tokens: bits per byte on two texts
budget     the planner's runs beside hand-made ones of the same time, over four hours; with `--peer` beside nanoGPT
forecast   memory and time told before a training, beside those of a real one; what a fit finds, and in what time
tokenizer  memory and time of the tokenizer's training, with and without spaces; tokens by pattern (real texts)
preparing  `prepare` in MB/s beside the bare library; peak memory on ten times the text and on one line of 200 MB
data       memory from texts to tokens at 1, 2 and 4 GB (times LLM_STUDIO_DATA_FACTOR); speed beside the libraries;
           PDF and EPUB in pages per second beside the bare libraries
stories    speed, vocabulary and duplicates of the built-in stories; losses of counting and of a Transformer
learning   validation losses on real texts, beside the bigram's (needs the real texts)
window     time to a painted window; delays of the UI thread during a training; what the window costs a training
starting   time of `llm-studio --help`
starts     100 starts and closings of the window, some of them while it loads; the crashes counted
inside     time and memory of what is shown of a model's inside, `nano` and `small`; the window meanwhile, beside a run
quickstart the real `llm-studio quickstart` in both languages: time, losses, what the model writes
plotting   redraw of a run's curves of a million steps
saving     what a checkpoint every two minutes costs a training
moments    what the timeline of a run costs it (texts and weights), and bits per byte of weights kept in int8
contention what training and generation keep of their speed beside other busy programs
damage     a project with each file damaged in ten ways: tracebacks, hangs, what is hidden, used in silence or lost;
           `--case FILE:WAY:SEED` repeats one
readers    files of every kind damaged at random, also inside containers: crashes, hangs, memory, what is forgotten;
           `--case NAME:SEED` repeats one
xray       from a slider's move to the painted table of candidates, vocabulary 32,000, also beside a run
web        size and speed of the web page in headless Chromium, with WebAssembly SIMD and without
kills      100 kills at random moments, each resumed; the weights compared at the end
"""

import argparse
import importlib
import sys
from pathlib import Path

from llm_studio.openmp import wait_briefly

NAMES = (
    "starting",
    "window",
    "starts",
    "training",
    "logits",
    "forecast",
    "recipe",
    "screen",
    "budget",
    "tokenizer",
    "preparing",
    "data",
    "stories",
    "learning",
    "inside",
    "quickstart",
    "plotting",
    "saving",
    "moments",
    "contention",
    "damage",
    "readers",
    "xray",
    "web",
    "kills",
)


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    wait_briefly()  # as the program does, before torch is imported
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--case", action="append", default=[])
    given = parser.parse_args()
    chosen = given.names or NAMES
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}\n\n{__doc__}")
    for name in chosen:
        print(f"== {name}", flush=True)
        module = importlib.import_module(f"tests.benchmarks.{name}")
        if name == "budget":
            module.main(given.peer and given.peer.resolve())
            continue
        if name in ("damage", "readers"):
            module.main(given.case)
            continue
        module.main()
        if name == "training" and given.peer:
            importlib.import_module("tests.benchmarks.peers").main(given.peer.resolve())


if __name__ == "__main__":
    main()

"""Benchmarks of the program: `python -m tests.benchmarks [NAME ...]`. They print figures and never fail on time.

training   tokens per second compared with a plain float32 model of the same architecture; with `--peer PATH` also with
           a checkout of nanoGPT or a program with its `train.py`: tokens per second, time to its final loss, memory
logits     memory and time of a step at a vocabulary of 32,000, compared with one that stores all logits
recipe     effect of each ingredient of the recipe on the validation loss, at equal steps and at equal time
screen     the recipe, one change at a time, at equal tokens: bits per byte on two texts
budget     the planner's runs compared with hand-made ones of the same time, over four hours; with `--peer` with nanoGPT
forecast   memory and time forecast for a run, compared with those of a real one; result and duration of a fit
tokenizer  memory and time of training the tokenizer, with and without spaces; tokens by pattern (real texts)
preparing  `prepare` in MB/s compared with the bare library; peak memory on ten times the text and on one line of 200 MB
data       memory from texts to tokens at 1, 2 and 4 GB (times LLM_STUDIO_DATA_FACTOR); speed compared with the
           libraries; PDF and EPUB in pages per second compared with the bare libraries
stories    speed, vocabulary and duplicates of the built-in stories; losses of counting and of a Transformer
learning   validation losses on real texts, compared with the bigram's (needs the real texts)
window     time to a painted window; delays of the UI thread during a run; the window's cost to a run
starting   time of `llm-studio --help`
starts     100 starts and closings of the window, some of them while it loads; number of crashes
inside     time and memory of the views of a model's inside, `nano` and `small`; delays of the window during a run
quickstart the real `llm-studio quickstart` in both languages: time, losses, what the model writes
plotting   redraw of a run's curves of a million steps
saving     cost to a run of a checkpoint every two minutes
moments    cost of the timeline to a run (texts and weights), and bits per byte of weights stored as int8
contention fraction of their speed that training and generation keep while other programs are busy
damage     a project with each file damaged in ten ways: tracebacks, hangs, data hidden, silently misused or lost;
           `--case FILE:WAY:SEED` repeats one
readers    files of every kind damaged at random, also inside containers: crashes, hangs, memory, unreported losses;
           `--case NAME:SEED` repeats one
xray       from a slider's move to the painted table of candidates, vocabulary 32,000, also during a run
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

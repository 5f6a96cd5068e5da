"""This program's side of `peers.py`: its model, optimizer and schedule on a dataset in nanoGPT's format.

`python -m tests.benchmarks.ours FOLDER SETTINGS` trains and prints, as JSON, the seconds of each step and the losses.
`SETTINGS` are changes by dotted name, and `preset`, `steps` (fewer than the schedule's, without evaluations).
"""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import torch

from llm_studio.config.presets import load_preset
from tests.benchmarks.learner import Learner

EVALUATE = 10
SEQUENCES = 1200
"""Number of evenly spaced sequences of the validation split."""


def main(folder: Path, options: dict) -> None:
    """Train and print."""
    preset, steps = options.pop("preset", "small"), options.pop("steps", None)
    settings = load_preset(preset).replaced({"training.threads": torch.get_num_threads()} | options)
    train, validation = (np.fromfile(folder / f"{name}.bin", np.uint16).astype(np.int64) for name in ("train", "val"))
    vocabulary = pickle.loads((folder / "meta.pkl").read_bytes())["vocab_size"]  # just written by peers.py
    learner, length = Learner(settings, vocabulary), settings.model.max_seq_len
    random = np.random.default_rng(settings.training.seed)
    places = np.arange(length + 1)
    measured = validation[np.linspace(0, len(validation) - length - 1, SEQUENCES).astype(np.int64)[:, None] + places]
    seconds: list[float] = []
    losses: dict[int, float] = {}
    for step in range(1, (steps or settings.training.max_steps) + 1):
        starts = random.integers(0, len(train) - length, settings.training.batch_size)
        seconds.append(learner.learn(train[starts[:, None] + places]))
        if steps is None and step % EVALUATE == 0:
            losses[step] = learner.loss(measured)
    print(json.dumps({"seconds": seconds, "losses": losses, "parameters": learner.model.parameter_count()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))

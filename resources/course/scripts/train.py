"""Train the model:  python scripts/train.py

It resumes from the newest checkpoint, up to training.max_steps of config/config.yaml; --steps: so many steps more.
With --new it starts from random weights instead.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from src import ROOT, load_config
from src.data.dataset import Dataset
from src.training.trainer import CHECKPOINTS, Trainer, newest_checkpoint


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, help="how many steps more; by default up to training.max_steps")
    parser.add_argument("--new", action="store_true", help="start from random weights")
    given = parser.parse_args()
    config = load_config()
    folder = ROOT / "data" / "processed"
    if not (folder / "meta.json").exists():  # what is written last
        raise SystemExit("There are no tokens yet: put texts into data/raw, then run scripts/prepare_data.py.")
    checkpoint = newest_checkpoint()
    if given.new and checkpoint is not None:
        raise SystemExit(f"Move what is in {CHECKPOINTS} to another place first: nothing is overwritten.")
    torch.set_num_threads(config.training.threads)
    trainer = Trainer(config, "cuda" if torch.cuda.is_available() else "cpu")
    if checkpoint is not None:
        trainer.restore(checkpoint)
    last = config.training.max_steps if given.steps is None else trainer.step + given.steps
    if trainer.step >= last:
        raise SystemExit(f"The model has done all of its {trainer.step} steps: name more with --steps.")
    config.training.max_steps = max(config.training.max_steps, last)  # the learning rate falls until then
    trainer.train(Dataset(folder, config), last)


if __name__ == "__main__":
    main()

"""The tokens of all texts, and the sequences that each step learns from.

data/processed/train.bin and val.bin hold the ids of all tokens one after the other, each text followed by
<|endoftext|>; meta.json says how they are stored, and which of them come from which source.
"""

import json
from pathlib import Path

import numpy as np
import torch


class Dataset:
    """Training and validation tokens. The files stay on the disk: of large ones, only what is drawn is read."""

    def __init__(self, folder: Path, config) -> None:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        self.training, self.length = config.training, config.model.max_seq_len
        self.sources = meta["sources"]
        self.train = np.memmap(folder / "train.bin", dtype=meta["dtype"], mode="r")
        validation = np.memmap(folder / "val.bin", dtype=meta["dtype"], mode="r")
        kept = [range(source["start"], source["end"]) for source in meta["validation_sources"]]
        self.validation_places = np.concatenate([np.arange(part.start, part.stop) for part in kept])
        self.validation = validation[self.validation_places]
        # [if answers]
        self.train_mask = np.fromfile(folder / "train.mask", dtype=np.uint8)
        self.validation_mask = np.fromfile(folder / "val.mask", dtype=np.uint8)
        # [end]
        if len(self.train) <= self.length:
            raise SystemExit(f"There are only {len(self.train)} tokens: add texts to data/raw and prepare them again.")

    @property
    def tokens_per_step(self) -> int:
        """How many tokens a step learns from."""
        return self.training.batch_size * self.training.gradient_accumulation_steps * self.length

    # [if answers]
    def training_batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The sequences of one step, (sequences, length + 1), and which of their targets are in an answer."""
        places = self.places(step)
        return torch.from_numpy(self.train[places].astype(np.int64)), bits(self.train_mask, places[:, 1:])

    # [end]
    # [if not answers]
    def training_batch(self, step: int) -> torch.Tensor:
        """The sequences of one step: (sequences, length + 1), the inputs and the token after each."""
        return torch.from_numpy(self.train[self.places(step)].astype(np.int64))

    # [end]
    def places(self, step: int) -> np.ndarray:
        """Where the sequences of a step are among the tokens. They depend on nothing but the seed and the step.

        The source of a sequence is drawn first, by its number of tokens times its weight, then the place within it.
        """
        sequences = self.training.batch_size * self.training.gradient_accumulation_steps
        generator = np.random.Philox(np.random.SeedSequence([self.training.seed, step]))
        raw = generator.random_raw(2 * sequences)  # whole numbers of 64 bits
        uniform = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53  # from 0 up to 1
        begins = np.array([source["start"] for source in self.sources])
        ends = np.array([source["end"] for source in self.sources])
        sums = np.cumsum(np.array([source["weight"] for source in self.sources]) * (ends - begins))
        shares = np.where(sums == sums[-1], 1.0, sums / sums[-1])
        which = np.searchsorted(shares, uniform[:sequences], side="right")
        rooms = np.maximum(ends - begins - self.length, 1)
        starts = begins[which] + (uniform[sequences:] * rooms[which]).astype(np.int64)
        offsets = np.arange(self.length + 1)
        # [if excluded]
        # a source may be excluded (weight 0): a sequence goes round in its own rather than into the next one
        first, size = begins[which][:, None], (ends - begins)[which][:, None]
        return first + (starts[:, None] - first + offsets) % size
        # [else]
        return np.minimum(starts, len(self.train) - len(offsets))[:, None] + offsets
        # [end]

    # [if dropout]
    def dropout_seed(self, step: int, micro_batch: int) -> int:
        """A seed that depends on nothing but the training's own, the step and the micro-batch."""
        sequence = np.random.SeedSequence([self.training.seed, step, micro_batch])
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

    # [end]
    # [if answers]
    def validation_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Always the same sequences, spread evenly over the validation texts, and which targets are in an answer."""
        rows = self.validation_rows()
        targets = self.validation_places[rows[:, 1:]]
        return torch.from_numpy(self.validation[rows].astype(np.int64)), bits(self.validation_mask, targets)

    # [end]
    # [if not answers]
    def validation_batch(self) -> torch.Tensor:
        """Always the same sequences, spread evenly over the validation texts."""
        return torch.from_numpy(self.validation[self.validation_rows()].astype(np.int64))

    # [end]
    def validation_rows(self) -> np.ndarray:
        """Where they are: (sequences, length + 1)."""
        predicted = len(self.validation) - 1
        length = min(self.length, predicted)
        count = min(self.training.eval_sequences, predicted // length)
        starts = np.linspace(0, predicted - length, count).astype(np.int64)
        return starts[:, None] + np.arange(length + 1)


# [if answers]
def bits(mask: np.ndarray, places: np.ndarray) -> torch.Tensor:
    """The bits of a mask at some places: it has eight in each byte, the lowest first."""
    return torch.from_numpy(((mask[places >> 3] >> (places & 7).astype(np.uint8)) & 1).astype(bool))


# [end]

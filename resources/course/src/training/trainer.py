"""The training loop: draw sequences, measure the loss, follow its gradient, again and again."""

import json
import time
from pathlib import Path

import torch
from safetensors.torch import load, save_file

from src import ROOT
from src.data.dataset import Dataset
from src.model.transformer import Transformer
from src.training.optimizer import Optimizer
from src.training.scheduler import learning_rate

CHECKPOINTS, LOGS = ROOT / "checkpoints", ROOT / "logs"


class Trainer:
    """A model that learns. `step` counts the updates of its weights."""

    def __init__(self, config, device: str) -> None:
        self.config, self.device = config, device
        torch.manual_seed(config.training.seed)
        self.model = Transformer(config.model).to(device)
        self.optimizer = Optimizer(self.model, config.training)
        self.step = 0

    def train(self, data: Dataset, last: int) -> None:
        """Train up to step `last`. The checkpoint is saved in the end, and every `checkpoint_interval` steps."""
        training = self.config.training
        LOGS.mkdir(exist_ok=True)
        with (LOGS / "train.jsonl").open("a", encoding="utf-8") as log:
            while self.step < last:
                began = time.perf_counter()
                rate = learning_rate(self.step + 1, training)
                loss = self.gradients(data)
                self.optimizer.step(rate)
                self.step += 1
                log.write(json.dumps({"step": self.step, "loss": loss, "learning_rate": rate}) + "\n")
                log.flush()
                speed = data.tokens_per_step / (time.perf_counter() - began)
                print(f"step {self.step} of {last}   loss {loss:.4f}   {speed:,.0f} tokens/s")
                if self.step % training.eval_interval == 0 or self.step == last:
                    print(f"validation loss {self.validation_loss(data):.4f}")
                if self.step % training.checkpoint_interval == 0 and self.step < last:
                    self.save()
        self.save()

    def gradients(self, data: Dataset) -> float:
        """The gradients of one step, from several micro-batches, and its loss."""
        training, total = self.config.training, 0.0
        self.model.train()
        # [if answers]
        ids, counted = data.training_batch(self.step)
        everything = max(int(counted.sum()), 1)
        parts = zip(ids.split(training.batch_size), counted.split(training.batch_size), strict=True)
        # [if dropout]
        micro_batches = iter(range(training.gradient_accumulation_steps))
        # [end]
        for part, mask in parts:
            # [if dropout]
            torch.manual_seed(data.dropout_seed(self.step, next(micro_batches)))  # a resumed run draws the same numbers
            # [end]
            with self.autocast():
                loss = self.model.loss(*self.inputs_and_targets(part), mask.to(self.device))
                loss = loss * int(mask.sum()) / everything  # the mean over all answers of the step
            loss.backward()
            total += loss.item()
        # [else]
        ids = data.training_batch(self.step)
        # [if dropout]
        micro_batches = iter(range(training.gradient_accumulation_steps))
        # [end]
        for part in ids.split(training.batch_size):
            # [if dropout]
            torch.manual_seed(data.dropout_seed(self.step, next(micro_batches)))  # a resumed run draws the same numbers
            # [end]
            with self.autocast():
                loss = self.model.loss(*self.inputs_and_targets(part)) * len(part) / len(ids)
            loss.backward()
            total += loss.item()
        # [end]
        # [if clipped]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), training.gradient_clip)
        # [end]
        return total

    @torch.no_grad()
    def validation_loss(self, data: Dataset) -> float:
        """The mean loss on texts that the model doesn't learn from."""
        self.model.eval()
        total = count = 0.0
        # [if answers]
        ids, counted = data.validation_batch()
        size = self.config.training.batch_size
        for part, mask in zip(ids.split(size), counted.split(size), strict=True):
            with self.autocast():
                loss = self.model.loss(*self.inputs_and_targets(part), mask.to(self.device))
            total, count = total + loss.item() * int(mask.sum()), count + int(mask.sum())
        # [else]
        for part in data.validation_batch().split(self.config.training.batch_size):
            with self.autocast():
                loss = self.model.loss(*self.inputs_and_targets(part))
            total, count = total + loss.item() * len(part), count + len(part)
        # [end]
        return total / max(count, 1)

    def inputs_and_targets(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """At each place the target is the next token."""
        ids = ids.to(self.device)
        return ids[:, :-1], ids[:, 1:]

    def autocast(self) -> torch.autocast:
        """How precisely the matrix products are computed."""
        # [if bfloat16]
        return torch.autocast(self.device, torch.bfloat16)  # with 16 bits: faster; the weights keep all their digits
        # [else]
        return torch.autocast(self.device, enabled=False)  # with 32 bits, as everything else
        # [end]

    # --- Checkpoints ------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write weights and optimizer into checkpoints/step-000500, say. A checkpoint is whole, or it isn't there."""
        folder = CHECKPOINTS / f"step-{self.step:06d}"
        if folder.exists():
            return
        partial = folder.with_name(folder.name + ".partial")
        partial.mkdir(parents=True, exist_ok=True)
        save_file(self.model.state_dict(), partial / "model.safetensors")
        save_file(self.optimizer.state(), partial / "optimizer.safetensors")
        partial.rename(folder)

    def restore(self, folder: Path) -> None:
        """Be where a checkpoint was saved."""
        self.step = int(folder.name.removeprefix("step-"))
        self.model.load_state_dict(load((folder / "model.safetensors").read_bytes()))
        optimizer = folder / "optimizer.safetensors"
        if optimizer.exists():  # a model that was given away may come without it: then its averages start from zero
            self.optimizer.load(load(optimizer.read_bytes()))


def newest_checkpoint() -> Path | None:
    """The folder of the last checkpoint, if there is one."""
    return max((path for path in CHECKPOINTS.glob("step-*") if path.suffix != ".partial"), default=None)

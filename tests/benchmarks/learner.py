"""The program's training step without the rest of a run, so that benchmarks can time it and compare losses."""

import time

import numpy as np
import torch
from numpy.typing import NDArray

from llm_studio.config import Settings
from llm_studio.device import choose
from llm_studio.model.transformer import Transformer
from llm_studio.training.optim import optimizer
from llm_studio.training.optim.schedule import learning_rate


class Learner:
    """A model trained with the optimizer, schedule, precision and seed of the settings."""

    def __init__(self, settings: Settings, vocabulary: int) -> None:
        self._settings = settings.training
        self._compute = choose(settings.training)
        torch.set_num_threads(self._compute.threads)
        torch.manual_seed(settings.training.seed)
        self.model = Transformer(settings.model, vocabulary).to(self._compute.device)
        self._optimizer = optimizer.build(self.model, settings.training, self._compute.dtype)
        self.step = 0

    def learn(self, sequences: NDArray[np.int64]) -> float:
        """Do one step on (sequences, context + 1) tokens; returns its seconds."""
        began = time.perf_counter()
        self.step += 1
        self._optimizer.set_learning_rate(learning_rate(self.step, self._settings))
        ids = torch.from_numpy(sequences).to(self._compute.device)
        with self._compute.autocast():
            loss = self.model.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._settings.gradient_clip).item()
        self._optimizer.step()
        self._optimizer.zero_grad()
        return time.perf_counter() - began

    @torch.no_grad()
    def loss(self, sequences: NDArray[np.int64]) -> float:
        """Mean loss on sequences, in float32."""
        self.model.eval()
        parts = torch.from_numpy(sequences).to(self._compute.device).split(64)
        total = sum(self.model.loss(ids[:, :-1], ids[:, 1:]).item() * len(ids) for ids in parts)
        self.model.train()
        return total / len(sequences)

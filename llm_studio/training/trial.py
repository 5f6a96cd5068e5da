"""Real steps with ids drawn by chance, on a model that is thrown away: how long they take, and how much memory.

A step costs the same whatever the texts say, so this needs none.
"""

import statistics
import time
from dataclasses import dataclass

import torch

from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.jobs import Job
from llm_studio.model.cost import checkpoint_copy_bytes
from llm_studio.model.transformer import Transformer
from llm_studio.training import memory
from llm_studio.training.optim import optimizer
from llm_studio.training.subprocess_trial import peak_bytes, resident_bytes


@dataclass(frozen=True)
class Attempt:
    """What a micro-batch of `batch_size` sequences takes. `fits`: memory didn't run out; else the rest is 0.

    `memory`: bytes at the peak beside what the process held before the model; `seconds` of a micro-batch, forward and
    backward, and `update` of the optimizer's part of a step.
    """

    batch_size: int
    checkpointing: bool
    fits: bool
    memory: int = 0
    seconds: float = 0.0
    update: float = 0.0

    def step_seconds(self, micro_batches: int) -> float:
        """Of a whole step."""
        return micro_batches * self.seconds + self.update


class Trial:
    """One model on which micro-batches are tried, the small ones first: a peak is that of all tried so far."""

    def __init__(self, settings: Settings, vocab_size: int, compute: Compute, before: int | None = None) -> None:
        """`before`: bytes held by the process before the model, where it isn't now."""
        torch.set_num_threads(compute.threads)
        self._settings, self._vocab_size, self._compute = settings, vocab_size, compute
        self._before = resident_bytes() if before is None else before
        if compute.device == "cuda":
            memory.free("cuda")  # what torch has kept of earlier work would hide what this takes
            memory.keep_within_card("cuda")
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_reserved()
        with torch.random.fork_rng(devices=[]):
            self._model = Transformer(settings.model, vocab_size).to(compute.device)
        self._optimizer = optimizer.build(self._model, settings.training, compute.dtype)
        self._ids = torch.Generator().manual_seed(0)

    def attempt(self, batch_size: int, checkpointing: bool, steps: int, job: Job, enough: float = 8.0) -> Attempt:
        """Do one step to warm up and at most `steps` more of one micro-batch; no more after `enough` seconds.

        Raises Cancelled.
        """
        self._model.checkpoint_activations = checkpointing
        times: list[tuple[float, float]] = []
        start, failed = time.perf_counter(), False
        try:
            for _step in range(steps + 1):
                job.check()
                times.append(self._step(batch_size))
                if len(times) > 1 and time.perf_counter() - start > enough:
                    break
        except (MemoryError, RuntimeError) as error:
            if not memory.ran_out(error):
                raise
            failed = True
        if failed:  # out of the handler, whose error holds the tensors
            self._optimizer.zero_grad()
            memory.free(self._compute.device)
            return Attempt(batch_size, checkpointing, fits=False)
        seconds, updates = (statistics.median(values) for values in zip(*times[1:], strict=True))
        taken = self._peak() - self._before
        return Attempt(batch_size, checkpointing, True, taken + self._saving(taken), seconds, updates)

    def _saving(self, taken: int) -> int:
        """Bytes that a save will add to these, while the training goes on."""
        if self._compute.device == "cuda":
            return 0
        weights = sum(parameter.nbytes for parameter in self._model.parameters())
        moments = optimizer.state_tensors(self._optimizer, self._model).values()
        copy = weights + sum(tensor.nbytes for tensor in moments)
        return checkpoint_copy_bytes(copy, max(0, taken - copy - weights))  # the gradients are as many as the weights

    def _step(self, batch_size: int) -> tuple[float, float]:
        """Seconds of a micro-batch and of the update."""
        began = time.perf_counter()
        shape = (batch_size, self._settings.model.max_seq_len + 1)
        ids = torch.randint(0, self._vocab_size, shape, generator=self._ids).to(self._compute.device)
        with self._compute.autocast():
            loss = self._model.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        loss.item()
        if self._compute.device == "cuda":
            torch.cuda.current_stream().synchronize()  # to wait for the whole card would break another's recording
        gradients = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0).item()
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self._compute.device == "cuda":
            torch.cuda.current_stream().synchronize()
        return gradients - began, time.perf_counter() - gradients

    def _peak(self) -> int:
        return torch.cuda.max_memory_reserved() if self._compute.device == "cuda" else peak_bytes()

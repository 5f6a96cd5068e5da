"""How long a step takes here: a few real steps on a model that is thrown away."""

import statistics
import time

import torch

from llm_studio.config import Settings
from llm_studio.data.tokens import batches
from llm_studio.data.tokens.dataset import Tokens
from llm_studio.device import Compute
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.training.optim import optimizer

_MICRO_BATCHES = 4
"""Of a step with more of them only so many are done: they all take the same time."""
_ENOUGH = 8.0
"""Seconds after which one measured step must do."""


def measure(tokens: Tokens, vocab_size: int, settings: Settings, compute: Compute, steps: int, job: Job) -> float:
    """Median seconds of one optimizer update, over at most `steps` of them after one to warm up. Raises Cancelled."""
    torch.set_num_threads(compute.threads)
    training, length = settings.training, settings.model.max_seq_len
    model = Transformer(settings.model, vocab_size).to(compute.device)
    updates = optimizer.build(model, training, compute.dtype)
    done = min(training.gradient_accumulation_steps, _MICRO_BATCHES)
    times: list[float] = []
    start = time.perf_counter()
    for step in range(steps + 1):
        began = time.perf_counter()
        for _micro_batch in range(done):
            job.check()
            drawn = batches.draw_sequences(tokens, training.seed, step, training.batch_size, length)
            ids = torch.from_numpy(drawn).to(compute.device)
            with compute.autocast():
                loss = model.loss(ids[:, :-1], ids[:, 1:])
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()  # waits for the graphics card
        gradients = time.perf_counter() - began
        updates.step()
        updates.zero_grad()
        update = time.perf_counter() - began - gradients
        times.append(gradients * training.gradient_accumulation_steps / done + update)
        if step and time.perf_counter() - start > _ENOUGH:
            break
    return statistics.median(times[1:])

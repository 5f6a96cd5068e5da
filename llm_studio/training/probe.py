"""How long a step takes here: a few real steps on a model that is thrown away."""

import statistics
import time

import torch

from llm_studio.config import Settings
from llm_studio.data import batches
from llm_studio.data.dataset import Tokens
from llm_studio.device import Compute
from llm_studio.model.transformer import Transformer
from llm_studio.training import optimizer


def measure(tokens: Tokens, vocab_size: int, settings: Settings, compute: Compute, steps: int) -> float:
    """Median seconds of one optimizer update, over `steps` of them after one to warm up."""
    torch.set_num_threads(compute.threads)
    training, length = settings.training, settings.model.max_seq_len
    model = Transformer(settings.model, vocab_size).to(compute.device)
    adamw = optimizer.build(model, training)
    times: list[float] = []
    for step in range(steps + 1):
        began = time.perf_counter()
        for _micro_batch in range(training.gradient_accumulation_steps):
            drawn = batches.draw(tokens, training.seed, step, training.batch_size, length)
            ids = torch.from_numpy(drawn).to(compute.device)
            with compute.autocast():
                loss = model.loss(ids[:, :-1], ids[:, 1:])
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        adamw.step()
        adamw.zero_grad()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])

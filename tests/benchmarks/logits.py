"""Savings from not storing all logits: a step of `small` at a vocabulary of 32,000, 32 sequences of 512 tokens.

Measures the peak memory in addition to that of the process before the model, and the seconds of a step, forward and
backward. Each variant runs in a separate process, alternately.
"""

import multiprocessing
import statistics
import time
from multiprocessing.connection import Connection

import torch
import torch.nn.functional as F
from torch import Tensor

from llm_studio.config.presets import load_preset
from llm_studio.device import choose
from llm_studio.model.transformer import Transformer
from llm_studio.training.memory import peak_bytes, resident_bytes

STEPS, ROUNDS = 2, 3
SEQUENCES = 32


def main() -> None:
    """Print memory and time of both variants, and their ratios."""
    found: dict[str, list[tuple[int, float]]] = {"plain": [], "ours": []}
    for _round in range(ROUNDS):
        for way, kept in found.items():
            kept.append(_apart(way))
    memory = {way: max(bytes_ for bytes_, _seconds in kept) for way, kept in found.items()}
    seconds = {way: statistics.median(seconds for _bytes, seconds in kept) for way, kept in found.items()}
    for way in found:
        print(f"{way}: {memory[way] / 1e9:.2f} GB at the peak, {seconds[way]:.2f} s a step")
    ratio = statistics.median(our[1] / plain[1] for plain, our in zip(found["plain"], found["ours"], strict=True))
    print(f"ours: {memory['ours'] / memory['plain']:.2f} of the memory, {ratio:.2f} of the time")


def _apart(way: str) -> tuple[int, float]:
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_measure, args=(way, there))
    process.start()
    found = here.recv()
    process.join()
    return found


def _measure(way: str, answer: Connection) -> None:
    settings = load_preset("small")
    compute = choose(settings.training)
    torch.set_num_threads(compute.threads)
    before = resident_bytes()
    model = Transformer(settings.model, settings.model.vocab_size)
    ids = torch.randint(0, settings.model.vocab_size, (SEQUENCES, settings.model.max_seq_len + 1))
    times: list[float] = []
    for _step in range(STEPS + 1):
        began = time.perf_counter()
        with compute.autocast():
            loss = _plain(model, ids) if way == "plain" else model.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        model.zero_grad()
        times.append(time.perf_counter() - began)
    answer.send((peak_bytes() - before, min(times[1:])))


def _plain(model: Transformer, ids: Tensor) -> Tensor:
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1).float(), ids[:, 1:].flatten())

"""Benchmarks this machine on the operations that training consists of: matrix products, softmax, calls.

It takes a fraction of a second and needs no model: the input of `model.cost.step_seconds`.
"""

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import astuple

import torch

from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.model.cost import Speed

_ROWS = 1024
"""Rows of the timed product: the tokens of a micro-batch."""
_NUMBERS = 2**21
"""Numbers in the timed softmax: a chunk of logits, as in `model.loss`."""
_CALLS = 100
_TURNS, _ROUNDS = 3, 4
"""Turns, and repetitions in each; the fastest counts, as other programs come and go."""
_LEAST, _ENOUGH = 0.25, 0.5
"""In seconds: below the first another turn follows, above the second none does."""
_FRESH = 60.0
"""Seconds for which a measurement is valid. It is then repeated and the faster one kept: the processor may have been
busy."""
_known: dict[tuple[object, ...], tuple[float, Speed]] = {}


def of_this_machine(settings: Settings, vocab_size: int, compute: Compute) -> Speed:
    """The speed at the width of the model and the precision of its products."""
    key = (settings.model.d_model, settings.model.n_layers, vocab_size, compute)
    measured_at, known = _known.get(key, (-math.inf, Speed(0, 0, 0, 0)))
    if time.monotonic() - measured_at > _FRESH:
        known = _fastest(known, *_measured(*key))
        _known[key] = (time.monotonic(), known)
    return known


def _measured(width: int, layers: int, vocab_size: int, compute: Compute) -> list[Speed]:
    """With all threads, and with one: beside a busy program, several threads mostly wait for each other."""
    before = torch.get_num_threads()
    found: list[Speed] = []
    try:
        for threads in sorted({1, compute.threads} if compute.device == "cpu" else {compute.threads}):
            torch.set_num_threads(threads)
            found.append(_measure(width, layers, vocab_size, compute))
    finally:
        torch.set_num_threads(before)
    return found


def _fastest(*speeds: Speed) -> Speed:
    """The fastest of each kind of work."""
    return Speed(*map(max, zip(*map(astuple, speeds), strict=True)))


def _measure(width: int, layers: int, vocab_size: int, compute: Compute) -> Speed:
    device, dtype = compute.device, compute.dtype
    vectors = torch.ones(_ROWS, width, dtype=dtype, device=device)
    matrix = torch.ones(width, 4 * width, dtype=dtype, device=device)
    squares = torch.ones(layers, width, width, dtype=dtype, device=device)
    few = torch.ones(8, device=device)
    logits = torch.ones(max(256, _NUMBERS // vocab_size), vocab_size, device=device)

    def calls() -> None:
        for _call in range(_CALLS):
            few.add(1.0)

    matmul, batched, softmax, called = _seconds(
        compute, lambda: vectors @ matrix, lambda: squares @ squares, lambda: logits.softmax(-1), calls
    )
    return Speed(
        matmul_flops=2 * matrix.numel() * _ROWS / matmul,
        batched_matmul_flops=2 * squares.numel() * width / batched,
        softmax_elements=logits.numel() / softmax,
        op_calls=_CALLS / called,
    )


def _seconds(compute: Compute, *actions: Callable[[], object]) -> list[float]:
    """The shortest time of each action, in seconds."""
    shortest = [math.inf] * len(actions)
    start = time.perf_counter()
    for turn in itertools.count():
        spent = time.perf_counter() - start
        if turn and (spent > _ENOUGH or (turn >= _TURNS and spent > _LEAST)):
            break
        for place, action in enumerate(actions):
            for _round in range(_ROUNDS):
                began = time.perf_counter()
                action()
                if compute.device == "cuda":
                    torch.cuda.current_stream().synchronize()
                shortest[place] = min(shortest[place], time.perf_counter() - began)
    return shortest

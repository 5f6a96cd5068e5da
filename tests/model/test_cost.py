"""The costs computed before training are those met in training."""

import math
import subprocess
import sys
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from llm_studio.config import ModelSettings, TrainingSettings
from llm_studio.model.cost import (
    Speed,
    count_parameters,
    flops_per_token,
    generation_bytes,
    optimizer_bytes,
    step_seconds,
    training_bytes,
)
from llm_studio.model.transformer import Transformer
from llm_studio.training.optim import optimizer
from llm_studio.training.optim.muon import Muon
from tests.model.builders import VOCABULARY, small_model, small_settings, some_ids


@st.composite
def shapes(draw: st.DrawFn) -> ModelSettings:
    heads = draw(st.sampled_from([1, 2, 4, 6]))
    return small_settings(
        d_model=heads * draw(st.sampled_from([8, 10])),
        n_heads=heads,
        n_kv_heads=draw(st.sampled_from([None, *(n for n in range(1, heads + 1) if heads % n == 0)])),
        n_layers=draw(st.integers(1, 3)),
        d_ff=draw(st.integers(1, 50)),
        max_seq_len=draw(st.integers(8, 20)),
        positions=draw(st.sampled_from(["rope", "learned", "sinusoidal"])),
        norm=draw(st.sampled_from(["rmsnorm", "layernorm"])),
        activation=draw(st.sampled_from(["swiglu", "gelu", "relu2"])),
        qk_norm=draw(st.booleans()),
        tie_embeddings=draw(st.booleans()),
        bias=draw(st.booleans()),
    )


@settings(deadline=None)
@given(shapes(), st.integers(1, 300))
def test_parameters_are_counted_exactly(shape: ModelSettings, vocabulary: int) -> None:
    model = Transformer(shape, vocabulary)
    counts = count_parameters(shape, vocabulary)
    blocks = model.blocks.named_parameters()
    assert counts.total == model.parameter_count()
    assert counts.embedding == model.embeddings.token.weight.numel()
    assert counts.feed_forward == sum(p.numel() for name, p in blocks if ".feed_forward." in name)


def test_the_operations_counted_are_those_computed() -> None:
    model = small_model(n_kv_heads=None)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # attention in products it counts
        model(some_ids(2, 24))
    assert counter.get_total_flops() == 2 * 24 * flops_per_token(model.settings, VOCABULARY)


def test_memory_grows_with_the_batch_and_shrinks_with_half_precision() -> None:
    shape = small_settings()
    one, two = (training_bytes(shape, VOCABULARY, batch, "bfloat16") for batch in (32, 64))
    assert (one.weights, one.gradients, one.optimizer) == (two.weights, two.gradients, two.optimizer)
    assert 1.5 < two.activations / one.activations < 2.1
    assert training_bytes(shape, VOCABULARY, 32, "float32").activations > 1.2 * one.activations


def test_time_is_work_divided_by_speed() -> None:
    shape = small_settings()
    speed = Speed(matmul_flops=1e11, batched_matmul_flops=1e11, softmax_elements=1e9, op_calls=1e6)
    twice = Speed(matmul_flops=2e11, batched_matmul_flops=2e11, softmax_elements=2e9, op_calls=2e6)
    slow, fast = (step_seconds(shape, VOCABULARY, 8, machine, muon=True) for machine in (speed, twice))
    assert slow.micro_batch == pytest.approx(2 * fast.micro_batch)
    assert slow.update == pytest.approx(2 * fast.update)
    at_once = Speed(1e11, 1e11, 1e9, 1e30)  # calls cost nothing: the rest grows with the tokens
    one, eight = (step_seconds(shape, VOCABULARY, batch, at_once, muon=True) for batch in (1, 8))
    assert eight.micro_batch == pytest.approx(8 * one.micro_batch)
    assert eight.update == one.update > step_seconds(shape, VOCABULARY, 8, at_once, muon=False).update
    again = step_seconds(shape, VOCABULARY, 8, at_once, muon=True, checkpointing=True)
    assert 1 < again.micro_batch / eight.micro_batch < 4 / 3


@settings(deadline=None)
@given(shapes())
def test_the_operations_of_muon_are_those_computed(shape: ModelSettings) -> None:
    model = Transformer(shape, VOCABULARY)
    matrices = [p for name, p in model.blocks.named_parameters() if p.dim() == 2]
    for matrix in matrices:
        matrix.grad = torch.ones_like(matrix)
    with FlopCounterMode(display=False) as counter:
        Muon(matrices, 0.01, 0.95, 0.0, torch.bfloat16).step()
    speed = Speed(matmul_flops=math.inf, batched_matmul_flops=1.0, softmax_elements=math.inf, op_calls=math.inf)
    assert 0.8 * counter.get_total_flops() == step_seconds(shape, VOCABULARY, 1, speed, muon=True).update


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_the_optimizer_holds_what_is_computed(name: Literal["muon", "adamw"]) -> None:
    model = small_model()
    built = optimizer.build(model, TrainingSettings(optimizer=name))
    model.loss(some_ids(2, 8), some_ids(2, 8)).backward()
    built.step()
    held = sum(4 * tensor.numel() for tensor in optimizer.state_tensors(built, model).values() if tensor.dim())
    assert held == optimizer_bytes(count_parameters(model.settings, VOCABULARY), name == "muon")


def test_generation_needs_the_weights_and_the_cache() -> None:
    shape = small_settings(n_kv_heads=2)
    weights = 4 * count_parameters(shape, VOCABULARY).total
    cache = 4 * 2 * shape.n_layers * 2 * shape.max_seq_len * 8
    assert generation_bytes(shape, VOCABULARY) == weights + cache + 4 * VOCABULARY


def test_costs_are_computed_without_torch() -> None:
    code = "import sys, llm_studio.model.cost; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

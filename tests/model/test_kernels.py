"""Gradients written by hand equal those that PyTorch derives from the plain formula."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from llm_studio.model.cost import CHUNK_NUMBERS
from llm_studio.model.embeddings import Rotation, rotate
from llm_studio.model.kernels.block_attention import block_attention
from llm_studio.model.kernels.cross_entropy import linear_cross_entropy
from llm_studio.model.kernels.fused import gated_product
from llm_studio.model.norms import RMSNorm


def assert_same(ours: Callable[..., Tensor], plain: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Equal results and equal gradients for every input, in float64."""
    inputs = tuple(x.double().requires_grad_() for x in inputs)
    result, expected = ours(*inputs), plain(*inputs)
    torch.testing.assert_close(result, expected)
    weights = torch.randn_like(expected)
    gradients = torch.autograd.grad((result * weights).sum(), inputs)
    for gradient, wanted in zip(gradients, torch.autograd.grad((expected * weights).sum(), inputs), strict=True):
        torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("length", [1, 7, 64, 65, 200])
def test_attention_in_blocks_is_attention(length: int) -> None:
    q, k, v = torch.randn(3, 3, 23, length, 8)  # 69 heads: more than are worked on together
    assert_same(block_attention, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), q, k, v)


def test_the_norm_divides_by_the_root_of_the_mean_square() -> None:
    norm = RMSNorm(12).double()
    weight = torch.randn(12)

    def ours(x: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(norm, {"weight": weight}, x)

    def plain(x: Tensor, weight: Tensor) -> Tensor:
        return weight * x / (x.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()

    assert_same(ours, plain, torch.randn(2, 5, 12), weight)
    assert_same(ours, plain, torch.randn(2, 5, 12) * 1e-3, weight)  # where the epsilon shows


def test_the_gated_product_is_silu_of_the_gate_times_the_rest() -> None:
    assert_same(gated_product, lambda x: F.silu(x[..., :6]) * x[..., 6:], torch.randn(2, 5, 12))


def test_rotation_turns_pairs_of_columns() -> None:
    angles = torch.randn(5, 1, 3).double()
    rotation = Rotation(torch.cat([angles.cos()] * 2, -1), torch.cat([-angles.sin(), angles.sin()], -1))

    def plain(x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=-1)
        turned = torch.complex(a, b) * torch.polar(torch.ones_like(angles), angles)
        return torch.cat([turned.real, turned.imag], dim=-1)

    assert_same(lambda x: rotate(x, rotation), plain, torch.randn(2, 5, 4, 6))


@pytest.mark.parametrize(("rows", "vocabulary"), [(1, 3), (700, 5), (600, CHUNK_NUMBERS // 256 + 1)])
def test_the_chunked_loss_is_cross_entropy(rows: int, vocabulary: int) -> None:
    targets = torch.randint(vocabulary, (rows,))

    def ours(hidden: Tensor, weight: Tensor) -> Tensor:
        return linear_cross_entropy(hidden, weight, targets, torch.float64)

    assert_same(
        ours, lambda h, w: F.cross_entropy(h @ w.t(), targets), torch.randn(rows, 4), torch.randn(vocabulary, 4)
    )


def test_the_loss_of_a_hopeless_prediction_is_finite_and_right() -> None:
    weight, targets = torch.tensor([[1000.0], [0.0]]), torch.tensor([1])
    assert linear_cross_entropy(torch.ones(1, 1), weight, targets, torch.float32).item() == 1000


def test_a_scaled_loss_has_scaled_gradients_in_half_precision() -> None:
    torch.manual_seed(0)
    rows = 4096
    hidden, weight = torch.randn(rows, 16, requires_grad=True), (torch.randn(50, 16) * 0.02).requires_grad_()
    targets = torch.randint(50, (rows,))
    exact = torch.autograd.grad(F.cross_entropy(hidden @ weight.t(), targets), (hidden, weight))
    loss = linear_cross_entropy(hidden, weight, targets, torch.float16)
    for gradient, wanted in zip(torch.autograd.grad(loss * 65536, (hidden, weight)), exact, strict=True):
        assert (gradient / 65536 - wanted).norm() < 0.01 * wanted.norm()


def test_without_gradients_the_loss_is_the_same() -> None:
    hidden, weight, targets = torch.randn(300, 8), torch.randn(40, 8), torch.randint(40, (300,))
    with_gradients = linear_cross_entropy(hidden, weight.requires_grad_(), targets, torch.float32)
    with torch.no_grad():
        assert torch.equal(linear_cross_entropy(hidden, weight, targets, torch.float32), with_gradients)

"""Each kernel computes its formula: the results and gradients that `model` gets in float64, up to rounding."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from llm_studio.model import kernels
from llm_studio.model.attention import attention
from llm_studio.model.embeddings import Rotation, rotate
from llm_studio.model.kernels.block_attention import block_attention
from llm_studio.model.layers import silu_gate
from llm_studio.model.loss import cross_entropy
from llm_studio.model.norms import EPS, RMSNorm

TOLERANCE = {torch.float64: 1e-12, torch.float32: 3e-6, torch.float16: 3e-3, torch.bfloat16: 2e-2}
each_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)


def assert_equal(
    kernel: Callable[..., Tensor], formula: Callable[..., Tensor], *inputs: Tensor, dtype: torch.dtype
) -> None:
    """The result and the gradient of every input are those of the formula in float64, within rounding in `dtype`."""
    inputs = tuple(x.requires_grad_() for x in inputs)
    exact_inputs = tuple(x.detach().double().requires_grad_() for x in inputs)
    result, expected = kernel(*inputs), formula(*exact_inputs)
    assert_close(result, expected, dtype)
    weights = torch.randn_like(expected)
    gradients = torch.autograd.grad((result * weights).sum(), inputs)
    for gradient, expected_gradient in zip(
        gradients, torch.autograd.grad((expected * weights).sum(), exact_inputs), strict=True
    ):
        assert_close(gradient, expected_gradient, dtype)


def assert_close(result: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    assert result.shape == expected.shape
    assert (result - expected).norm() <= TOLERANCE[dtype] * expected.norm()


def random(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).to(dtype)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@each_dtype
@pytest.mark.parametrize("length", [1, 7, 64, 65, 200])
def test_attention_in_blocks_is_attention(dtype: torch.dtype, length: int) -> None:
    # 69 heads: more than are computed together
    q, k, v = (random(3, 23, length, 8, dtype=dtype) for _ in range(3))
    assert_equal(block_attention, attention, q, k, v, dtype=dtype)


@each_dtype
@pytest.mark.parametrize("kv_heads", [6, 2, 1])
@pytest.mark.parametrize(("new", "total"), [(70, 70), (1, 9), (3, 9)])
def test_attention_is_its_formula(dtype: torch.dtype, kv_heads: int, new: int, total: int) -> None:
    """Of all tokens at once, and of new ones after cached ones; query heads share key/value heads."""
    q = random(2, 6, new, 8, dtype=dtype)
    k, v = (random(2, kv_heads, total, 8, dtype=dtype) for _ in range(2))
    assert_equal(kernels.attention, attention, q, k, v, dtype=dtype)
    with torch.no_grad():
        assert_close(kernels.attention(q, k, v), attention(q.double(), k.double(), v.double()), dtype)


def test_a_single_token_attends_to_itself_alone() -> None:
    q, k, v = (torch.randn(2, 3, 1, 8, requires_grad=True) for _ in range(3))
    assert torch.equal(kernels.attention(q, k, v), v)
    assert torch.equal(block_attention(q, k, v), v)


@each_dtype
@pytest.mark.parametrize("scale", [1.0, 1e-3])  # the smaller one is where epsilon matters
def test_rms_norm_is_its_formula(dtype: torch.dtype, scale: float) -> None:
    x = (random(2, 5, 12, dtype=torch.float64) * scale).to(dtype)
    weight = random(12, dtype=torch.promote_types(dtype, torch.float32))
    norm = RMSNorm(12).double()

    def formula(x: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(norm, {"weight": weight}, x)

    assert_equal(lambda x, weight: kernels.rms_norm(x, weight, EPS), formula, x, weight, dtype=dtype)
    assert kernels.rms_norm(x, weight, EPS).dtype == dtype
    assert_close(formula(x.double(), weight.double()), F.rms_norm(x, (12,), weight.to(dtype), EPS), dtype)


@each_dtype
def test_silu_gate_is_its_formula(dtype: torch.dtype) -> None:
    assert_equal(kernels.silu_gate, silu_gate, random(2, 5, 12, dtype=dtype), dtype=dtype)


@each_dtype
def test_rotate_is_its_formula(dtype: torch.dtype) -> None:
    angles = random(5, 1, 3, dtype=torch.float64)
    cos, sin = torch.cat([angles.cos()] * 2, -1), torch.cat([-angles.sin(), angles.sin()], -1)

    def kernel(x: Tensor) -> Tensor:
        return kernels.rotate(x, cos.to(dtype), sin.to(dtype))

    assert_equal(kernel, lambda x: rotate(x, Rotation(cos, sin)), random(2, 5, 4, 6, dtype=dtype), dtype=dtype)


def test_rotation_multiplies_pairs_of_columns_as_complex_numbers() -> None:
    angles = random(5, 1, 3, dtype=torch.float64)
    rotation = Rotation(torch.cat([angles.cos()] * 2, -1), torch.cat([-angles.sin(), angles.sin()], -1))
    x = random(2, 5, 4, 6, dtype=torch.float64)
    rotated = torch.complex(*x.chunk(2, dim=-1)) * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(rotate(x, rotation), torch.cat([rotated.real, rotated.imag], dim=-1))


@each_dtype
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_is_its_formula(dtype: torch.dtype, p: float) -> None:
    x = random(101, 99, dtype=dtype).abs().add(1).requires_grad_()  # an odd number of elements, none of them 0
    y = kernels.dropout(x, p)
    kept = y != 0
    assert_close(y, x.double() * kept / (1 - p), dtype)
    assert kept.double().mean().item() == pytest.approx(1 - p, abs=0.02)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert_close(gradient, kept.double() / (1 - p), dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("rows", "vocab_size", "chunk_rows"), [(0, 5, 4), (1, 3, 4), (700, 5, 256), (600, 90, 300)])
def test_the_chunked_loss_is_cross_entropy(dtype: torch.dtype, rows: int, vocab_size: int, chunk_rows: int) -> None:
    """In half precision as in training: weights in float32, matrix products in autocast's dtype."""
    targets, stored = torch.randint(vocab_size, (rows,)), torch.promote_types(dtype, torch.float32)
    hidden, weight = random(rows, 4, dtype=stored), random(vocab_size, 4, dtype=stored)

    def kernel(hidden: Tensor, weight: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype, enabled=dtype != stored):
            loss = kernels.linear_cross_entropy(hidden, weight, targets, chunk_rows)
        assert loss.dtype == stored
        return loss

    assert_equal(kernel, lambda h, w: cross_entropy(h, w, targets), hidden, weight, dtype=dtype)
    if rows:
        h, w = hidden.detach().double(), weight.detach().double()
        torch.testing.assert_close(cross_entropy(h, w, targets), F.cross_entropy(h @ w.T, targets))


def test_the_loss_of_a_hopeless_prediction_is_finite_and_right() -> None:
    weight, targets = torch.tensor([[1000.0], [0.0]]), torch.tensor([1])
    for dtype in (torch.float32, torch.float64):  # kernel and formula
        assert cross_entropy(torch.ones(1, 1, dtype=dtype), weight.to(dtype), targets).item() == 1000


def test_a_scaled_loss_has_scaled_gradients_in_half_precision() -> None:
    rows = 4096
    hidden, weight = torch.randn(rows, 16, requires_grad=True), (torch.randn(50, 16) * 0.02).requires_grad_()
    targets = torch.randint(50, (rows,))
    exact = torch.autograd.grad(F.cross_entropy(hidden @ weight.t(), targets), (hidden, weight))
    with torch.autocast("cpu", torch.float16):
        loss = cross_entropy(hidden, weight, targets)
    for gradient, expected in zip(torch.autograd.grad(loss * 65536, (hidden, weight)), exact, strict=True):
        assert (gradient / 65536 - expected).norm() < 0.01 * expected.norm()


def test_without_gradients_the_loss_is_the_same() -> None:
    hidden, weight, targets = torch.randn(300, 8), torch.randn(40, 8), torch.randint(40, (300,))
    with_gradients = cross_entropy(hidden, weight.requires_grad_(), targets)
    with torch.no_grad():
        assert torch.equal(cross_entropy(hidden, weight, targets), with_gradients)


@each_dtype
def test_without_gradients_the_results_are_the_same_to_the_last_bit(dtype: torch.dtype) -> None:
    x, weight = random(2, 5, 3, 16, dtype=dtype), random(16, dtype=torch.promote_types(dtype, torch.float32))
    cos, sin = random(5, 1, 16, dtype=dtype), random(5, 1, 16, dtype=dtype)
    each: list[Callable[[], Tensor]] = [
        lambda: kernels.rms_norm(x, weight, EPS), lambda: kernels.silu_gate(x), lambda: kernels.rotate(x, cos, sin),
    ]  # fmt: skip
    for kernel in each:
        expected = kernel()
        with torch.no_grad():
            assert torch.equal(kernel(), expected)

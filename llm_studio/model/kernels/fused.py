"""Elementwise formulas with few passes over memory and explicit gradients.

A small model on a CPU spends as much time on these as on its matrix products, because each elementary operation reads
and writes the whole tensor. On other devices PyTorch's own operations are as fast and are used if they exist.

If no gradient is needed, the same operations are called directly: for one token, `Function.apply` alone takes longer.
"""

import contextlib
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from llm_studio.model.kernels.dtypes import compute_dtype


def dropout(x: Tensor, p: float) -> Tensor:
    """x * kept / (1 - p), where each element of `kept` is 0 with probability p, otherwise 1."""
    if x.device.type != "cpu":
        return F.dropout(x, p)
    # a random int64 takes as long to draw as a random bit, and provides four random numbers of 16 bits each
    words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    uniform = words.view(torch.int16)[: x.numel()].view(x.shape)  # in [-32768, 32767]
    kept = uniform >= round(p * 65536) - 32768
    result = MaskedScale.apply(x, kept, 1 / (1 - p))
    assert isinstance(result, Tensor)
    return result


class MaskedScale(torch.autograd.Function):
    """y = x * kept * scale."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return torch.ops.aten.native_dropout_backward(x, kept, scale)  # the only operation that does it in one pass

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]  one gradient
        (kept,) = ctx.saved_tensors
        return torch.ops.aten.native_dropout_backward(grad, kept, ctx.scale), None, None


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x * cos + swap(x) * sin, where swap exchanges the halves of the last axis and sin is negative in its first."""
    if not torch.is_grad_enabled():
        return _rotate(x, cos, sin)
    result = Rotate.apply(x, cos, sin)
    assert isinstance(result, Tensor)
    return result


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return (x * cos).addcmul_(x.roll(x.shape[-1] // 2, dims=-1), sin)


class Rotate(torch.autograd.Function):
    """`rotate` with its gradient: the rotation back, by cos and -sin."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotate(x, cos, sin)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]  one gradient
        cos, sin = ctx.saved_tensors
        return (grad * cos).addcmul_(grad.roll(grad.shape[-1] // 2, dims=-1), sin, value=-1), None, None


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """weight * x / sqrt(mean(x^2) + eps) over the last axis, in the dtype of matrix products on x."""
    if x.device.type != "cpu":
        with _without_autocast(x):
            return F.rms_norm(x, weight.shape, weight.to(x.dtype), eps)
    if not torch.is_grad_enabled():
        return _rms_norm(x, weight, eps, compute_dtype(x))[0]
    result = RootMeanSquareNorm.apply(x, weight, eps, compute_dtype(x))
    assert isinstance(result, Tensor)
    return result


def _rms_norm(x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The result, and 1 / sqrt(mean(x^2) + eps)."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=weight.dtype)  # (..., 1)
    scale = length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
    y = torch.empty(x.shape, dtype=dtype, device=x.device)
    return torch.mul(x * scale, weight, out=y), scale


def _without_autocast(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Disable autocast for a half-precision x on a GPU: from torch 2.12 on it would turn the result of a norm, and
    everything computed from it, into float32. The sum of squares is accumulated in float32 anyway."""
    half = x.is_cuda and x.dtype != torch.float32
    return torch.autocast("cuda", enabled=False) if half else contextlib.nullcontext()


class RootMeanSquareNorm(torch.autograd.Function):
    """y = w * n in `dtype`, where n = x * s and s = 1 / sqrt(mean(x^2) + eps), over the last axis.

    With g the gradient of y: dw = sum over rows of g * n, and dx = s * (g * w - n * mean(g * w * n)).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        y, scale = _rms_norm(x, weight, eps, dtype)
        ctx.save_for_backward(x, weight, scale)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]  one gradient
        x, weight, scale = ctx.saved_tensors
        width = x.shape[-1]
        normed = x * scale  # (..., width), at least float32
        product = grad * normed
        weight_grad = product.reshape(-1, width).sum(0)
        mean = torch.mv(product.reshape(-1, width), weight).view(scale.shape).div_(width)
        x_grad = (grad * weight).sub_(normed.mul_(mean)).mul_(scale)
        return x_grad.to(x.dtype), weight_grad, None, None


def silu_gate(gate_up: Tensor) -> Tensor:
    """silu(gate) * up of gate and up side by side, (..., 2M) to (..., M), where silu(x) = x * sigmoid(x)."""
    if not torch.is_grad_enabled():
        return _silu_gate(gate_up)
    result = SiluGate.apply(gate_up)
    assert isinstance(result, Tensor)
    return result


def _silu_gate(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate).mul_(up)


class SiluGate(torch.autograd.Function):
    """`silu_gate` with its gradient.

    silu(gate) is not stored for the backward pass but recomputed, and both gradients are written into one tensor.
    """

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        return _silu_gate(gate_up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]  one gradient
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=-1)
        result = torch.empty_like(gate_up)
        gate_grad, up_grad = result.chunk(2, dim=-1)
        torch.mul(grad, F.silu(gate), out=up_grad)
        torch.ops.aten.silu_backward.grad_input(grad * up, gate, grad_input=gate_grad)
        return result

"""Small formulas in few passes over memory, with their gradients written by hand.

A small model on a CPU spends as long on these as on its matrix products, because each elementary operation
reads and writes the whole tensor. The formulas are in the docstrings; on other devices PyTorch's own
operations are as good, and used.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Dropout(nn.Module):
    """Sets a `share` of the numbers to 0 and divides the rest by 1 - share, in training (Srivastava et al. 2014)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape, to the same shape."""
        if not self.training or self.share == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.share)
        # A random int64 costs as much to draw as a random bit, and is enough for four chances of 16 bits each.
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        chances = words.view(torch.int16)[: x.numel()].view(x.shape)  # uniform in [-32768, 32767]
        kept = chances >= round(self.share * 65536) - 32768
        result = MaskedScale.apply(x, kept, 1 / (1 - self.share))
        assert isinstance(result, Tensor)
        return result


class MaskedScale(torch.autograd.Function):
    """y = x * kept * scale."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return torch.ops.aten.native_dropout_backward(x, kept, scale)  # the one operation that does it in one pass

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]  one gradient
        (kept,) = ctx.saved_tensors
        return torch.ops.aten.native_dropout_backward(grad, kept, ctx.scale), None, None


class Rotate(torch.autograd.Function):
    """y = x * cos + swap(x) * sin, where swap exchanges the halves of the last axis.

    The sine is negative in its first half, so the gradient is the rotation back: cos, -sin.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return (x * cos).addcmul_(x.roll(x.shape[-1] // 2, dims=-1), sin)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]  one gradient
        cos, sin = ctx.saved_tensors
        return (grad * cos).addcmul_(grad.roll(grad.shape[-1] // 2, dims=-1), sin, value=-1), None, None


class RootMeanSquareNorm(torch.autograd.Function):
    """y = w * n in `dtype`, where n = x * s and s = 1 / sqrt(mean(x^2) + epsilon), over the last axis.

    With g the gradient of y: dw = sum over rows of g * n, and dx = s * (g * w - n * mean(g * w * n)).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=weight.dtype)  # (..., 1)
        scale = length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        y = torch.empty(x.shape, dtype=dtype, device=x.device)
        return torch.mul(x * scale, weight, out=y)

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


class GatedProduct(torch.autograd.Function):
    """y = silu(gate) * up, where silu(a) = a * sigmoid(a) and `gate_up` (..., 2M) holds gate, then up.

    silu(gate) isn't kept for the way back but made again, and the two gradients are written straight into one tensor.
    """

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate).mul_(up)

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


def gated_product(gate_up: Tensor) -> Tensor:
    """silu(gate) * up, from the two side by side: (..., 2M) to (..., M)."""
    result = GatedProduct.apply(gate_up)
    assert isinstance(result, Tensor)
    return result

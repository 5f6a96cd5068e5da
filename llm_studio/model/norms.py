"""Normalisation: bring each vector to the same size before a layer reads it, which keeps deep networks trainable."""

import contextlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm_studio.model.kernels.fused import RootMeanSquareNorm

EPSILON = 1e-5
"""Added to the mean square, against a division by zero."""


def compute_dtype(x: Tensor) -> torch.dtype:
    """The dtype of matrix products on x: autocast's where it is on, else x's own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def _as_it_is(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Autocast leaves x alone: from torch 2.12 on it makes float32 of what a norm on a graphics card is given, and all
    that follows. The sum of squares is one in float32 anyway."""
    low = x.is_cuda and x.dtype != torch.float32
    return torch.autocast("cuda", enabled=False) if low else contextlib.nullcontext()


class RMSNorm(nn.Module):
    """y = weight * x / sqrt(mean(x^2) + epsilon), over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """x (..., width) to the same shape, in the dtype of the matrix products that read it."""
        if x.device.type != "cpu":
            with _as_it_is(x):
                return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), EPSILON)
        result = RootMeanSquareNorm.apply(x, self.weight, EPSILON, compute_dtype(x))
        assert isinstance(result, Tensor)
        return result


class LayerNorm(nn.Module):
    """y = weight * (x - mean(x)) / sqrt(variance(x) + epsilon) + bias, over the last axis (Ba et al. 2016)."""

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """x (..., width) to the same shape."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, EPSILON)

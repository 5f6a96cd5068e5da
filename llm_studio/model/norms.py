"""Normalisation: bring each vector to the same size before a layer reads it, which keeps deep networks trainable."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm_studio.model import kernels

EPS = 1e-5
"""Added under the square root to avoid a division by zero."""


class RMSNorm(nn.Module):
    """y = weight * x / sqrt(mean(x^2) + eps), over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """x (..., width) to the same shape, in the dtype of the matrix products that read it."""
        if kernels.apply_to(x):
            return kernels.rms_norm(x, self.weight, EPS)
        return self.weight * x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + EPS)


class LayerNorm(nn.Module):
    """y = weight * (x - mean(x)) / sqrt(variance(x) + eps) + bias, over the last axis (Ba et al. 2016)."""

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """x (..., width) to the same shape."""
        if kernels.apply_to(x):
            return F.layer_norm(x, self.weight.shape, self.weight, self.bias, EPS)
        centered = x - x.mean(dim=-1, keepdim=True)
        y = self.weight * centered / torch.sqrt(centered.square().mean(dim=-1, keepdim=True) + EPS)
        return y if self.bias is None else y + self.bias

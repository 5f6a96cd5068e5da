"""Dropout: random zeros in training, so that no feature relies on a single other one (Srivastava et al. 2014)."""

import torch
from torch import Tensor, nn

from llm_studio.model import kernels


class Dropout(nn.Module):
    """In training, set each element to 0 with probability `p` and divide the others by 1 - p, which keeps the mean."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape, to the same shape."""
        if not self.training or self.p == 0:
            return x
        if kernels.apply_to(x):
            return kernels.dropout(x, self.p)
        kept = torch.rand_like(x) >= self.p
        return x * kept / (1 - self.p)

"""The parts of a block: normalisation and the network that works on each token alone.

Axes: B batch, T tokens, D = d_model, M = d_ff.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5
"""Added under a square root, against a division by zero."""


# [if rmsnorm or qk_norm]
class RMSNorm(nn.Module):
    """weight * x / sqrt(mean(x^2) + eps), over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """x (..., width) to the same shape, in float32."""
        x = x.float()
        return self.weight * x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + EPS)


# [end]
# [if layernorm]
class LayerNorm(nn.Module):
    """weight * (x - mean(x)) / sqrt(variance(x) + eps) + bias, over the last axis (Ba et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        # [if bias]
        self.bias = nn.Parameter(torch.zeros(width))
        # [end]

    def forward(self, x: Tensor) -> Tensor:
        """x (..., width) to the same shape, in float32."""
        x = x.float()
        centered = x - x.mean(dim=-1, keepdim=True)
        normed = centered * torch.rsqrt(centered.square().mean(dim=-1, keepdim=True) + EPS)
        # [if bias]
        return self.weight * normed + self.bias
        # [else]
        return self.weight * normed
        # [end]


# [end]
# [if dropout]
class Dropout(nn.Module):
    """In training, set each number to 0 with probability p and divide the others by 1 - p, which keeps the mean."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape, to the same shape."""
        if not self.training:
            return x
        # 16 random bits for each number, drawn as 64 at a time: much faster than one draw for each
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        uniform = words.view(torch.int16)[: x.numel()].view(x.shape)  # from -32768 to 32767
        kept = uniform >= round(self.p * 65536) - 32768
        return x * kept / (1 - self.p)


# [end]
# [if swiglu]
class FeedForward(nn.Module):
    """down(silu(gate(x)) * up(x)): a gate decides how much of each feature passes (Shazeer 2020)."""

    def __init__(self, config) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.d_model, 2 * config.d_ff, bias=config.bias)  # both in one product
        self.down = nn.Linear(config.d_ff, config.d_model, bias=config.bias)
        # [if dropout]
        self.dropout = Dropout(config.dropout)
        # [end]

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)  # (B, T, M) each
        features = F.silu(gate) * up
        # [if dropout]
        return self.dropout(self.down(features))
        # [else]
        return self.down(features)
        # [end]


# [end]
# [if gelu or relu2]
class FeedForward(nn.Module):
    """down(f(up(x))), with a function f of each number alone.

    # [if gelu]
    Here GELU, in GPT-2's approximation (Hendrycks and Gimpel 2016).
    # [end]
    # [if relu2]
    Here max(0, x)^2, the cheapest: most features are exactly 0 (So et al. 2021, "Primer").
    # [end]
    """

    def __init__(self, config) -> None:
        super().__init__()
        self.up = nn.Linear(config.d_model, config.d_ff, bias=config.bias)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=config.bias)
        # [if dropout]
        self.dropout = Dropout(config.dropout)
        # [end]

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        # [if gelu]
        features = F.gelu(self.up(x), approximate="tanh")  # (B, T, M)
        # [end]
        # [if relu2]
        features = F.relu(self.up(x)).square()  # (B, T, M)
        # [end]
        # [if dropout]
        return self.dropout(self.down(features))
        # [else]
        return self.down(features)
        # [end]


# [end]

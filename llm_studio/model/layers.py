"""One Transformer block: attention, in which tokens exchange information, then a network applied to each token.

    x = x + attention(norm(x))
    x = x + feed_forward(norm(x))

The sums are the residual stream: each layer adds something to x instead of replacing it, and gradients flow straight
through (He et al. 2015). The norm comes before each layer ("pre-norm", Xiong et al. 2020), which trains more stably.

Axes: B batch, T new tokens, D = d_model, M = d_ff.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from llm_studio.config import ModelSettings
from llm_studio.model import kernels
from llm_studio.model.attention import CausalSelfAttention
from llm_studio.model.cache import KeyValueCache
from llm_studio.model.dropout import Dropout
from llm_studio.model.embeddings import Rotation
from llm_studio.model.norms import LayerNorm, RMSNorm


class Block(nn.Module):
    """Attention and a feed-forward network, each reading a normalised x and adding its result to x."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.attention_norm = make_norm(settings)
        self.attention = CausalSelfAttention(settings)
        self.feed_forward_norm = make_norm(settings)
        self.feed_forward = SwiGLU(settings) if settings.activation == "swiglu" else MLP(settings)
        self.dropout = Dropout(settings.dropout)

    def forward(
        self, x: Tensor, rotation: Rotation | None, cache: KeyValueCache | None = None, layer: int = 0
    ) -> Tensor:
        """x (B, T, D) to (B, T, D); `rotation` for rotary positions, `cache` and `layer` when generating."""
        x = x + self.dropout(self.attention(self.attention_norm(x), rotation, cache, layer))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


def make_norm(settings: ModelSettings) -> RMSNorm | LayerNorm:
    """The normalisation chosen in the settings, d_model wide."""
    return RMSNorm(settings.d_model) if settings.norm == "rmsnorm" else LayerNorm(settings.d_model, settings.bias)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)): a gate decides how much of each feature passes (Shazeer 2020, "GLU variants")."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.gate_up = nn.Linear(settings.d_model, 2 * settings.d_ff, bias=settings.bias)  # both in one product
        self.down = nn.Linear(settings.d_ff, settings.d_model, bias=settings.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        gate_up = self.gate_up(x)  # (B, T, 2M)
        return self.down(silu_gate(gate_up))


def silu_gate(gate_up: Tensor) -> Tensor:
    """silu(gate) * up of gate and up side by side, (..., 2M) to (..., M), where silu(x) = x * sigmoid(x)."""
    if kernels.apply_to(gate_up):
        return kernels.silu_gate(gate_up)
    gate, up = gate_up.chunk(2, dim=-1)  # (..., M) each
    return F.silu(gate) * up


class MLP(nn.Module):
    """down(f(up(x))) with one of two functions f.

    gelu: GPT-2's, x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 (Hendrycks and Gimpel 2016).
    relu2: max(0, x)^2, the cheapest, with which most features are exactly 0 (So et al. 2021, "Primer").
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.up = nn.Linear(settings.d_model, settings.d_ff, bias=settings.bias)
        self.down = nn.Linear(settings.d_ff, settings.d_model, bias=settings.bias)
        self.squared = settings.activation == "relu2"

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        features = self.up(x)  # (B, T, M)
        features = F.relu(features).square() if self.squared else F.gelu(features, approximate="tanh")
        return self.down(features)

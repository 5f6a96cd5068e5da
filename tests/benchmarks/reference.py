"""The reference of the speed benchmark: the same architecture in a plain implementation.

Written like nanoGPT: one operation after the other, separate matrices for query, key and value, cross-entropy on all
logits, everything in float32. The program's own model is compared with its time per step.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm_studio.config import ModelSettings


class PlainNorm(nn.Module):
    """RMSNorm as defined by its formula."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


def rotate_half(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)


class PlainBlock(nn.Module):
    """Attention with rotary positions, optionally with queries and keys normalised per head, and a SwiGLU network."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.n_heads, self.kv_heads, self.width = settings.n_heads, settings.kv_heads, settings.head_width
        kv_width = self.kv_heads * self.width
        self.attention_norm = PlainNorm(settings.d_model)
        self.query = nn.Linear(settings.d_model, settings.d_model, bias=False)
        self.key = nn.Linear(settings.d_model, kv_width, bias=False)
        self.value = nn.Linear(settings.d_model, kv_width, bias=False)
        self.query_norm = PlainNorm(self.width) if settings.qk_norm else nn.Identity()
        self.key_norm = PlainNorm(self.width) if settings.qk_norm else nn.Identity()
        self.output = nn.Linear(settings.d_model, settings.d_model, bias=False)
        self.feed_forward_norm = PlainNorm(settings.d_model)
        self.gate = nn.Linear(settings.d_model, settings.d_ff, bias=False)
        self.up = nn.Linear(settings.d_model, settings.d_ff, bias=False)
        self.down = nn.Linear(settings.d_ff, settings.d_model, bias=False)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, count, _ = x.shape
        y = self.attention_norm(x)
        q = self.query(y).view(batch, count, self.n_heads, self.width).transpose(1, 2)
        k = self.key(y).view(batch, count, self.kv_heads, self.width).transpose(1, 2)
        v = self.value(y).view(batch, count, self.kv_heads, self.width).transpose(1, 2)
        q, k = self.query_norm(q), self.key_norm(k)
        q = q * cos + rotate_half(q) * sin
        k = k * cos + rotate_half(k) * sin
        shared = self.n_heads // self.kv_heads
        k, v = k.repeat_interleave(shared, dim=1), v.repeat_interleave(shared, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.dropout(self.output(y.transpose(1, 2).contiguous().view(batch, count, -1)))
        y = self.feed_forward_norm(x)
        return x + self.dropout(self.down(F.silu(self.gate(y)) * self.up(y)))


class PlainTransformer(nn.Module):
    """rope + rmsnorm + swiglu + qk_norm, the architecture of the small presets."""

    def __init__(self, settings: ModelSettings, vocab_size: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocab_size, settings.d_model)
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(PlainBlock(settings) for _ in range(settings.n_layers))
        self.norm = PlainNorm(settings.d_model)
        self.head = nn.Linear(settings.d_model, vocab_size, bias=False)
        if settings.tie_embeddings:
            self.head.weight = self.token.weight
        frequencies = settings.rope_theta ** (-torch.arange(0, settings.head_width, 2) / settings.head_width)
        angles = torch.outer(torch.arange(settings.max_seq_len), frequencies).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                is_residual = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * settings.n_layers) if is_residual else 0.02)

    def loss(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.dropout(self.token(ids))
        for block in self.blocks:
            x = block(x, self.cos[: ids.shape[1]], self.sin[: ids.shape[1]])
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

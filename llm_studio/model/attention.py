"""Causal self-attention: each token gathers what it needs from the tokens before it.

    attention(Q, K, V) = softmax(Q K^T / sqrt(K)) V          Vaswani et al. 2017, "Attention is all you need"

From its vector each token makes a query (what am I looking for?), a key (what do I offer?) and a value (what do I
hand over?). The product of a query and a key scores how relevant one token is to another; the softmax turns these
scores into attention weights that sum to 1; the result is the average of the values with these weights. Several
heads work in parallel. Causal: a token sees itself and the tokens before it, never those after it: predicting a token
that it can see would teach nothing.

Axes: B batch, T new tokens, S all tokens so far, H query heads, G key/value heads, K head width, D = H x K.
"""

import math

import torch
from torch import Tensor, nn

from llm_studio.config import ModelSettings
from llm_studio.model import kernels
from llm_studio.model.cache import KeyValueCache
from llm_studio.model.embeddings import Rotation, rotate
from llm_studio.model.norms import RMSNorm


class CausalSelfAttention(nn.Module):
    """Multi-head attention in which several query heads may share one key/value head (Ainslie et al. 2023, "GQA")."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.n_heads = settings.n_heads
        self.kv_heads = settings.kv_heads
        self.head_width = settings.head_width
        # One matrix makes queries, keys and values: one large product is faster than three small ones.
        width = (self.n_heads + 2 * self.kv_heads) * self.head_width
        self.qkv = nn.Linear(settings.d_model, width, bias=settings.bias)
        self.output = nn.Linear(settings.d_model, settings.d_model, bias=settings.bias)
        self.query_norm = RMSNorm(self.head_width) if settings.qk_norm else None
        self.key_norm = RMSNorm(self.head_width) if settings.qk_norm else None

    def forward(
        self, x: Tensor, rotation: Rotation | None, cache: KeyValueCache | None = None, layer: int = 0
    ) -> Tensor:
        """x (B, T, D) to (B, T, D). With a cache, x follows the tokens that the cache holds for this `layer`."""
        q, k, v = self.project(x, rotation)
        if cache is not None:
            k, v = cache.append(layer, k, v)  # (B, G, S, K) each
            q = q.to(k.dtype)
        return self.attend(q, k, v)

    def project(self, x: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, K), keys and values (B, G, T, K) of x (B, T, D)."""
        qkv = self.qkv(x).unflatten(-1, (-1, self.head_width))  # (B, T, H + 2G, K)
        q, k, v = qkv.split([self.n_heads, self.kv_heads, self.kv_heads], dim=2)  # (B, T, H or G, K)
        if self.query_norm is not None and self.key_norm is not None:
            q, k = self.query_norm(q), self.key_norm(k)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The outputs of all heads for queries (B, H, T, K), keys and values (B, G, S, K), projected: (B, T, D)."""
        return self.mix(attention(q, k, v))

    def mix(self, y: Tensor) -> Tensor:
        """Concatenate the results y (B, H, T, K) of all heads and apply the output projection: (B, T, D)."""
        return self.output(y.transpose(1, 2).flatten(2))


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(K)) v for q (B, H, T, K), the last T of the S tokens of k and v (B, G, S, K)."""
    if kernels.apply_to(q):
        return kernels.attention(q, k, v)
    return attention_weights(q, k) @ repeat_heads(v, q.shape[1])  # (B, H, T, K)


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(K)), (B, H, T, S): how much each query attends to each token; 0 for later ones."""
    new, total = q.shape[2], k.shape[2]
    scores = q @ repeat_heads(k, q.shape[1]).transpose(2, 3) / math.sqrt(q.shape[3])  # (B, H, T, S)
    visible = torch.ones(new, total, dtype=torch.bool, device=q.device).tril(diagonal=total - new)
    return scores.masked_fill(~visible, -math.inf).softmax(dim=-1)


def repeat_heads(x: Tensor, n_heads: int) -> Tensor:
    """x (B, G, S, K) with each key/value head repeated for all query heads that share it: (B, H, S, K)."""
    return x.repeat_interleave(n_heads // x.shape[1], dim=1)

"""Causal self-attention: each token gathers what it needs from the tokens before it.

    attention(Q, K, V) = softmax(Q K^T / sqrt(width)) V          Vaswani et al. 2017, "Attention is all you need"

From its vector each token makes a query (what am I looking for?), a key (what do I offer?) and a value (what do I
hand over?). The product of a query and a key scores how relevant one token is to another; the softmax turns the scores
into weights that sum to 1; the result is the average of the values with these weights. Several heads work side by side.

Axes: B batch, T new tokens, S all tokens so far, H heads, K width of a head, D = H x K.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# [if rope]
from src.model.embeddings import RotaryPositions, rotate

# [end]
# [if dropout and qk_norm]
from src.model.layers import Dropout, RMSNorm

# [end]
# [if dropout and not qk_norm]
from src.model.layers import Dropout

# [end]
# [if qk_norm and not dropout]
from src.model.layers import RMSNorm

# [end]


class KeyValueCache:
    """The keys and values of the tokens read so far: they never change, as no token sees a later one."""

    def __init__(self) -> None:
        self.length = 0
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of new tokens, (B, heads, T, K), and return those of all."""
        if layer in self.layers:
            before = self.layers[layer]
            keys, values = torch.cat([before[0], keys], dim=2), torch.cat([before[1], values], dim=2)
        self.layers[layer] = keys, values
        return keys, values


class CausalSelfAttention(nn.Module):
    """Multi-head attention.

    # [if grouped]
    Several query heads share one key/value head (Ainslie et al. 2023, "GQA").
    # [else]
    Each head has its own queries, keys and values.
    # [end]
    """

    def __init__(self, config) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        # [if grouped]
        self.kv_heads = config.n_kv_heads
        # [else]
        self.kv_heads = config.n_heads
        # [end]
        self.width = config.d_model // config.n_heads
        # one matrix makes queries, keys and values: one large product is faster than three small ones
        self.qkv = nn.Linear(config.d_model, (self.n_heads + 2 * self.kv_heads) * self.width, bias=config.bias)
        self.output = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        # [if qk_norm]
        self.query_norm = RMSNorm(self.width)
        self.key_norm = RMSNorm(self.width)
        # [end]
        # [if rope]
        self.rotary = RotaryPositions(config)
        # [end]
        # [if dropout]
        self.dropout = Dropout(config.dropout)
        # [end]

    def forward(self, x: Tensor, cache: KeyValueCache | None = None, layer: int = 0) -> Tensor:
        """x (B, T, D) to (B, T, D). With a cache, x comes after the tokens in it."""
        qkv = self.qkv(x).unflatten(-1, (-1, self.width))  # (B, T, H + 2 kv_heads, K)
        q, k, v = qkv.split([self.n_heads, self.kv_heads, self.kv_heads], dim=2)
        # [if qk_norm]
        q, k = self.query_norm(q).to(v.dtype), self.key_norm(k).to(v.dtype)
        # [end]
        # [if rope]
        rotation = self.rotary(0 if cache is None else cache.length, x.shape[1])
        q, k = rotate(q, rotation), rotate(k, rotation)
        # [end]
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, heads, T, K)
        if cache is not None:
            k, v = cache.append(layer, k, v)
        y = attention(q, k, v)  # (B, H, T, K)
        y = y.transpose(1, 2).flatten(2)  # the results of all heads side by side: (B, T, D)
        # [if dropout]
        return self.dropout(self.output(y))
        # [else]
        return self.output(y)
        # [end]


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(K)) v, where no token sees a later one. q holds the last T of the S tokens of k and v.

    PyTorch's function does it without ever storing all T x S scores.
    """
    new, total = q.shape[2], k.shape[2]
    visible = torch.ones(new, total, dtype=torch.bool, device=q.device).tril(diagonal=total - new)
    # [if grouped]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible, enable_gqa=True)
    # [else]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
    # [end]

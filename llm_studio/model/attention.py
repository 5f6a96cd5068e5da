"""Causal self-attention: each token gathers what it needs from the tokens before it.

    Attention(Q, K, V) = softmax(Q K^T / sqrt(K)) V          Vaswani et al. 2017, "Attention is all you need"

From its vector each token makes a query (what am I looking for?), a key (what do I offer?) and a value (what do I
hand over?). The product of a query with a key says how much one token cares for another; the softmax turns
these scores into shares; the result is the values, mixed in these shares. Several heads do this side by side.
Causal: a token sees itself and what came before, never what comes after, or predicting it would teach nothing.

Axes: B batch, T new tokens, S all tokens so far, H query heads, G key/value heads, K head width, D = H x K.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm_studio.config import ModelSettings
from llm_studio.model.embeddings import Rotation, rotate
from llm_studio.model.kernels.block_attention import block_attention
from llm_studio.model.norms import RMSNorm


class KeyValueCache:
    """Keys and values of the tokens already read, so that writing the next token need not read them again.

    `length` tokens of at most `capacity` are filled. The memory is taken once, at the start.
    """

    def __init__(
        self, settings: ModelSettings, batch: int, length: int, device: torch.device | str, dtype: torch.dtype
    ) -> None:
        shape = (settings.n_layers, 2, batch, settings.kv_heads, length, settings.head_width)
        self.tensor = torch.zeros(shape, device=device, dtype=dtype)  # (layers, 2, B, G, capacity, K)
        self.capacity = length
        self.length = 0

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store the (B, G, T, K) of new tokens; give back those of all S tokens so far. `advance` counts them."""
        end = self.length + keys.shape[2]
        if end > self.capacity:
            raise ValueError(f"the cache holds {self.capacity} tokens: {end} don't fit")
        self.tensor[layer, 0, :, :, self.length : end] = keys
        self.tensor[layer, 1, :, :, self.length : end] = values
        return self.tensor[layer, 0, :, :, :end], self.tensor[layer, 1, :, :, :end]  # (B, G, S, K) each

    def advance(self, count: int) -> None:
        """`count` more tokens are stored in every layer."""
        self.length += count

    def clear(self) -> None:
        """Forget all tokens; the memory stays."""
        self.length = 0


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
        batch, count, _ = x.shape
        qkv = self.qkv(x).view(batch, count, -1, self.head_width)  # (B, T, H + 2G, K)
        q, k, v = qkv.split([self.n_heads, self.kv_heads, self.kv_heads], dim=2)  # (B, T, H or G, K)
        if self.query_norm is not None and self.key_norm is not None:
            q, k = self.query_norm(q), self.key_norm(k)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, H, T, K), (B, G, T, K) twice
        if cache is not None:
            k, v = cache.append(layer, k, v)  # (B, G, S, K)
            q = q.to(k.dtype)
        y = attend(q, k, v)  # (B, H, T, K)
        return self.output(y.transpose(1, 2).reshape(batch, count, -1))  # (B, T, D)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(K)) v for q (B, H, T, K), the last T of the S tokens of k and v (B, G, S, K)."""
    new, total = q.shape[2], k.shape[2]
    shared = q.shape[1] // k.shape[1]  # query heads that each key/value head serves
    in_blocks = new == total and q.requires_grad and q.device.type == "cpu" and q.dtype == torch.bfloat16
    if shared > 1 and (in_blocks or (q.is_cuda and not _flash_attention_takes(q.dtype))):
        k, v = k.repeat_interleave(shared, dim=1), v.repeat_interleave(shared, dim=1)  # (B, H, S, K)
        shared = 1
    if in_blocks:
        return block_attention(q, k, v)
    # A lone new token may see everything. Several new ones after cached ones need a mask of their own:
    # is_causal lines the triangle up at the top left, right only where nothing came before.
    mask = causal_mask(new, total, q.device) if 1 < new < total else None
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=1 < new == total, enable_gqa=shared > 1)


def _flash_attention_takes(dtype: torch.dtype) -> bool:
    """Whether the card has the one fast kernel that shares keys and values; else all scores would be held at once."""
    there = torch.backends.cuda.is_flash_attention_available() and torch.cuda.get_device_capability() >= (8, 0)
    return there and dtype in (torch.bfloat16, torch.float16)


def causal_mask(new: int, total: int, device: torch.device) -> Tensor:
    """Which of `total` tokens each of the last `new` ones may see: True where it may, (new, total)."""
    return torch.ones(new, total, dtype=torch.bool, device=device).tril(diagonal=total - new)

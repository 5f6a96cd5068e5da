"""Causal attention by the fastest implementation for the device and dtype: torch's own, or `block_attention`."""

import torch
import torch.nn.functional as F
from torch import Tensor

from llm_studio.model.kernels.block_attention import block_attention


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(K)) v, causal: q (B, H, T, K) for the last T of the S tokens of k and v (B, G, S, K)."""
    new, total = q.shape[2], k.shape[2]
    queries_per_kv = q.shape[1] // k.shape[1]
    in_blocks = new == total and q.requires_grad and q.device.type == "cpu" and q.dtype == torch.bfloat16
    if queries_per_kv > 1 and (in_blocks or (q.is_cuda and not _flash_attention_supports(q.dtype))):
        k, v = k.repeat_interleave(queries_per_kv, dim=1), v.repeat_interleave(queries_per_kv, dim=1)  # (B, H, S, K)
        queries_per_kv = 1
    if in_blocks:
        return block_attention(q, k, v)
    # A single new token may see every token. Several new ones after cached ones need an explicit mask:
    # is_causal aligns the triangle top-left, which is right only when nothing is cached.
    mask = _causal_mask(new, total, q.device) if 1 < new < total else None
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=1 < new == total, enable_gqa=queries_per_kv > 1
    )


def _flash_attention_supports(dtype: torch.dtype) -> bool:
    """Whether the GPU has a fused kernel with shared keys and values; otherwise all scores would be held at once."""
    available = torch.backends.cuda.is_flash_attention_available() and torch.cuda.get_device_capability() >= (8, 0)
    return available and dtype in (torch.bfloat16, torch.float16)


def _causal_mask(new: int, total: int, device: torch.device) -> Tensor:
    """A mask (new, total) of the tokens that each of the last `new` ones may see, True if it may."""
    return torch.ones(new, total, dtype=torch.bool, device=device).tril(diagonal=total - new)

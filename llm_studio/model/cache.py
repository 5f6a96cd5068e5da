"""The key/value cache: it reduces the cost of generating a token from the whole text so far to one token.

Keys and values of earlier tokens never change, since no token sees a later one: they are stored once and read again.
Axes: B batch, T new tokens, S all tokens so far, G key/value heads, K head width.
"""

import torch
from torch import Tensor

from llm_studio.config import ModelSettings


class KeyValueCache:
    """Keys and values of the `length` tokens read so far, at most `capacity`. Memory is allocated once."""

    def __init__(
        self, settings: ModelSettings, batch: int, capacity: int, device: torch.device | str, dtype: torch.dtype
    ) -> None:
        shape = (settings.n_layers, 2, batch, settings.kv_heads, capacity, settings.head_width)
        self.tensor = torch.zeros(shape, device=device, dtype=dtype)  # (layers, 2, B, G, capacity, K)
        self.capacity = capacity
        self.length = 0

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values (B, G, T, K) of new tokens and return those of all tokens so far, (B, G, S, K) each.

        `length` stays the same until `advance`, as every layer stores the same tokens. Raises ValueError when full.
        """
        end = self.length + keys.shape[2]
        if end > self.capacity:
            raise ValueError(f"the cache holds {self.capacity} tokens: {end} don't fit")
        self.tensor[layer, 0, :, :, self.length : end] = keys
        self.tensor[layer, 1, :, :, self.length : end] = values
        return self.tensor[layer, 0, :, :, :end], self.tensor[layer, 1, :, :, :end]

    def advance(self, count: int) -> None:
        """Count `count` more tokens, now that every layer has stored them."""
        self.length += count

    def clear(self) -> None:
        """Remove all tokens; the memory stays allocated."""
        self.length = 0

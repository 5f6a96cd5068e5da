"""From token ids to vectors, and how the model knows the order of tokens.

Attention alone sees a set of tokens, not a sequence. There are three solutions; a model uses one of them:

- learned: a vector per position, added to the token's (GPT-2);
- sinusoidal: the same with fixed waves (Vaswani et al. 2017, section 3.5);
- rope: nothing is added here; queries and keys are rotated by an angle that grows with the position, so that
  their product depends on the distance between two tokens (Su et al. 2021, "RoFormer").

Axes: B batch, T new tokens, S positions, K head width, D = d_model, V vocabulary.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from llm_studio.config import ModelSettings
from llm_studio.model import kernels
from llm_studio.model.dropout import Dropout


class Embeddings(nn.Module):
    """Token ids (B, T) to vectors (B, T, D): the token's row of a table, plus the position's where it is added."""

    def __init__(self, settings: ModelSettings, vocab_size: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocab_size, settings.d_model)
        self.position = (
            nn.Embedding(settings.max_seq_len, settings.d_model) if settings.positions == "learned" else None
        )
        self.waves: Tensor | None
        waves = sinusoids(settings.max_seq_len, settings.d_model) if settings.positions == "sinusoidal" else None
        self.register_buffer("waves", waves, persistent=False)
        self.dropout = Dropout(settings.dropout)
        self.d_model = settings.d_model

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """The vectors of `ids` (B, T) at the positions `start`, `start + 1`, ..."""
        end = start + ids.shape[1]
        x = self.token(ids)  # (B, T, D)
        if self.position is not None:
            x = x + self.position.weight[start:end]  # (T, D), the same for each sequence of the batch
        elif self.waves is not None:
            # the waves have amplitude 1 and new embeddings 0.02: without this factor the waves would dominate
            x = x * math.sqrt(self.d_model) + self.waves[start:end]
        return self.dropout(x)


def sinusoids(length: int, width: int) -> Tensor:
    """Waves (length, width): sines in the even columns, cosines in the odd ones, from fast to slow."""
    columns = torch.arange(0, width, 2, dtype=torch.float32)
    angles = torch.arange(length)[:, None] * 10000.0 ** (-columns / width)  # (S, D/2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (S, D)


class Rotation(NamedTuple):
    """Cosine and sine of the angles for T positions, both (T, 1, K), the axis of 1 for the heads."""

    cos: Tensor
    sin: Tensor
    """Negative in its first half, see `rotate`."""


class RotaryPositions(nn.Module):
    """The angles of rotary positions: pair j of a head's K/2 pairs turns by theta^(-2j/K) radians per position."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        width = settings.head_width
        columns = torch.arange(0, width, 2, dtype=torch.float32)
        angles = torch.arange(settings.max_seq_len)[:, None] * settings.rope_theta ** (-columns / width)  # (S, K/2)
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", torch.cat([angles.cos(), angles.cos()], dim=-1), persistent=False)  # (S, K)
        self.register_buffer("sin", torch.cat([-angles.sin(), angles.sin()], dim=-1), persistent=False)  # (S, K)

    def forward(self, start: int, count: int, dtype: torch.dtype) -> Rotation:
        """The rotation of the positions `start` to `start + count - 1`."""
        rows = slice(start, start + count)
        return Rotation(self.cos[rows, None].to(dtype), self.sin[rows, None].to(dtype))


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate each pair of columns of x (B, T, heads, K): (a, b) becomes (a cos - b sin, b cos + a sin).

    The pairs are the columns j and j + K/2, as in Llama. The minus is in the table of sines.
    """
    if kernels.apply_to(x):
        return kernels.rotate(x, rotation.cos, rotation.sin)
    swapped = x.roll(x.shape[-1] // 2, dims=-1)  # the halves exchanged: b, a
    return x * rotation.cos + swapped * rotation.sin

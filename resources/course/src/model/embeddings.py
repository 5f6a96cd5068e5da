"""From the ids of tokens to vectors, and how the model knows in which order they come.

# [if rope]
Attention alone sees a set of tokens, not a sequence. Rotary positions turn queries and keys by an angle that grows
with the position: their product then depends on the distance between two tokens (Su et al. 2021, "RoFormer").
# [end]
# [if learned]
Attention alone sees a set of tokens, not a sequence. So a vector that is learned for each position is added to the
token's own (GPT-2).
# [end]
# [if sinusoidal]
Attention alone sees a set of tokens, not a sequence. So waves, sines and cosines of many lengths, are added to the
vectors of the tokens: each position has its own pattern (Vaswani et al. 2017).
# [end]

Axes: B batch, T tokens, D = d_model, V vocabulary, K width of a head.
"""

# [if not learned]
import torch

# [end]
from torch import Tensor, nn

# [if dropout]
from src.model.layers import Dropout

# [end]


class Embeddings(nn.Module):
    """Ids (B, T) to vectors (B, T, D): each token is a row of a table."""

    def __init__(self, config) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocab_size, config.d_model)
        # [if learned]
        self.position = nn.Embedding(config.max_seq_len, config.d_model)
        # [end]
        # [if sinusoidal]
        self.register_buffer("waves", sinusoids(config.max_seq_len, config.d_model), persistent=False)
        # [end]
        # [if dropout]
        self.dropout = Dropout(config.dropout)
        # [end]

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """The vectors of `ids`, which stand at the positions `start`, `start + 1`, ..."""
        # [if rope]
        # [if dropout]
        return self.dropout(self.token(ids))
        # [else]
        return self.token(ids)
        # [end]
        # [else]
        # [if learned]
        x = self.token(ids)  # (B, T, D)
        position = self.position.weight[start : start + ids.shape[1]]  # (T, D), the same for all texts of the batch
        # [end]
        # [if sinusoidal]
        # New embeddings are small, waves go from -1 to 1: without the factor they would drown the tokens.
        x = self.token(ids) * self.token.embedding_dim**0.5  # (B, T, D)
        position = self.waves[start : start + ids.shape[1]]  # (T, D), the same for all texts of the batch
        # [end]
        # [if dropout]
        return self.dropout(x + position)
        # [else]
        return x + position
        # [end]
        # [end]


# [if sinusoidal]
def sinusoids(length: int, width: int) -> Tensor:
    """Waves (length, width): sines in the even columns, cosines in the odd ones, from fast to slow."""
    columns = torch.arange(0, width, 2, dtype=torch.float32)
    angles = torch.arange(length)[:, None] * 10000.0 ** (-columns / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


# [end]
# [if rope]
class RotaryPositions(nn.Module):
    """The cosines and sines of the angles: pair j of a head turns by theta^(-2j/K) radians per position."""

    def __init__(self, config) -> None:
        super().__init__()
        width = config.d_model // config.n_heads
        columns = torch.arange(0, width, 2, dtype=torch.float32)
        angles = torch.arange(config.max_seq_len)[:, None] * config.rope_theta ** (-columns / width)  # (S, K/2)
        self.register_buffer("cos", torch.cat([angles.cos(), angles.cos()], dim=-1), persistent=False)  # (S, K)
        self.register_buffer("sin", torch.cat([-angles.sin(), angles.sin()], dim=-1), persistent=False)

    def forward(self, start: int, count: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines (T, 1, K) for `count` positions from `start` on; the axis of 1 is for the heads."""
        return self.cos[start : start + count, None], self.sin[start : start + count, None]


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (a, b) of columns of x (B, T, heads, K): it becomes (a cos - b sin, b cos + a sin).

    A pair is column j with column j + K/2. The minus is in the table of sines.
    """
    cos, sin = (part.to(x.dtype) for part in rotation)
    halves_exchanged = x.roll(x.shape[-1] // 2, dims=-1)  # b, a
    return x * cos + halves_exchanged * sin


# [end]

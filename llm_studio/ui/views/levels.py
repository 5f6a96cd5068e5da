"""Attention weights as levels of brightness: plain arrays, so that a worker can make them.

Axes: L layers, H heads, T tokens, S squares of a thumbnail.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llm_studio.workflows.inside.results import AttentionMaps, HeadKinds

    Levels = NDArray[np.uint8]

THUMBNAIL = 64
"""Squares of a thumbnail, at most."""


@dataclass(frozen=True, eq=False)
class AttentionLevels:
    """Attention maps with their levels, 0 to 255, and what the heads measurably do; None: that isn't known yet."""

    maps: "AttentionMaps"
    kinds: "HeadKinds | None"
    levels: "Levels"
    """(L, H, T, T): the square root of each weight, since most of them are small."""
    thumbnails: "Levels"
    """(L, H, S, S): the largest level of each block of tokens."""


def attention_levels(maps: "AttentionMaps", kinds: "HeadKinds | None" = None) -> AttentionLevels:
    """Compute the levels."""
    import numpy as np

    levels = np.empty(maps.weights.shape, dtype=np.uint8)
    for layer, weights in enumerate(maps.weights):  # one at a time: float32 takes four times as much memory
        levels[layer] = np.sqrt(weights.astype(np.float32)) * 255
    return AttentionLevels(maps, kinds, levels, _blocks(levels))


def _blocks(levels: Any) -> Any:
    import numpy as np

    n_layers, n_heads, length, _length = levels.shape
    side = -(-length // THUMBNAIL)
    if side == 1:
        return levels
    count = -(-length // side)
    padded = np.zeros((n_layers, n_heads, count * side, count * side), dtype=np.uint8)
    padded[..., :length, :length] = levels
    return padded.reshape(n_layers, n_heads, count, side, count, side).max(axis=(3, 5))

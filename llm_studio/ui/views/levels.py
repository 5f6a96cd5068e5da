"""Attention weights as levels of brightness. The results are plain arrays, so that a worker thread can compute them.

Axes: L layers, H heads, T tokens, S pixels of a thumbnail.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llm_studio.workflows.inside.results import AttentionMaps, HeadKinds

    Levels = NDArray[np.uint8]

THUMBNAIL = 64
"""Maximum width and height of a thumbnail in pixels."""


@dataclass(frozen=True, eq=False)
class AttentionLevels:
    """Attention maps, the measured behaviour of the heads (None if it isn't known yet), and the maps as levels."""

    maps: "AttentionMaps"
    kinds: "HeadKinds | None"
    levels: "Levels"
    """(L, H, T, T), from 0 to 255: 255 times the square root of each weight, which makes small weights visible."""
    thumbnails: "Levels"
    """(L, H, S, S): the maximum level of each block of tokens."""


def attention_levels(maps: "AttentionMaps", kinds: "HeadKinds | None" = None) -> AttentionLevels:
    """Compute the levels of attention maps."""
    import numpy as np

    levels = np.empty(maps.weights.shape, dtype=np.uint8)
    for layer, weights in enumerate(maps.weights):  # layer by layer: float32 takes four times the memory of the levels
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

"""The parts of a model that can be switched off, by name. Without torch, so that every module can import it.

In code, layers and heads are counted from 0; in the names that users see and type, from 1: L1H2, L3.attention,
L3.feed_forward.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["head", "attention", "feed_forward"]


@dataclass(frozen=True, order=True)
class ModelPart:
    """A head, the attention or the feed-forward network of a layer. `head` is used only for the kind "head"."""

    layer: int
    kind: Kind
    head: int = 0

    @property
    def name(self) -> str:
        """Its name, such as L1H2 or L3.attention."""
        return f"L{self.layer + 1}" + (f"H{self.head + 1}" if self.kind == "head" else f".{self.kind}")


def all_parts(n_layers: int, n_heads: int) -> list[ModelPart]:
    """Every part of a model: layer by layer its heads, its attention, its feed-forward network."""
    found: list[ModelPart] = []
    for layer in range(n_layers):
        found += [ModelPart(layer, "head", head) for head in range(n_heads)]
        found += [ModelPart(layer, "attention"), ModelPart(layer, "feed_forward")]
    return found

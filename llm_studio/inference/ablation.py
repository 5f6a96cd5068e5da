"""Switching parts of a model off: its heads, a layer's attention, a layer's feed-forward network.

A part that is switched off adds nothing to the residual stream: its output is zero (zero ablation; the other common
choice, replacing it by its mean, needs texts to average over). A head writes into the stream through its own columns of
the output matrix, so a head is switched off by zeros in these columns, and a whole sublayer by zeros in its last matrix
and bias. The ablated model shares all other weights with the original, and is used like any other model.
"""

from collections.abc import Iterable

from torch import Tensor

from llm_studio.inference.load import build_model
from llm_studio.inference.parts import ModelPart
from llm_studio.model.transformer import Transformer


def ablated(model: Transformer, off: Iterable[ModelPart]) -> Transformer:
    """`model` with the parts `off` switched off; with no parts, its outputs are bit-identical.

    Raises ValueError for a part that the model doesn't have.
    """
    weights = dict(model.state_dict())
    device = model.head_weight.device
    for part in off:
        if not (0 <= part.layer < model.settings.n_layers and 0 <= part.head < model.settings.n_heads):
            raise ValueError(f"the model has no {part}")
        matrix = "feed_forward.down" if part.kind == "feed_forward" else "attention.output"
        if part.kind == "head":
            width = model.settings.head_width
            _zero(weights, f"blocks.{part.layer}.{matrix}.weight", part.head * width, (part.head + 1) * width)
            continue
        for name in (f"blocks.{part.layer}.{matrix}.weight", f"blocks.{part.layer}.{matrix}.bias"):
            if name in weights:
                _zero(weights, name)
    return build_model(model.settings, weights).to(device)


def _zero(weights: dict[str, Tensor], name: str, first: int = 0, end: int | None = None) -> None:
    """Replace a weight by a copy with zeros in the columns `first` to `end` of a matrix, or in all of a vector."""
    copy = weights[name].clone()
    copy[..., first:end] = 0
    weights[name] = copy

"""Switching parts of a model off: its heads, a layer's attention, a layer's feed-forward network.

A part that is switched off adds nothing to the residual stream: its output is zero (zero ablation; replacing it by its
mean is the other common choice, and needs texts to average over). A head writes into the stream through its own columns
of the output matrix, so a head is switched off by zeros in these columns, and a whole sublayer by zeros in its last
matrix and bias. The ablated model shares all other weights with the original, and generates, is evaluated and traced as
any other.
"""

from collections.abc import Iterable

from torch import Tensor

from llm_studio.inference.load import build_model
from llm_studio.inference.parts import ModelPart
from llm_studio.model.transformer import Transformer


def ablated(model: Transformer, off: Iterable[ModelPart]) -> Transformer:
    """`model` with the parts `off` switched off; without any, it computes the same to the last bit.

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
    """Zeros in the columns `first` to `end` of a copy of a matrix, or in a copy of a vector."""
    copy = weights[name].clone()
    copy[..., first:end] = 0
    weights[name] = copy

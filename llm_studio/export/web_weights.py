"""Weights for the web page: matrices in int8 with one scale per row, everything else in float32, all in base64."""

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from llm_studio.runs.tensors import Tensors

LARGEST = 127
"""The largest weight in int8; -128 isn't used, so that the range is symmetric."""


class Quantized(NamedTuple):
    """A matrix (R, C) as int8 `values` (R, C) times float32 `scales` (R,)."""

    values: "Tensor"
    scales: "Tensor"


def quantize(weight: "Tensor") -> Quantized:
    """Round a matrix (R, C) to int8: the largest weight of a row becomes 127 or -127."""
    import torch

    scales = weight.abs().amax(dim=1).float() / LARGEST  # (R,)
    steps = weight / torch.where(scales > 0, scales, 1.0)[:, None]
    return Quantized(steps.round().clamp(-LARGEST, LARGEST).to(torch.int8), scales)


def dequantized(weights: "Tensors") -> "Tensors":
    """The float32 weights as the page uses them, after rounding to int8."""
    return {
        name: quantize(tensor).values.float() * quantize(tensor).scales[:, None] if tensor.ndim == 2 else tensor
        for name, tensor in weights.items()
    }


def elements(weights: "Tensors") -> Iterator[str]:
    """One HTML element per tensor."""
    for name, tensor in weights.items():
        if tensor.ndim == 2:
            found = quantize(tensor)
            content = found.scales.numpy().astype("<f4").tobytes() + found.values.numpy().tobytes()
            shape = f'data-rows="{tensor.shape[0]}" data-columns="{tensor.shape[1]}"'
        else:
            content, shape = tensor.float().numpy().astype("<f4").tobytes(), f'data-rows="{len(tensor)}"'
        encoded = base64.b64encode(content).decode("ascii")
        yield f'<script type="text/plain" data-tensor="{name}" {shape}>{encoded}</script>\n'


def page_bytes(parameters: int) -> int:
    """Approximate bytes of base64 for the weights."""
    return parameters * 4 // 3

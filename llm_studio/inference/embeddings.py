"""The table of token embeddings: which tokens are near each other, and a map of them in the plane.

Axes: V vocabulary, N chosen tokens, D = d_model.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from llm_studio.model.transformer import Transformer


class Neighbour(NamedTuple):
    """A token and the cosine of the angle between its embedding and another, from -1 to 1."""

    token: int
    cosine: float


@torch.inference_mode()
def neighbours(model: Transformer, token: int, count: int) -> list[Neighbour]:
    """The `count` tokens whose embeddings are nearest to that of `token` by cosine, nearest first, without itself."""
    table = model.embeddings.token.weight  # (V, D)
    cosines = F.cosine_similarity(table, table[token, None], dim=-1)  # (V,)
    cosines[token] = -torch.inf
    best = cosines.topk(min(count, len(table) - 1))
    return [Neighbour(*pair) for pair in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


class Projection(NamedTuple):
    """A projection of embeddings: `points` (N, 2) and the fraction of the variance on each axis."""

    points: Tensor
    explained: tuple[float, float]


@torch.inference_mode()
def principal_components(model: Transformer, tokens: Sequence[int] | None = None) -> Projection:
    """The embeddings of `tokens`, or of all, on their two principal components (Pearson 1901), the larger one first.

    Computed from the eigenvectors of the covariance matrix (D, D): exact, and without random numbers, unlike
    `torch.pca_lowrank`, which uses torch's global generator and would change a run in another thread. The sign of a
    component is chosen so that its largest entry is positive.
    """
    table = model.embeddings.token.weight
    chosen = table if tokens is None else table[torch.tensor(list(tokens), dtype=torch.long, device=table.device)]
    if len(chosen) == 0:
        return Projection(chosen.new_empty(0, 2), (0.0, 0.0))
    centered = (chosen - chosen.mean(dim=0)).cpu()  # (N, D)
    values, vectors = torch.linalg.eigh(centered.T @ centered)  # in ascending order
    axes = vectors[:, [-1, -2]]  # (D, 2)
    axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    variance = values.clamp(min=0)
    total = variance.sum().item() or 1.0
    return Projection(centered @ axes, (variance[-1].item() / total, variance[-2].item() / total))

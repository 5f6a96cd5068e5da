"""Muon: momentum, with each matrix's update made orthogonal (Keller Jordan 2024, kellerjordan.github.io/posts/muon).

A matrix's gradient is dominated by a few directions. AdamW scales single entries, which doesn't change that. Muon
decomposes the momentum as U S V^T and updates by U V^T, so that rare directions are learned as fast as common ones.
U V^T is computed without a decomposition, by matrix products alone (`orthogonal`).

The update is scaled by 0.2 sqrt(longer side), which gives its entries the size of AdamW's (Liu et al. 2025, "Muon is
scalable for LLM training", arXiv:2502.16982): so both use learning rates of the same order and the same weight decay.

Muon is for the matrices within the blocks only. Rows of an embedding are looked up, not multiplied: AdamW updates them.
"""
# torch's operations on whole lists of tensors, `_foreach_...`, have no public names:
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from llm_studio.training.optim.sharding import full_tensor, is_sharded, shard_like

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of the polynomial in `orthogonal`: small singular values grow fast, and all end between 0.7 and 1.2."""
ROUNDS = 5
TINY = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon for matrices, with Nesterov momentum and decoupled weight decay. `dtype` is that of the products."""

    def __init__(
        self, matrices: list[Tensor], learning_rate: float, momentum: float, weight_decay: float, dtype: torch.dtype
    ) -> None:
        super().__init__(matrices, {"lr": learning_rate, "momentum": momentum, "weight_decay": weight_decay})
        self._dtype = dtype
        self.fine: Tensor | None = None
        """A bool on the device: if it is false, a step changes nothing."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  no loss is returned
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            rate, memory = group["lr"], group["momentum"]
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            momenta = [self._momentum_of(p) for p in weights]
            gradients = [p.grad for p in weights if p.grad is not None]
            kept = 1 - rate * group["weight_decay"]
            if self.fine is not None:
                gradients = [torch.where(self.fine, g, m) for g, m in zip(gradients, momenta, strict=True)]
                kept = torch.where(self.fine, kept, 1.0)
            torch._foreach_lerp_(momenta, gradients, 1 - memory)
            ahead = torch._foreach_lerp(gradients, momenta, memory)  # the momentum after the next step (Nesterov)
            torch._foreach_mul_(weights, kept)
            for alike in _by_shape(weights, 1 if is_sharded(weights[0]) else len(weights)):
                self._update([weights[i] for i in alike], [ahead[i] for i in alike], rate)

    def _momentum_of(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        return state["momentum"]

    def _update(self, weights: list[Tensor], updates: list[Tensor], rate: float | Tensor) -> None:
        """Update weights of one shape by their orthogonalized updates, in one batch of products."""
        high = len(weights[0]) > weights[0].shape[1]  # the products are smaller if a matrix is wider than high
        wholes = [u.t() if high else u for u in map(full_tensor, updates)]
        stacked = torch.stack(wholes).to(self._dtype)  # (count, rows, columns)
        made = orthogonal(stacked).to(weights[0].dtype)
        made = made if self.fine is None else made * self.fine
        scale = 0.2 * math.sqrt(made.shape[2])
        parts = [shard_like(m.t() if high else m, w) for m, w in zip(made.unbind(), weights, strict=True)]
        if isinstance(rate, Tensor):
            torch._foreach_mul_(parts, rate * -scale)
            torch._foreach_add_(weights, parts)
        else:
            torch._foreach_add_(weights, parts, alpha=-rate * scale)


def _by_shape(matrices: list[Tensor], most: int) -> list[list[int]]:
    """Indices of matrices grouped by shape, at most `most` per group; one at a time if they are sharded."""
    found: dict[torch.Size, list[int]] = {}
    for index, matrix in enumerate(matrices):
        found.setdefault(matrix.shape, []).append(index)
    return [alike[first : first + most] for alike in found.values() for first in range(0, len(alike), most)]


def orthogonal(x: Tensor) -> Tensor:
    """Approximately U V^T for each matrix U S V^T of x (count, rows, columns), with rows ≤ columns.

    x is scaled so that no singular value s exceeds 1; then each iteration replaces s by a s + b s^3 + c s^5. This needs
    no decomposition: with A = X X^T it is F X, where F = a + b A + c A^2 ("Newton-Schulz").
    """
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(TINY)
    if x.shape[2] >= 2 * x.shape[1] and x.dtype != torch.bfloat16:
        return _orthogonal_wide(x)
    a, b, c = COEFFICIENTS
    for _round in range(ROUNDS):
        gram = torch.bmm(x, x.mT)  # A (count, rows, rows)
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)  # b A + c A^2
        x = torch.baddbmm(x, polynomial, x, beta=a)  # a X + (b A + c A^2) X
    return x


def _orthogonal_wide(x: Tensor) -> Tensor:
    """The same with half the work: all iterations on the small square A (A becomes F A F), and one product with X.

    A holds s^2, and small values of it need more digits than bfloat16 has.
    """
    a, b, c = COEFFICIENTS
    gram = torch.bmm(x, x.mT)  # A (count, rows, rows)
    total = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand_as(gram)  # product of all F
    for _round in range(ROUNDS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)  # F
        total = torch.bmm(factor, total)
        gram = torch.bmm(torch.bmm(factor, gram), factor)
    return torch.bmm(total, x)

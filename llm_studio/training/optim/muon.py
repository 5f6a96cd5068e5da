"""Muon: momentum, with each matrix's update made orthogonal (Keller Jordan 2024, kellerjordan.github.io/posts/muon).

A gradient of a matrix is mostly made of a few directions. AdamW scales single numbers and leaves that so; Muon
takes the momentum apart as U S V^T and updates by U V^T, so that rare directions are learned as fast as common ones.
U V^T is not found by a decomposition but by matrix products alone (`orthogonal`).

The update is scaled by 0.2 sqrt(longer side), which gives its numbers the size that AdamW's have (Liu et al. 2025,
"Muon is scalable for LLM training", arXiv:2502.16982): so both take rates of the same order, and one weight decay.

Only for the matrices within the blocks. Rows of an embedding are looked up, not multiplied: they stay with AdamW.
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
"""Of the polynomial in `orthogonal`: they bring small singular values up fast, and all to between 0.7 and 1.2."""
ROUNDS = 5
TINY = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon over matrices, with Nesterov's momentum and decoupled weight decay. `dtype` is that of the products."""

    def __init__(
        self, matrices: list[Tensor], learning_rate: float, momentum: float, weight_decay: float, dtype: torch.dtype
    ) -> None:
        super().__init__(matrices, {"lr": learning_rate, "momentum": momentum, "weight_decay": weight_decay})
        self._dtype = dtype
        self.fine: Tensor | None = None
        """Where it is false, one bool on the device, a step changes nothing."""

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
            ahead = torch._foreach_lerp(gradients, momenta, memory)  # where the momentum will be (Nesterov)
            torch._foreach_mul_(weights, kept)
            for alike in _by_shape(weights, 1 if is_sharded(weights[0]) else len(weights)):
                self._update([weights[i] for i in alike], [ahead[i] for i in alike], rate)

    def _momentum_of(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        return state["momentum"]

    def _update(self, weights: list[Tensor], updates: list[Tensor], rate: float | Tensor) -> None:
        """Move weights of one shape against their updates, made orthogonal in one batch of products."""
        high = len(weights[0]) > weights[0].shape[1]  # the products are smaller where a matrix is wider than high
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
    """Which of them have the same shape, at most so many together: where each process holds a part, one at a time."""
    found: dict[torch.Size, list[int]] = {}
    for index, matrix in enumerate(matrices):
        found.setdefault(matrix.shape, []).append(index)
    return [alike[first : first + most] for alike in found.values() for first in range(0, len(alike), most)]


def orthogonal(x: Tensor) -> Tensor:
    """About U V^T for each matrix U S V^T of x (count, rows, columns), rows ≤ columns.

    Scaled so that no singular value s exceeds 1; then each round replaces s by a s + b s^3 + c s^5, which needs no
    decomposition: with A = X X^T it is F X, where F = a + b A + c A^2 ("Newton-Schulz").
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
    """The same with half the work: all rounds on the small square A, which F makes F A F, and X but once at the end.

    A holds s^2, whose small ones need more digits than bfloat16 has.
    """
    a, b, c = COEFFICIENTS
    gram = torch.bmm(x, x.mT)  # A (count, rows, rows)
    total = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand_as(gram)  # the product of all F
    for _round in range(ROUNDS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)  # F
        total = torch.bmm(factor, total)
        gram = torch.bmm(torch.bmm(factor, gram), factor)
    return torch.bmm(total, x)

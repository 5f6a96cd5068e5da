"""Cross-entropy from the last hidden states, without ever holding all logits.

    loss = mean over the rows of  log(sum_v exp(logits[v])) - logits[target],   logits = hidden W^T

With 32,000 tokens of vocabulary, 16,384 rows of logits are 2 GB in float32, and as much again for their gradient.
The gradient of a row's loss is known as soon as its logits are: softmax(logits) - onehot(target). So for each chunk of
rows the loss and its contribution to the gradients of `hidden` and W are computed together, and its logits are
overwritten by the next chunk's. The chunk stays in the processor's cache, which also makes this faster than the plain
formula.

Axes: N rows (batch x time), D = d_model, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from llm_studio.model.kernels.dtypes import compute_dtype


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, chunk_rows: int) -> Tensor:
    """Mean cross-entropy in nats, a scalar, 0 for no rows. hidden (N, D), weight (V, D), targets (N,).

    At most `chunk_rows` rows of logits are held at once. Matrix products have autocast's dtype; exponentials and sums
    are at least float32, and so is the result.
    """
    result = LinearCrossEntropy.apply(hidden, weight, targets, chunk_rows, compute_dtype(hidden))
    assert isinstance(result, Tensor)
    return result


class LinearCrossEntropy(torch.autograd.Function):
    """`linear_cross_entropy` with its gradients, computed in the forward pass and only scaled in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, chunk_rows: int, dtype: torch.dtype
    ) -> Tensor:
        needs_grad = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        h, w = hidden.to(dtype), weight.to(dtype)
        sum_dtype = torch.promote_types(dtype, torch.float32)
        total = torch.zeros((), dtype=sum_dtype, device=h.device)
        hidden_grad = torch.empty_like(h) if needs_grad else None
        weight_grad = torch.zeros(weight.shape, dtype=sum_dtype, device=h.device) if needs_grad else None
        rows = min(len(h), chunk_rows)
        # allocated once: the operating system takes long to provide so much memory again for each chunk
        buffers = torch.empty(2, rows, len(weight), dtype=sum_dtype, device=h.device)
        products = torch.empty(rows, len(weight), dtype=dtype, device=h.device) if dtype != sum_dtype else None
        for start in range(0, len(h), max(rows, 1)):
            chunk, target = h[start : start + rows], targets[start : start + rows, None]
            logits, probs = buffers[:, : len(chunk)]  # (rows, V) each
            product = torch.mm(chunk, w.t(), out=logits if products is None else products[: len(chunk)])
            if products is not None:
                logits.copy_(product)
            torch.softmax(logits, dim=-1, out=probs)
            # log(sum(exp(logits))) = max(logits) - log(max(probs)): the largest of V probabilities is at least 1/V,
            # so its logarithm is finite.
            log_sum = logits.amax(dim=-1) - probs.amax(dim=-1).log()
            total += (log_sum - logits.gather(1, target)[:, 0]).sum()
            if hidden_grad is not None and weight_grad is not None:
                probs.scatter_add_(1, target, torch.full_like(target, -1, dtype=sum_dtype))
                # The gradient of the sum of losses: the mean's could be too small for float16.
                logits_grad = probs if products is None else product.copy_(probs)
                torch.mm(logits_grad, w, out=hidden_grad[start : start + rows])  # (rows, D)
                if products is None:
                    weight_grad.addmm_(logits_grad.t(), chunk)  # (V, D)
                else:
                    weight_grad += torch.mm(logits_grad.t(), chunk)
        if hidden_grad is not None and weight_grad is not None:
            ctx.save_for_backward(hidden_grad, weight_grad)
        ctx.rows, ctx.dtypes = max(len(h), 1), (hidden.dtype, weight.dtype)
        return total / ctx.rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]  one gradient
        hidden_grad, weight_grad = ctx.saved_tensors
        scale = grad / ctx.rows
        return (hidden_grad * scale).to(ctx.dtypes[0]), (weight_grad * scale).to(ctx.dtypes[1]), None, None, None

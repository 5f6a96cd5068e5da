"""Cross-entropy from the last vectors, without ever holding all logits.

    loss = mean over the rows of  log(sum_v exp(logits[v])) - logits[target],   logits = hidden W^T

With 32,000 tokens of vocabulary, 16,384 rows of logits are 2 GB in float32, and as much again for their gradient.
The gradient of a row's loss is known as soon as its logits are: softmax(logits) - onehot(target). So each chunk of
rows gives its loss and its share of the gradients of `hidden` and W in one go, and its logits are overwritten by the
next one's. The chunk stays in the processor's cache, which also makes this faster than the plain formula.

Axes: N rows (batch x time), D = d_model, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from llm_studio.model.cost import chunk_rows


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
    """Mean cross-entropy in nats, a float32 scalar, 0 for no rows. hidden (N, D), weight (V, D), targets (N,).

    `dtype` is that of the matrix products.
    Exponentials and sums are taken in float32 whatever the `dtype`.
    """
    result = LinearCrossEntropy.apply(hidden, weight, targets, dtype)
    assert isinstance(result, Tensor)
    return result


class LinearCrossEntropy(torch.autograd.Function):
    """`linear_cross_entropy` with its gradients, found on the way forward and handed over on the way back."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        h, w = hidden.to(dtype), weight.to(dtype)
        sum_dtype = torch.promote_types(dtype, torch.float32)
        total = torch.zeros((), dtype=sum_dtype, device=h.device)
        hidden_grad = torch.empty_like(h) if wanted else None
        weight_grad = torch.zeros(weight.shape, dtype=sum_dtype, device=h.device) if wanted else None
        rows = min(len(h), chunk_rows(len(weight), h.device.type))
        # taken once: a system takes long to hand out so much memory for each chunk anew
        numbers = torch.empty(2, rows, len(weight), dtype=sum_dtype, device=h.device)
        products = torch.empty(rows, len(weight), dtype=dtype, device=h.device) if dtype != sum_dtype else None
        for start in range(0, len(h), max(rows, 1)):
            chunk, target = h[start : start + rows], targets[start : start + rows, None]
            logits, shares = numbers[:, : len(chunk)]  # (rows, V) each
            product = torch.mm(chunk, w.t(), out=logits if products is None else products[: len(chunk)])
            if products is not None:
                logits.copy_(product)
            torch.softmax(logits, dim=-1, out=shares)
            # log(sum(exp(logits))) = top - log(softmax(top)): the largest share is at least 1/V, so its log is safe.
            log_sum = logits.amax(dim=-1) - shares.amax(dim=-1).log()
            total += (log_sum - logits.gather(1, target)[:, 0]).sum()
            if hidden_grad is not None and weight_grad is not None:
                shares.scatter_add_(1, target, torch.full_like(target, -1, dtype=sum_dtype))
                # Of the sum of losses: the mean's could be too small for float16
                logits_grad = shares if products is None else product.copy_(shares)
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
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]  one gradient
        hidden_grad, weight_grad = ctx.saved_tensors
        scale = grad / ctx.rows
        return (hidden_grad * scale).to(ctx.dtypes[0]), (weight_grad * scale).to(ctx.dtypes[1]), None, None

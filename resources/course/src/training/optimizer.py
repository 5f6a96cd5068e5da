"""The update of the weights.

# [if muon]
Muon for the matrices of the blocks, AdamW (Loshchilov and Hutter 2019) for all others.
# [else]
AdamW (Loshchilov and Hutter 2019), with weight decay on matrices only.
# [end]
"""

import torch
from torch import nn


class Optimizer:
    """The optimizer of a model. `parts`: the optimizers of PyTorch, each with its rate as a multiple of AdamW's."""

    def __init__(self, model: nn.Module, training) -> None:
        self.names = {parameter: name for name, parameter in model.named_parameters()}
        # [if muon]
        inner = [p for p, name in self.names.items() if p.dim() == 2 and "blocks." in name]
        others = [p for p, name in self.names.items() if not (p.dim() == 2 and "blocks." in name)]
        # [else]
        others = list(self.names)
        # [end]
        adamw = torch.optim.AdamW(
            [
                {"params": [p for p in others if p.dim() >= 2], "weight_decay": training.weight_decay},
                {"params": [p for p in others if p.dim() < 2], "weight_decay": 0.0},
            ],
            lr=training.learning_rate, betas=(training.beta1, training.beta2), eps=1e-8, fused=True,
        )  # fmt: skip
        # [if muon]
        muon = Muon(inner, training.muon_momentum, training.weight_decay)
        self.parts = [(adamw, 1.0), (muon, training.muon_learning_rate / training.learning_rate)]
        # [else]
        self.parts = [(adamw, 1.0)]
        # [end]

    def step(self, rate: float) -> None:
        """One update of all weights, with their gradients, which are then forgotten."""
        for part, share in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * share
            part.step()
            part.zero_grad()

    def state(self) -> dict[str, torch.Tensor]:
        """What has to be saved so that training can be resumed, by name."""
        return {
            f"{self.names[parameter]}.{key}": value
            for part, _share in self.parts
            for parameter, state in part.state.items()
            for key, value in state.items()
        }

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """The inverse of `state`."""
        kept = {torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq")}
        for part, _share in self.parts:
            for parameter in (p for group in part.param_groups for p in group["params"]):
                keys = {key: f"{self.names[parameter]}.{key}" for key in kept.get(type(part), ("momentum",))}
                if all(name in tensors for name in keys.values()):
                    part.state[parameter] = {key: tensors[name].to(parameter.device) for key, name in keys.items()}


# [if muon]
class Muon(torch.optim.Optimizer):
    """Momentum, with each matrix's update made orthogonal (Keller Jordan 2024, kellerjordan.github.io/posts/muon).

    A gradient of a matrix is mostly made of a few directions. Muon takes the momentum apart as U S V^T and updates by
    U V^T, so that rare directions are learned as fast as common ones. The factor 0.2 sqrt(longer side) gives its
    numbers the size that AdamW's have (Liu et al. 2025, arXiv:2502.16982).
    """

    def __init__(self, matrices: list[torch.Tensor], momentum: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": 0.0, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """One update of every matrix."""
        for group in self.param_groups:
            for weight in group["params"]:
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - group["momentum"])
                update = weight.grad.lerp(momentum, group["momentum"])  # where the momentum will be (Nesterov)
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(orthogonal(update), alpha=-group["lr"] * 0.2 * max(weight.shape) ** 0.5)


def orthogonal(x: torch.Tensor) -> torch.Tensor:
    """About U V^T for the matrix x = U S V^T, by products alone: no decomposition is needed.

    Scaled so that no singular value s exceeds 1; then each round replaces s by 3.4445 s - 4.7750 s^3 + 2.0315 s^5,
    which brings them all to about 1 ("Newton-Schulz").
    """
    if x.shape[0] > x.shape[1]:
        return orthogonal(x.T).T  # the products are smaller where a matrix is wider than high
    # [if bfloat16]
    y = x.bfloat16()
    # [else]
    y = x
    # [end]
    y = y / y.norm().clamp_min(1e-7)
    for _round in range(5):
        gram = y @ y.T
        y = 3.4445 * y + (-4.7750 * gram + 2.0315 * gram @ gram) @ y
    return y.to(x.dtype)


# [end]

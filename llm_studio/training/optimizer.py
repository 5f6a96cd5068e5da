"""AdamW (arXiv:1711.05101), with weight decay on matrices only."""

import torch
from torch import nn

from llm_studio.config import TrainingSettings


def build(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """An AdamW over the model's parameters: norms' gains and biases are not pulled towards zero.

    The learning rate is set anew at every step by the trainer. One fused kernel updates all tensors.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [g for g in groups if g["params"]],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=1e-8,
        fused=True,
    )


def state_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, torch.Tensor]:
    """The moments as named tensors, `<parameter>.exp_avg` and so on, to be stored without pickling."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        f"{names[id(p)]}.{key}": value
        for p, state in optimizer.state.items()
        for key, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def load_state_tensors(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """The inverse of `state_tensors`."""
    for name, parameter in model.named_parameters():
        prefix = f"{name}."
        found = {k.removeprefix(prefix): t for k, t in tensors.items() if k.removeprefix(prefix) in _MOMENTS and
                 k.startswith(prefix)}  # fmt: skip
        if found:
            # torch keeps the step counter of a fused AdamW beside the moments, on the parameter's device
            optimizer.state[parameter] = {k: t.to(parameter.device, torch.float32) for k, t in found.items()}


_MOMENTS = ("step", "exp_avg", "exp_avg_sq")

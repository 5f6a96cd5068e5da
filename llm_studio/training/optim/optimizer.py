"""The optimizers: AdamW for all weights, or Muon for the matrices of the blocks and AdamW for the rest.

AdamW (arXiv:1711.05101) is the standard one, with weight decay on matrices only. Muon is explained in `muon.py`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from llm_studio.config import TrainingSettings
from llm_studio.errors import CheckpointError
from llm_studio.i18n import _
from llm_studio.runs.checkpoint import OPTIMIZER
from llm_studio.runs.tensors import require_finite
from llm_studio.training.optim.muon import Muon
from llm_studio.training.optim.sharding import shard_like

_KEPT: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    Muon: ("momentum",),
}
"""The state that each optimizer keeps per parameter."""


class Optimizer(torch.optim.Optimizer):
    """One or several optimizers as one, sharing groups and state. Each has a factor for the learning rate."""

    def __init__(self, parts: list[tuple[torch.optim.Optimizer, float]], learning_rate: float) -> None:
        self.parts = [part for part, _share in parts]
        self._share_of_group: list[float] = []
        super().__init__([group for part in self.parts for group in part.param_groups], {})  # the same objects
        for part, share in parts:
            part.state = self.state
            self._share_of_group += [share] * len(part.param_groups)
        self.set_learning_rate(learning_rate)

    def set_learning_rate(self, rate: float | torch.Tensor) -> None:
        """Set the rate of AdamW; Muon's follows in proportion. A tensor is a scalar on the device."""
        for group, share in zip(self.param_groups, self._share_of_group, strict=True):
            group["lr"] = rate * share

    def only_where(self, fine: torch.Tensor | None) -> None:
        """Make `step` change nothing if `fine`, a bool on the device, is false; no synchronization is needed."""
        for part in self.parts:
            if isinstance(part, Muon):
                part.fine = fine
            else:  # the flag that torch's GradScaler sets for a fused optimizer
                part.found_inf = None if fine is None else (~fine).float()  # pyright: ignore[reportAttributeAccessIssue]

    def step(self, closure: Callable[[], Any] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  no loss is returned
        """Update all weights that have a gradient."""
        for part in self.parts:
            part.step()


def build(model: nn.Module, settings: TrainingSettings, dtype: torch.dtype = torch.float32) -> Optimizer:
    """The optimizer that the settings ask for, over the model's parameters.

    Gains of norms and biases have no weight decay. The trainer sets the learning rate at every step. AdamW updates all
    tensors with one fused kernel. `dtype` is that of the model's matrix products, and of Muon's.
    """
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    inner = {n: p for n, p in parameters.items() if settings.optimizer == "muon" and p.dim() == 2 and "blocks." in n}
    others = [p for name, p in parameters.items() if name not in inner]
    groups = [
        {"params": [p for p in others if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in others if p.dim() < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(
        [g for g in groups if g["params"]],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=1e-8,
        fused=True,
        capturable=others[0].device.type == "cuda",
    )
    parts: list[tuple[torch.optim.Optimizer, float]] = [(adamw, 1.0)]
    if inner:
        rate = settings.muon_learning_rate
        # float16 has too few digits for so many products of small numbers
        exact = torch.float32 if dtype == torch.float16 else dtype
        muon = Muon(list(inner.values()), rate, settings.muon_momentum, settings.weight_decay, exact)
        parts.append((muon, rate / settings.learning_rate))
    return Optimizer(parts, settings.learning_rate)


def state_tensors(optimizer: Optimizer, model: nn.Module) -> dict[str, torch.Tensor]:
    """The optimizer's state as named tensors, `<parameter>.exp_avg` and so on, to be stored without pickling."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        f"{names[id(p)]}.{key}": value
        for p, state in optimizer.state.items()
        for key, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def load_state_tensors(
    optimizer: Optimizer, model: nn.Module, tensors: dict[str, torch.Tensor], path: Path = Path(OPTIMIZER)
) -> None:
    """The inverse of `state_tensors`. State of another kind of optimizer is ignored.

    Raises CheckpointError, naming the file at `path`, if the state doesn't fit the parameters.
    """
    optimizer.state.clear()  # state that is in no file, as at step 0, is reset
    names = {id(p): name for name, p in model.named_parameters()}
    for part in optimizer.parts:
        for parameter in (p for group in part.param_groups for p in group["params"]):
            wanted = {key: f"{names[id(parameter)]}.{key}" for key in _KEPT[type(part)]}
            if not any(name in tensors for name in wanted.values()):
                continue
            for key, name in wanted.items():
                _require_fit(path, name, tensors.get(name), torch.Size() if key == "step" else parameter.shape)
            # torch keeps the step counter of a fused AdamW beside the moments, on the parameter's device
            optimizer.state[parameter] = {
                key: _like(tensors[name].to(parameter.device, torch.float32), parameter) for key, name in wanted.items()
            }


def _require_fit(path: Path, name: str, tensor: torch.Tensor | None, shape: torch.Size) -> None:
    if tensor is None or tensor.shape != shape or tensor.dtype != torch.float32:
        raise CheckpointError(
            _("The state of the optimizer in {path} doesn't fit its model: “{name}”.").format(path=path, name=name),
            _("Use another checkpoint."),
        )
    require_finite(path, name, tensor)


def _like(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Shard a tensor like its parameter; a scalar step counter is not sharded."""
    return shard_like(tensor, parameter) if tensor.shape == parameter.shape else tensor

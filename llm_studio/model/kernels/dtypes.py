"""Which tensors the kernels handle, and the dtype of matrix products."""

import torch
from torch import Tensor


def apply_to(x: Tensor) -> bool:
    """Whether a kernel handles x. float64 is the reference precision, for which the formulas of `model` are used."""
    return x.dtype != torch.float64


def compute_dtype(x: Tensor) -> torch.dtype:
    """The dtype of matrix products on x: autocast's if it is enabled, otherwise x's own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype

"""Tensors of which each process of a run may hold one shard (`training.sharded`). A plain tensor is its own shard."""

from torch import Tensor


def is_sharded(tensor: Tensor) -> bool:
    """Whether this process holds only a shard of a tensor (a DTensor)."""
    return hasattr(tensor, "full_tensor")


def full_tensor(tensor: Tensor) -> Tensor:
    """The full tensor, gathered from all processes. Every process must call this."""
    gather = getattr(tensor, "full_tensor", None)
    return gather() if callable(gather) else tensor  # pyright: ignore[reportReturnType]  a Tensor


def shard_like(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's shard of a full tensor, sharded like `like`, a tensor of the same shape."""
    if not is_sharded(like):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)

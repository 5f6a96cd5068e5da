"""Several processes that train one model together, started by PyTorch's launcher:

    torchrun --nproc-per-node 4 -m llm_studio train DIR

All processes draw the same sequences of a step and each takes its part of them; the gradients are averaged over all
processes before each update. So the batch is the same for any number of processes. With `training.sharded` each process
also holds only its shard of the weights, the gradients and the optimizer's state (Zhao et al. 2023, "FSDP",
arXiv:2304.11277). Only the first process writes: the log, checkpoints, snapshots and the record of the run.
Decisions that depend on one process alone (to stop, to save) are shared, so that all processes act alike.
"""

import contextlib
import datetime
import inspect
import json
import os
import time
import uuid
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import (
    _set_pg_timeout,  # pyright: ignore[reportPrivateUsage]  the only way to a patience other than that of joining
)
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from llm_studio.errors import TrainingError
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.training.optim.sharding import shard_like

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

_JOINING = datetime.timedelta(minutes=10)
"""How long a process waits for the others to join: the launchers start all of them together."""

_PATIENCE = datetime.timedelta(hours=12)
"""How long it waits for processes that have joined: the first may be waiting for disk space. A process that ends is
noticed sooner."""

_POLL_SECONDS = 0.05
"""Seconds between two checks whether the others have joined."""


def is_launched() -> bool:
    """Whether PyTorch's launcher started this process as one of several, or may restart it."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "WORLD_SIZE" in os.environ


def is_first() -> bool:
    """Whether this process is the one that writes files and prints messages."""
    return not is_launched() or os.environ["RANK"] == "0"


class ProcessGroup:
    """The processes of a training run. With one process every operation is trivial."""

    def __init__(self, rank: int = 0, count: int = 1, store: "Store | None" = None) -> None:
        self.rank = rank
        self.count = count
        self._store = store
        """The launcher's key-value store: it outlives the processes."""

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def remember(self, run: str) -> None:
        """Store the name of the run for the processes that the launcher starts after a failure."""
        if self._store is not None and self.first:
            self._store.set("run", run)

    def remembered(self) -> str:
        """The name of the run that earlier processes started; "" if there is none."""
        there = self._store is not None and self._store.check(["run"])
        return self._store.get("run").decode() if self._store is not None and there else ""

    def any_of(self, *flags: bool) -> list[bool]:
        """Combine flags over all processes: each is true if it is true in any process."""
        if self.count == 1:
            return list(flags)
        summary = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(summary, dist.ReduceOp.MAX)
        return [bool(flag) for flag in summary.tolist()]

    def sum_of(self, values: Tensor) -> Tensor:
        """The sums of `values` over all processes, (n,) float64 on the processor."""
        if self.count == 1:
            return values
        summary = values.clone()
        dist.all_reduce(summary)
        return summary

    def wait_for_all(self) -> None:
        """Barrier: return when every process has called this."""
        if self.count > 1:
            self.any_of(False)

    def broadcast(self, plan: dict[str, Any] | None = None) -> dict[str, Any]:
        """The first process's `plan`, a JSON value, in every process."""
        if self.count == 1:
            return plan or {}
        text = json.dumps(plan).encode() if self.first else b""
        length = torch.tensor([len(text)])
        dist.broadcast(length, 0)
        content = torch.frombuffer(bytearray(text), dtype=torch.uint8) if text else torch.empty(0, dtype=torch.uint8)
        content = content if self.first else content.new_empty(int(length))
        dist.broadcast(content, 0)
        return json.loads(bytes(content.tolist()))

    def part_of(self, sequences: int) -> slice:
        """The slice of a step's sequences for this process. Raises TrainingError if they can't be divided evenly."""
        if sequences % self.count:
            raise TrainingError(
                _("{sequences} sequences of a step can't be shared among {count} processes.").format(
                    sequences=sequences, count=self.count
                ),
                _("Let training.batch_size × training.gradient_accumulation_steps be a multiple of {count}.").format(
                    count=self.count
                ),
            )
        own = sequences // self.count
        return slice(self.rank * own, (self.rank + 1) * own)

    def first_micro_batch(self, batch_size: int, count: int) -> int:
        """The number within a step of this process's first micro-batch, of `count` in all. Numbers are unique.

        If each process does whole micro-batches, they have the same numbers as in a single process.
        """
        own = self.part_of(batch_size * count)
        whole = (own.stop - own.start) % batch_size == 0
        return own.start // batch_size if whole else self.rank * batch_size * count


ALONE = ProcessGroup()
_current = ALONE


def current() -> ProcessGroup:
    """The group that this process has joined, or `ALONE`."""
    return _current


@contextlib.contextmanager
def joined(job: Job) -> Generator[ProcessGroup]:
    """The group of the processes that the launcher started. Raises Cancelled if the job is cancelled while joining."""
    rank, count = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    global _current
    with _translate_lost_process():
        store = next(rendezvous("env://", rank, count, timeout=_JOINING))[0]
        own = dist.PrefixStore(_round(store, rank, count, job), store)  # pyright: ignore[reportPrivateImportUsage]  documented
        dist.init_process_group(backend, store=own, rank=rank, world_size=count, timeout=_JOINING)
        _set_pg_timeout(_PATIENCE)
        own.set_timeout(_PATIENCE)  # NCCL connects at the first reduction
        _current = ProcessGroup(rank, count, store)
        try:
            yield _current
        finally:
            _current = ALONE
            dist.destroy_process_group()


def _round(store: "Store", rank: int, count: int, job: Job) -> str:
    """A prefix for this attempt's keys in the launcher's store, different from those of earlier attempts.

    The store still holds the keys of processes that have ended, and each server counts restarts for itself. So every
    process draws a unique name; it adopts the first process's name only after that process has answered to its own.
    """
    name = uuid.uuid4().hex
    if rank == 0:
        store.set("round", name)
        calls = [f"{name}/{other}" for other in range(1, count)]
        _wait(lambda: not calls or store.check(calls), job)
        for call in calls:
            store.set(store.get(call).decode(), name)
        return name

    def answered() -> bool:
        if store.check(["round"]):  # may be left over from a process that has ended
            store.set(f"{store.get('round').decode()}/{rank}", name)
        return store.check([name])

    _wait(answered, job)
    return store.get(name).decode()


def _wait(done: Callable[[], bool], job: Job) -> None:
    until = time.monotonic() + _JOINING.total_seconds()
    while not done():
        if time.monotonic() > until:
            raise _lost()
        job.wait(_POLL_SECONDS)


def take_card(device: str) -> None:
    """Assign this process a graphics card of its own, if the run uses CUDA."""
    if device != "cuda":
        return
    here, cards = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if here >= cards:
        raise TrainingError(
            _("There are more processes than graphics cards: {count}.").format(count=cards),
            _("Start torchrun with --nproc-per-node {count}.").format(count=cards),
        )
    torch.cuda.set_device(here)


@contextlib.contextmanager
def _translate_lost_process() -> Generator[None]:
    """Turn communication errors into a plain message that another process has ended."""
    try:
        yield
    except RuntimeError as error:
        words = ("gloo", "NCCL", "peer", "Connection", "Broken pipe")
        if not isinstance(error, dist.DistError) and not any(word in str(error) for word in words):
            raise
        raise _lost() from error


def _lost() -> TrainingError:
    return TrainingError(
        _("Another process of this run has ended."),
        _("Its earlier messages say why. “--resume” continues from the last checkpoint; torchrun --max-restarts "
          "does so automatically."),
    )  # fmt: skip


# --- The model of all processes ----------------------------------------------------------------------------------


class _Loss(nn.Module):
    """Wraps `model.loss` as `forward`, which is what DistributedDataParallel hooks into."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.model.loss(*tensors)


class DistributedModel:
    """The model, replicated or sharded over the processes: the backward pass of `loss` averages the gradients."""

    def __init__(self, model: Transformer, group: ProcessGroup, sharded: bool) -> None:
        self._model = model
        self._copies: DistributedDataParallel | None = None
        self.sharded = sharded and group.count > 1
        if self.sharded:
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method  # takes two seconds to import

            mesh = init_device_mesh(next(model.parameters()).device.type, (group.count,))
            for block in model.blocks:
                fully_shard(block, mesh=mesh)
            fully_shard(model, mesh=mesh, reshard_after_forward=True)  # else evaluation unshards some weights
            register_fsdp_forward_method(model, "loss")
        elif group.count > 1:
            # buffers hold constant tables, equal everywhere; torch 2.13 renames the parameter that disables their sync
            names = inspect.signature(DistributedDataParallel).parameters
            quiet: Any = {"forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers": False}
            self._copies = DistributedDataParallel(_Loss(model), gradient_as_bucket_view=True, **quiet)

    def loss(self, *tensors: Tensor) -> Tensor:
        """The model's loss of a micro-batch."""
        return self._model.loss(*tensors) if self._copies is None else self._copies(*tensors)

    @contextlib.contextmanager
    def averaging(self, last: bool) -> Generator[None]:
        """Average the gradients over the processes only after the `last` micro-batch of a step."""
        if self._copies is not None and not last:
            with self._copies.no_sync():
                yield
            return
        if self.sharded:
            self._model.set_requires_gradient_sync(last)  # pyright: ignore[reportCallIssue]  fully_shard adds it
        yield


@torch.no_grad()
def load(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load full weights into a model, or into the shards of it that this process holds."""
    shards = {name: shard_like(weights[name], tensor) for name, tensor in model.state_dict().items() if name in weights}
    model.load_state_dict(shards)

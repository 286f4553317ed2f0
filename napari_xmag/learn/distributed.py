"""Several processes that train together, as torchrun starts them; alone, all of this is nothing."""

import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress

T = TypeVar("T")

# One process may have to wait while another looks at slides. When one dies, torchrun ends all.
_PATIENCE = timedelta(days=2)
_BUCKET = 16_000_000


@dataclass(frozen=True, slots=True)
class Processes:
    """The number of this process and how many there are; one alone is (0, 1)."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0


def join() -> Processes:
    """Join the processes that torchrun started with this one; without torchrun: alone.

    Tensors on CUDA devices travel by NCCL, all others by gloo.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Processes()
    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=_PATIENCE)
    return Processes(distributed.get_rank(), distributed.get_world_size())


def leave() -> None:
    """Part from the other processes."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """Return this process's device: torchrun gives each process of a machine another GPU."""
    if device.type != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())


def share(n_items: int, processes: Processes) -> NDArray[np.intp]:
    """Return the numbers of this process's items: a block, as long as the others' or one more."""
    return np.array_split(np.arange(n_items), processes.world)[processes.rank]


def wait_for_all(processes: Processes) -> None:
    """Return when all processes have come here."""
    if processes.world > 1:
        distributed.barrier()


def await_all(processes: Processes, stage: Stage) -> Generator[Progress, None, None]:
    """Return when all processes have come here; yield while this one waits."""
    if processes.world > 1:
        yield from run_with_progress(partial(wait_for_all, processes), ProgressMeter(stage, 0))


def gather(item: T, processes: Processes) -> list[T]:
    """Return the item of each process, in the order of their ranks."""
    if processes.world == 1:
        return [item]
    items: list[Any] = [None] * processes.world
    distributed.all_gather_object(items, item)
    return items


@torch.no_grad()
def start_alike(module: nn.Module, processes: Processes) -> None:
    """Give every process the first one's parameters and buffers."""
    if processes.world > 1:
        for tensor in (*module.parameters(), *module.buffers()):
            whole = tensor.detach().contiguous()
            distributed.broadcast(whole, src=0)
            tensor.copy_(whole)


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter], processes: Processes) -> None:
    """Replace each gradient by the mean over processes; all must hold the same parameters."""
    if processes.world > 1:
        gradients = [p.grad for p in parameters if p.grad is not None]
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            distributed.all_reduce(flat)
            flat /= processes.world
            parts = torch.split(flat, [gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view(gradient.shape))


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Group gradients of one kind, so that few messages are sent and little memory is doubled."""
    bucket: list[Tensor] = []
    for gradient in gradients:
        full = sum(part.numel() for part in bucket) + gradient.numel() > _BUCKET
        if bucket and (full or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket


class SyncedBatchNorm1d(nn.BatchNorm1d):
    """Batch norm over the batches of all processes, on any device; alone it is BatchNorm1d.

    Every process must bring as many rows as the others. Mean and variance are differentiated
    through, so that gradients are those of one process with the whole batch.
    """

    def forward(self, rows: Tensor) -> Tensor:
        """Normalize (N, C)."""
        world = distributed.get_world_size() if distributed.is_initialized() else 1
        if world == 1 or not self.training:
            return super().forward(rows)
        values, count = rows.float(), len(rows) * world
        mean = _summed(values.sum(0)) / count
        centered = values - mean
        variance = _summed(centered.square().sum(0)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        normed = centered * torch.rsqrt(variance + self.eps)
        return (normed * self.weight + self.bias).to(rows.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Let the running statistics follow; ``variance`` is the unbiased one."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


class _Sum(torch.autograd.Function):
    """Sum over processes; the gradient of each part is the sum of all gradients."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        """Return the sum of all processes' values."""
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        """Return the sum of all processes' gradients."""
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


def _summed(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)
    return total

"""Training on several processes at once: each takes a share of every batch, all hold one network.

The loss of a global batch of N clips is a sum of shares, ``Σ_r Σ_{i in r} loss_i / N``. Each
process differentiates its own share and gradients are summed, so the result is that of one process
with the same global batch. Sums inside the network (the statistics of batch normalisation, firing
rates) run over all processes too; ``sum`` is differentiable: the gradient of a sum over processes
is the sum of their gradients.

    torchrun --nproc_per_node 2 -m spikeface train ...

>>> with session("cpu") as team: train(network, training, validation, config, checkpoint=path)
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from snn.errors import TrainingError

T = TypeVar("T")
SETTLE_S = 0.5


@dataclass(frozen=True)
class Team:
    """The processes that train together; one process alone is a team of size 1.

    Parameters
    ----------
    rank, size : int
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, items: torch.Tensor) -> torch.Tensor:
        """This process's part of a global batch, in order."""
        return items.tensor_split(self.size)[self.rank]

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over processes, differentiable."""
        return values if self.size == 1 else _SumOverProcesses.apply(values)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over processes, in one exchange."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.size == 1 or not gradients:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        pieces = flat.split([gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))

    @torch.no_grad()
    def copy_first(self, tensors: Iterable[torch.Tensor]) -> None:
        """Overwrite tensors with those of the first process."""
        for tensor in tensors if self.size > 1 else ():
            dist.broadcast(tensor, src=0)

    def from_first(self, value: T) -> T:
        """What the first process holds, on all of them; a small object, tensors on the CPU."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: T) -> list[T]:
        """What every process holds, in the order of ranks, on all of them."""
        if self.size == 1:
            return [value]
        boxes: list[Any] = [None] * self.size
        dist.all_gather_object(boxes, value)
        return boxes


def current_team() -> Team:
    """The team that this process was started in."""
    if dist.is_available() and dist.is_initialized():
        return Team(dist.get_rank(), dist.get_world_size())
    return Team()


@contextmanager
def session(device: str) -> Iterator[Team]:
    """Join the processes that ``torchrun`` started; without it this process is alone.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        Processes on GPUs exchange by nccl, others by gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1 or dist.is_initialized():
        yield current_team()
        return
    if not dist.is_available():
        raise TrainingError("this torch has no torch.distributed; start one process")
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    yield current_team()
    # Not after an error: the others wait in an exchange that will not come, and torchrun ends them.
    dist.barrier()
    # Threads of gloo take Python's lock to let go of the last exchange. Ending the group holds that
    # lock and waits for them: forever, if one is late (torch 2.3). Asleep, it is free to take.
    time.sleep(SETTLE_S)
    dist.destroy_process_group()


class _SumOverProcesses(torch.autograd.Function):
    """All-reduce whose gradient is an all-reduce."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def share_statistics(network: nn.Module) -> None:
    """Let batch normalisation see the whole global batch from now on; alone nothing changes.

    ``torch.nn.SyncBatchNorm`` needs GPUs and is another class of module; here the modules stay
    what they are and only their statistics are exchanged.

    Raises
    ------
    TrainingError
        For a layer with running statistics of a kind that cannot be shared.
    """
    if current_team().size == 1:
        return
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.forward = MethodType(team_batch_norm, module)  # type: ignore[method-assign]
        elif hasattr(module, "running_var") or hasattr(module, "running_mean"):
            raise TrainingError(
                f"{type(module).__name__} keeps statistics that cannot be shared between "
                "processes; train with one process, or with model.norm = 'batch' and "
                "model.engine = 'norse' or 'fused'"
            )


def team_batch_norm(norm: nn.modules.batchnorm._BatchNorm, values: torch.Tensor) -> torch.Tensor:
    """Batch normalisation over all axes but the second and over all processes.

    The mean first, then the mean of squared distances from it: two exchanges, and none of the
    cancellation of ``E[x²] - E[x]²``. Running statistics as torch keeps them: unbiased variance.
    """
    if not norm.training:
        return type(norm).forward(norm, values)
    team, x = current_team(), values.float()
    axes = [axis for axis in range(x.dim()) if axis != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)
    sums = team.sum(torch.cat([x.sum(axes), x.new_full((1,), x.numel() / x.shape[1])]))
    count = sums[-1].detach()
    mean = sums[:-1] / count
    centred = x - mean.view(shape)
    variance = team.sum((centred * centred).sum(axes)) / count
    _remember(norm, mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
    factor = torch.rsqrt(variance + norm.eps)
    if norm.affine:
        factor = factor * norm.weight
        return (centred * factor.view(shape) + norm.bias.view(shape)).to(values.dtype)
    return (centred * factor.view(shape)).to(values.dtype)


@torch.no_grad()
def _remember(norm: Any, mean: torch.Tensor, variance: torch.Tensor) -> None:
    """Running averages, with torch's meaning of ``momentum=None``: the average of all batches."""
    if norm.running_mean is None:
        return
    norm.num_batches_tracked.add_(1)
    momentum = norm.momentum
    if momentum is None:
        momentum = 1.0 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance, momentum)

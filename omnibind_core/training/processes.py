"""One training by several processes, one a card (or a core): the same losses as one process gives, within float error.

Every process makes the same batch, embeds its share of the rows, and gathers the rows of all; so each of them has the
whole loss, with all negatives, and the gradient of it by way of its own rows. These gradients, averaged as any
data-parallel training averages them, are those of one process: what flows back through :func:`gather` is multiplied
by the number of processes beforehand. BatchNorm's statistics are those of all rows (:class:`BatchNorm`).

The collectives are torch's. ``accelerate`` or ``torchrun`` starts the processes, and ``accelerate.PartialState``
joins them (NCCL on CUDA, gloo on CPUs). In a process that was started alone nothing here does anything, to the bit.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

from omnibind_core.errors import OmniBindError

__all__ = ["BatchNorm", "ProcessError", "average_gradients", "gather", "join", "leave", "own", "rank", "size", "wait"]

_PATIENCE = timedelta(days=7)  # others wait while one extracts a pool or searches pairs


class ProcessError(OmniBindError, RuntimeError):
    """Processes that were not started as they have to be."""


def join(device: str) -> str:
    """Join the processes that a launcher started; does nothing in a process that was started alone.

    Parameters
    ----------
    device : str
        "cpu", or any "cuda": each process takes a card of its own then.

    Returns
    -------
    str
        Where this process computes.

    Raises
    ------
    ProcessError
        ``accelerate launch`` was asked for several processes but started one, as it does on CPUs.
    """
    if "RANK" not in os.environ:
        if "MASTER_ADDR" in os.environ and "ACCELERATE_MIXED_PRECISION" in os.environ:
            raise ProcessError(
                "several processes asked of `accelerate launch`, but only one started",
                "launchers that start all of them",
                "on CPUs add --multi_gpu, which means no more than several processes, or use torchrun",
            )
        return device
    from accelerate import PartialState

    state = PartialState(cpu=device == "cpu", timeout=_PATIENCE)
    return "cpu" if device == "cpu" else str(state.device)


def leave() -> None:
    """Part from the other processes, where there are any."""
    if _joined():
        from accelerate import PartialState

        PartialState().destroy_process_group()


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def size() -> int:
    """Count the processes."""
    return distributed.get_world_size() if _joined() else 1


def rank() -> int:
    """Which of them this is, from 0; number 0 writes what is written."""
    return distributed.get_rank() if _joined() else 0


def wait() -> None:
    """Go on when all processes are here."""
    if size() > 1:
        distributed.barrier()


def own(n: int) -> slice:
    """Give this process's share of n rows: equally many for each, the last may have fewer or none."""
    share = -(-n // size())
    return slice(min(rank() * share, n), min((rank() + 1) * share, n))


def gather(part: Tensor, n: int) -> Tensor:
    """Put the shares of all processes together.

    Parameters
    ----------
    part : Tensor, shape (rows of ``own(n)``, d), float
        This process's share.
    n : int
        Rows of all together.

    Returns
    -------
    Tensor, shape (n, d)
        The same in every process. Its gradient flows to this process's share, times the number of processes; every
        process has to make the same of it.
    """
    if size() == 1:
        return part
    whole: Tensor = _Gather.apply(part, n)  # type: ignore[no-untyped-call]
    return whole


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, n: int) -> Tensor:
        ctx.share = own(n)
        padded = part.new_zeros(-(-n // size()), part.shape[1])
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in range(size())]
        distributed.all_gather(parts, padded)
        return torch.cat(parts)[:n]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # All processes have the same loss, hence this gradient: there is no need to sum it over them.
        return size() * gradient[ctx.share], None


class _Sum(torch.autograd.Function):
    """Sum over processes, forwards and backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm over the rows of all processes; torch's own does that on CUDA only."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, d) -> (n, d); n may differ between processes and be 0 in some."""
        if not self.training or size() == 1:
            return super().forward(x)
        rows = x.float()
        first: Tensor = _Sum.apply(torch.cat([rows.sum(0), rows.new_tensor([len(rows)])]))  # type: ignore[no-untyped-call]
        n, mean = first[-1].detach(), first[:-1] / first[-1].detach()
        centred = rows - mean
        variance: Tensor = _Sum.apply(centred.square().sum(0)) / n  # type: ignore[no-untyped-call]
        with torch.no_grad():
            if self.num_batches_tracked is not None and self.running_mean is not None and self.running_var is not None:
                self.num_batches_tracked.add_(1)
                self.running_mean.lerp_(mean, self.momentum or 0.1)
                self.running_var.lerp_(variance * n / (n - 1), self.momentum or 0.1)
        scaled = centred * (variance + self.eps).rsqrt() * self.weight + self.bias
        return scaled.to(x.dtype)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over all processes, in one exchange."""
    if size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(flat)
    flat /= size()
    for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))

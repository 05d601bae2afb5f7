"""Reductions over all processes whose gradients do not depend on how samples are shared out."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of processes; 1 outside a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def global_mean(loss_M: Tensor, count: Tensor | None = None) -> Tensor:
    """This process's share of the mean over the samples of all processes; 0 where there is none.

    Its mean over processes, which DDP takes of the gradients, is the mean over all samples.

    Args:
        loss_M: losses of this process's samples; 0 for those that do not count.
        count: how many count; all by default.
    """
    # A sum over no sample is 0 and stays in the graph; a mean would be NaN.
    if count is None:
        count = torch.tensor(float(len(loss_M)), device=loss_M.device)
    if world_size() > 1:
        dist.all_reduce(count := count.to(loss_M.dtype, copy=True))
    return loss_M.sum() * world_size() / count.clamp(min=1)

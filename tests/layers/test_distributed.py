"""The contrastive gradient does not depend on the number of processes."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn

from ocrpretrain.layers.contrastive import contrastive_loss, gather_pairs


def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    pair = (F.normalize(model(x), dim=-1), F.normalize(y, dim=-1))
    return contrastive_loss(*gather_pairs(*pair), torch.tensor(5.0))


def data() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return nn.Linear(6, 4), torch.randn(8, 6), torch.randn(8, 4)


def worker(rank: int, world: int, store: str, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    model, x, y = data()
    wrapped = nn.parallel.DistributedDataParallel(model)
    size = len(x) // world
    mine = slice(rank * size, (rank + 1) * size)
    loss = loss_of(wrapped, x[mine], y[mine])
    loss.backward()
    torch.save((loss.detach(), model.weight.grad), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    model, x, y = data()
    loss = loss_of(model, x, y)
    loss.backward()
    mp.spawn(worker, (2, str(tmp_path / "store"), str(tmp_path)), nprocs=2)
    for rank in range(2):
        other, gradient = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert torch.allclose(other, loss, atol=1e-6)
        assert torch.allclose(gradient, model.weight.grad, atol=1e-6)

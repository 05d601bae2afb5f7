"""Losses and gradients do not depend on the number of processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn

from ocrpretrain.backbones import CLIPResNet
from ocrpretrain.data.views import Sample
from ocrpretrain.heads import OCLIPHead
from ocrpretrain.layers.contrastive import contrastive_loss, gather_pairs

NANO = dict(embed_dim=32, grid=(2, 2), text_width=16, text_heads=2, text_layers=1, decoder_layers=1)
WORDS = [["one", "two", "three"], ["a"], [], ["long", "words"], ["x"], ["yes", "no"], ["z"], []]


class Contrast(nn.Module):
    """A linear encoder and the contrastive loss, on given features."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 4)
        torch.manual_seed(1)
        self.x, self.y = torch.randn(8, 6), torch.randn(8, 4)

    def forward(self, mine: slice) -> dict[str, torch.Tensor]:
        pair = (F.normalize(self.linear(self.x[mine]), dim=-1), F.normalize(self.y[mine], dim=-1))
        return {"contrastive": contrastive_loss(*gather_pairs(*pair), torch.tensor(5.0))}


class OCLIP(nn.Module):
    """Backbone with BN in eval mode, and head, on images with 0 to 3 words."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = CLIPResNet((1, 1, 1, 1), 8).eval()
        self.head = OCLIPHead(self.backbone.out_channels, self.backbone.strides, **NANO)
        rng = np.random.default_rng(0)
        images = rng.integers(0, 255, (8, 64, 64, 3), dtype=np.uint8)
        self.samples = [
            Sample(image, None, words, [None] * len(words), str(i), i)
            for i, (image, words) in enumerate(zip(images, WORDS, strict=True))
        ]

    def forward(self, mine: slice) -> dict[str, torch.Tensor]:
        batch = self.head.collator()(self.samples[mine])
        return self.head(self.head.encode(self.backbone, batch), batch).losses


def losses_and_gradients(model: nn.Module, mine: slice):
    losses = model(mine)
    sum(losses.values()).backward()
    named = {name.removeprefix("module."): p.grad for name, p in model.named_parameters()}
    return {name: loss.detach() for name, loss in losses.items()}, named


def worker(rank: int, world: int, kind: str, store: str, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel({"features": Contrast, "oclip": OCLIP}[kind]())
    size = 8 // world
    result = losses_and_gradients(model, slice(rank * size, (rank + 1) * size))
    torch.save(result, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 4])
@pytest.mark.parametrize("kind", ["features", "oclip"])
def test_any_number_of_processes_equals_one(tmp_path, kind, world):
    torch.manual_seed(0)
    model = {"features": Contrast, "oclip": OCLIP}[kind]()
    losses, gradients = losses_and_gradients(model, slice(0, 8))
    mp.spawn(worker, (world, kind, str(tmp_path / "store"), str(tmp_path)), nprocs=world)
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(world)]
    for name, loss in losses.items():
        mean = torch.stack([other[name] for other, _ in ranks]).mean()
        assert torch.allclose(mean, loss, atol=1e-6), name
    for _, other in ranks:
        for name, gradient in gradients.items():
            tolerance = 1e-6 * max(1.0, gradient.abs().max().item())
            assert torch.allclose(other[name], gradient, atol=tolerance, rtol=1e-5), name

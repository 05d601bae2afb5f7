"""The fast forms of SAM's encoder change no number: GELU's output not kept, few images at once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.multiprocessing.reductions import StorageWeakRef

from ocrpretrain.layers import sam_vit
from ocrpretrain.layers.sam_vit import SAMViT, gelu_linear


@pytest.mark.parametrize("narrow", [False, True])
def test_gelu_linear_is_the_plain_form_and_keeps_less(monkeypatch, narrow):
    torch.manual_seed(0)
    first, last = torch.nn.Linear(8, 32), torch.nn.Linear(32, 8)
    x_BhwC = torch.randn(2, 3, 5, 8, requires_grad=True)
    gelu, made = F.gelu, []

    def watched(tensor):
        out = gelu(tensor)
        made.append(StorageWeakRef(out.untyped_storage()))
        return out

    monkeypatch.setattr(F, "gelu", watched)
    found = []
    for form in (lambda x: last(F.gelu(x)), lambda x: gelu_linear(x, last)):
        with torch.autocast("cpu", torch.bfloat16, narrow):
            out = form(first(x_BhwC))
        found.append((out, made[-1].expired()))
    assert [gone for _, gone in found] == [False, True]
    inputs = [x_BhwC, *first.parameters(), *last.parameters()]
    plain, ours = (torch.autograd.grad(out.float().square().sum(), inputs) for out, _ in found)
    assert all(torch.equal(*pair) for pair in zip(plain, ours, strict=True))
    assert torch.equal(found[0][0], found[1][0])


def test_gelu_linear_of_frozen_parts():
    last = torch.nn.Linear(4, 4).requires_grad_(False)
    x = torch.randn(3, 4)
    assert torch.equal(gelu_linear(x, last), last(F.gelu(x)))
    x.requires_grad_()
    ours = torch.autograd.grad(gelu_linear(x, last).sum(), x)
    assert torch.equal(*ours, *torch.autograd.grad(last(F.gelu(x)).sum(), x))


def test_a_cpu_takes_few_images_at_once_and_batch_norm_all(monkeypatch):
    torch.manual_seed(0)
    size = {"width": 16, "depth": 2, "heads": 2, "global_blocks": (1,), "window": 3, "grid": 4}
    encoder, images = SAMViT(**size, stem="conv"), torch.randn(5, 3, 64, 80)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    plain, counts = encoder(images), []
    encoder.blocks[0].register_forward_pre_hook(lambda _, x: counts.append(len(x[0])))
    monkeypatch.setattr(sam_vit, "AT_ONCE", 2 * 4 * 5 * 16 + 1)
    with torch.no_grad():
        assert torch.allclose(encoder(images), plain, atol=1e-5)
    encoder(images)
    assert counts == [2, 2, 1, 5]

"""GELU's output is not kept, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.multiprocessing.reductions import StorageWeakRef

from ocrpretrain.layers.sam_vit import gelu_linear


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

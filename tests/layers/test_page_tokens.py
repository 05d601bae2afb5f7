"""Sequences of pages equal the official code's; the loss in chunks equals the plain one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from conftest import assert_close, golden, section

from ocrpretrain.data.page_modes import PageMode
from ocrpretrain.layers.chunked_loss import chunked_cross_entropy
from ocrpretrain.layers.page_tokens import PageTokens
from ocrpretrain.weights.convert_deepseek import from_deepseek_ocr


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "grid"), [("global_only", (0, 0)), ("tiles_2x1", (2, 1)), ("tiles_2x3", (2, 3))]
)
def test_sequences_equal_the_official_code(name, grid):
    tensors, _ = golden("deepencoder")
    state = from_deepseek_ocr(section(tensors, "weight/"))
    tokens = PageTokens(128, 40)
    own = {k.removeprefix("head.page."): t for k, t in state.items() if k.startswith("head.")}
    tokens.load_state_dict(own, strict=True)
    whole = tensors["output/256/fused"][:1].mT.unflatten(2, (4, 4))
    tiles = tensors["output/tiles/fused"].mT.unflatten(2, (2, 2))
    count = grid[0] * grid[1]
    with torch.no_grad():
        (page,) = tokens(whole, tiles[:count] if count else None, [grid])
        alone = tokens(whole.repeat(2, 1, 1, 1), tiles[:count], [(0, 0), grid]) if count else [page]
    assert_close(page, tensors[f"output/assembled/{name}"], 1e-5, name)
    assert torch.allclose(alone[-1], page, atol=1e-6)
    assert len(alone[0]) == 21


def test_lengths_are_those_that_modes_count():
    mode = PageMode(256, "pad", 128, 6, 128)
    tokens = PageTokens(3, 8)
    for width, height in ((100, 100), (300, 200), (200, 700)):
        columns, rows = grid = mode.grid(width, height)
        tiles = torch.randn(columns * rows, 3, 2, 2) if rows else None
        (page,) = tokens(torch.randn(1, 3, 4, 4), tiles, [grid])
        assert len(page) == mode.positions(width, height)


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_chunks_equal_the_plain_loss(rows):
    states = torch.randn(7, 5, requires_grad=True)
    head = torch.randn(11, 5, requires_grad=True)
    target = torch.tensor([0, 3, -100, 10, 2, -100, 1])
    plain = F.cross_entropy(F.linear(states, head), target, reduction="sum")
    found = chunked_cross_entropy(states, head, target, rows=rows)
    assert torch.allclose(found, plain)
    for a, b in zip(
        torch.autograd.grad(found, [states, head]),
        torch.autograd.grad(plain, [states, head]),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-6)

"""Orders are those of PARSeq: distinct, mirrored, EOS once alone; masks say who came before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import golden
from hypothesis import given
from hypothesis import strategies as st

from ocrpretrain.layers.permutations import cloze_mask, draw_orders, order_masks


@given(st.integers(1, 25), st.sampled_from([1, 2, 6, 12]), st.integers(0, 2**31))
def test_orders(characters, count, seed):
    orders = draw_orders(characters, count, np.random.default_rng(seed))
    assert len(orders) <= count and orders.shape[1] == characters + 2
    assert (np.sort(orders) == np.arange(characters + 2)).all()  # each position once
    assert (orders[:, 0] == 0).all()
    assert orders[0].tolist() == list(range(characters + 2))
    if len(orders) > 1:
        assert orders[1, 1:].tolist() == list(range(characters + 1, 0, -1))
        assert (orders[2:, -1] == characters + 1).all()
    inner = orders[2:, 1:-1]
    assert (inner[0::2] == inner[1::2, ::-1]).all()  # pairs of an order and its mirror image


def test_short_words_have_all_orders_there_are():
    rng = np.random.default_rng(0)
    assert [len(draw_orders(n, 6, rng)) for n in (1, 2, 3, 4)] == [1, 2, 6, 6]
    for seed in range(20):  # none twice
        orders = draw_orders(4, 12, np.random.default_rng(seed))[:, 1:-1]
        assert len({tuple(row) for row in orders[2:]}) == len(orders) - 2


def test_masks_say_who_came_before():
    orders = torch.tensor([[0, 2, 1, 3]])  # BOS, second character, first character, EOS
    query, content = order_masks(orders)
    assert query[0].int().tolist() == [[1, 0, 1], [1, 0, 0], [1, 1, 1]]
    assert content[0].int().tolist() == [[1, 0, 0], [1, 1, 1], [1, 0, 1]]
    assert cloze_mask(3).int().tolist() == [[1, 0, 1], [1, 1, 0], [1, 1, 1]]


@pytest.mark.golden
def test_masks_equal_the_official_ones():
    tensors, info = golden("clip4str")
    query, content = order_masks(tensors["input/perms"].long())
    assert torch.equal(query, ~tensors["output/mask/query"])
    assert torch.equal(content, ~tensors["output/mask/content"])
    for length, orders in info["short_permutations"].items():
        query, _ = order_masks(torch.tensor(orders))
        assert torch.equal(query, ~tensors[f"output/mask/T{length}/query"])
        drawn = draw_orders(int(length), 6, np.random.default_rng(0))
        assert drawn.shape == np.shape(orders) and (drawn[:2] == orders[:2]).all()

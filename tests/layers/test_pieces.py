"""Pieces of work: where they end. Their replay as CUDA graphs is tested in `test_gpu.py`."""

from __future__ import annotations

import pytest
import torch

from ocrpretrain.layers.pieces import EAGER, once


def counting(last, over_at):
    for step in range(last):
        yield step, torch.tensor(step >= over_at)
    yield last, None


@pytest.mark.parametrize(("over_at", "result"), [(0, 0), (3, 3), (9, 5)])
def test_work_ends_where_its_flag_says_or_with_its_last_piece(over_at, result):
    assert EAGER("count", counting(5, over_at)) == result


def test_one_piece():
    assert EAGER("one", once(lambda: "done")) == "done"
    held = torch.ones(2)
    assert EAGER.hold("held", held) is held


def test_work_without_a_last_piece_is_our_mistake():
    with pytest.raises(AssertionError, match="no last piece"):
        EAGER("count", ((step, torch.tensor(False)) for step in range(2)))

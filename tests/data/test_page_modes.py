"""Pages as DeepSeek-OCR shows them: grids, counts and pixels of the official code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import golden
from hypothesis import given
from hypothesis import strategies as st

from ocrpretrain.data.page_modes import MODES, PageMode


@pytest.fixture(scope="module")
def reference():
    return golden("deepencoder")


@pytest.mark.golden
def test_grids(reference):
    _, info = reference
    assert len(info["tiling"]) > 20
    for row in info["tiling"]:
        for most in (6, 9):
            found = PageMode(1024, "pad", 640, most).grid(row["width"], row["height"])
            wanted = row[f"grid_columns_rows_max{most}"] if row["cropped_at_all"] else [0, 0]
            assert list(found) == wanted, row


@pytest.mark.golden
def test_positions(reference):
    positions = reference[1]["token_positions"]
    for name in ("tiny", "small", "base", "large"):
        assert MODES[name].positions(300, 200) == positions[name]["positions"]
    for name, mode in (("gundam", MODES["gundam"]), ("gundam_m", MODES["gundam-m"])):
        for most in (6, 9):
            for width, height, wanted in positions[name][f"max{most}"]:
                assert replace(mode, most=most).positions(width, height) == wanted


@pytest.mark.golden
def test_valid_tokens(reference):
    for width, height, base, large in reference[1]["valid_tokens"]["rows"]:
        assert MODES["base"].valid(width, height, int) == base
        assert MODES["large"].valid(width, height, int) == large
        assert base <= MODES["base"].valid(width, height) <= base + 1


@pytest.mark.golden
def test_pixels(reference):
    tensors, info = reference
    image = tensors["tiling/image"].permute(1, 2, 0).numpy()
    views = PageMode(64, "pad", 32, 6, 32).show(image)
    assert list(views.grid) == info["tile_pixels"]["grid_columns_rows"]
    tiles = torch.from_numpy(views.tiles).permute(0, 3, 1, 2)
    assert torch.equal(tiles, tensors["tiling/tiles"])
    assert torch.equal(torch.tensor(views.whole).permute(2, 0, 1), tensors["tiling/global_view_64"])


def test_the_published_numbers():
    assert [MODES[name].nominal(1, 1) for name in ("tiny", "small", "base", "large")] == [
        *(64, 100, 256, 400)
    ]
    assert MODES["gundam"].nominal(1000, 1000) == 4 * 100 + 256
    assert MODES["tiny"].valid(10, 1000) == 64  # nothing is padded


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(sorted(MODES)))
def test_any_page(width, height, name):
    mode = MODES[name]
    columns, rows = mode.grid(width, height)
    assert columns * rows == 0 or 2 <= columns * rows <= mode.most
    assert mode.valid(width, height) <= mode.nominal(width, height) < mode.positions(width, height)


def test_a_strip_and_a_dot():
    for shape in ((100, 20000), (1, 1)):
        views = MODES["gundam"].show(np.zeros((*shape, 3), np.uint8))
        assert views.whole.shape == (1024, 1024, 3)
        assert (views.tiles is None) == (shape == (1, 1))

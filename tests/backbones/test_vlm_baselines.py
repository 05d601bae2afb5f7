"""The encoders beside DeepEncoder: maps of the promised size, all parts trained, tiles alone."""

from __future__ import annotations

import pytest
import torch

from ocrpretrain.backbones import Adaptive, DualTower, Tiled
from ocrpretrain.errors import ConfigError

VIT = {"size": (32, 32), "patch": (8, 8), "width": 32, "layers": 1, "heads": 2}
SAM = {"width": 24, "depth": 2, "heads": 2, "global_blocks": (1,), "out_channels": 8, "window": 4,
       "grid": 8}  # fmt: skip
SMALL = {
    "dual tower": lambda: DualTower(SAM, VIT, 16),
    "tiled": lambda: Tiled(VIT),
    "adaptive": lambda: Adaptive(VIT),
}


@pytest.mark.parametrize("name", SMALL)
def test_any_size_that_the_divisor_allows(name):
    encoder = SMALL[name]()
    divisor = encoder.size_divisor
    high, wide = (divisor, divisor) if isinstance(divisor, int) else divisor
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    (found,) = encoder(torch.randn(2, 3, 2 * high, 3 * wide)).maps
    stride = encoder.strides[0]
    size = (2 * high // stride, 3 * wide // stride)
    assert found.shape == (2, encoder.out_channels[0], *size)
    found.square().mean().backward()
    # The class token of a last block feeds no map but through the attention of the cells.
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


@torch.no_grad()
def test_tiles_do_not_see_one_another():
    image = torch.randn(1, 3, 64, 96)
    other = image.clone()
    other[:, :, 32:, 64:] = 0
    cells = 32 // 16
    for encoder, alone in ((Tiled(VIT).eval(), True), (Adaptive(VIT).eval(), False)):
        (first,), (second,) = encoder(image).maps, encoder(other).maps
        equal = torch.isclose(first, second, atol=1e-6).all(1)[0]
        assert not equal[cells:, 2 * cells :].any()
        assert equal[:cells].all() == equal[cells:, : 2 * cells].all() == alone


@torch.no_grad()
def test_a_tile_alone_is_what_it_is_among_others():
    encoder, image = Tiled(VIT).eval(), torch.randn(1, 3, 64, 96)
    (whole,) = encoder(image).maps
    (alone,) = encoder(image[:, :, 32:, 32:64]).maps
    assert torch.allclose(whole[:, :, 2:, 2:4], alone, atol=1e-5)


def test_sizes_that_do_not_fit():
    with pytest.raises(ConfigError, match="multiple of 3 cells"):
        Tiled(VIT, merge=3)
    with pytest.raises(ConfigError, match="square patches"):
        Adaptive({**VIT, "patch": (4, 8)})

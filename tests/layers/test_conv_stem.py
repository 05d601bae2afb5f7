"""The convolutional stem makes the grid that patches make, in vision transformers and in SAM's."""

from __future__ import annotations

import pytest
import torch

from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.conv_stem import conv_stem
from ocrpretrain.layers.sam_vit import SAMViT


@pytest.mark.parametrize("patch", [(4, 8), (8, 8), (16, 16), (2, 16)])
def test_grid_of_patches(patch):
    assert conv_stem(patch, 32)(torch.rand(2, 3, 32, 96)).shape == (
        2,
        32,
        *(32 // patch[0], 96 // patch[1]),
    )


def test_cells_see_more_than_their_patch():
    stem = conv_stem((16, 16), 32).eval()
    image = torch.zeros(1, 3, 32, 48)
    other = image.clone()
    other[..., 15] = 1  # the last column of the patch before
    assert (stem(image) - stem(other))[0, :, :, 1].abs().sum() > 0


def test_other_patches_are_refused():
    with pytest.raises(ConfigError, match=r"powers of 2, found \(14, 14\)"):
        conv_stem((14, 14), 32)


def test_sam_with_convolutions_trains():
    sizes = {"width": 32, "depth": 2, "heads": 2, "out_channels": 16, "window": 4, "grid": 8}
    sam = SAMViT(**sizes, global_blocks=(1,), stem="conv")
    map_BChw = sam(torch.rand(2, 3, 64, 160))
    assert map_BChw.shape == (2, 16, 4, 10)
    map_BChw.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in sam.patch_embed.parameters())

"""The trunk equals open_clip's; strides, channels, sizes and statistics are as declared."""

from __future__ import annotations

import pytest
import torch
from open_clip.modified_resnet import ModifiedResNet

from ocrpretrain.backbones import CLIPResNet


def test_equals_open_clip():
    ours = CLIPResNet((1, 2, 1, 1), 16).eval()
    theirs = ModifiedResNet([1, 2, 1, 1], output_dim=8, heads=8, image_size=64, width=16).eval()
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("attnpool")}
    ours.trunk.load_state_dict(state, strict=True)
    image = torch.randn(2, 3, 64, 96)
    maps = ours(image).maps
    expected = theirs.forward_intermediates(image, indices=4, intermediates_only=True)
    for level, other in zip(maps, expected["image_intermediates"], strict=True):
        assert torch.equal(level, other)


@pytest.mark.parametrize("size", [(32, 32), (64, 160), (96, 32)])
def test_declared_channels_and_strides(size):
    backbone = CLIPResNet((1, 1, 1, 1), 8).eval()
    mask = torch.zeros(1, *size, dtype=torch.bool)
    features = backbone(torch.randn(1, 3, *size), mask)
    assert features.mask is mask
    for level, channels, stride in zip(
        features.maps, backbone.out_channels, backbone.strides, strict=True
    ):
        assert level.shape == (1, channels, size[0] // stride, size[1] // stride)


def test_published_size():
    with torch.device("meta"):
        backbone = CLIPResNet()
    assert backbone.out_channels == (256, 512, 1024, 2048)
    assert sum(p.numel() for p in backbone.parameters()) == 23_527_264


def test_statistics_travel_but_are_not_weights():
    backbone = CLIPResNet((1, 1, 1, 1), 8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5))
    image = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([0.5 / 0.2, -0.4 / 0.25, (0.2 - 0.3) / 0.5])
    assert torch.allclose(backbone.normalize(image).flatten(), expected, atol=1e-6)
    assert not any(name.startswith("pixel") for name in backbone.state_dict())

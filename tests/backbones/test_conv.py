"""Strides, channels and sizes are as declared; every convolution is trained."""

from __future__ import annotations

import pytest
import torch

from ocrpretrain.backbones import ConvBackbone


@pytest.mark.parametrize("blocks", [(1, 1, 2, 2), (1, 2), (3, 1, 1)])
def test_declared_channels_and_strides(blocks):
    backbone = ConvBackbone(8, blocks)
    assert backbone.size_divisor == backbone.strides[-1] == 2 ** len(blocks)
    mask = torch.zeros(2, 32, 96, dtype=torch.bool)
    features = backbone(torch.randn(2, 3, 32, 96), mask)
    assert features.mask is mask and features.prefix is None
    shapes = [
        (2, c, 32 // s, 96 // s)
        for c, s in zip(backbone.out_channels, backbone.strides, strict=True)
    ]
    assert [tuple(level.shape) for level in features.maps] == shapes
    convolutions = [m for m in backbone.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == sum(blocks)


def test_the_last_map_trains_all_of_it():
    backbone = ConvBackbone(8)
    backbone(torch.randn(2, 3, 32, 64)).maps[-1].square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in backbone.parameters())


def test_default_size():
    assert sum(p.numel() for p in ConvBackbone().parameters()) == 241_184

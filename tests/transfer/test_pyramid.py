"""Backbones of any strides inside MMOCR's detectors: wanted maps, all stages used."""

from __future__ import annotations

import pytest

pytest.importorskip("mmocr")
import torch
from conftest import ROOT

from ocrpretrain.config import build
from ocrpretrain.errors import ConfigError
from ocrpretrain.transfer.adapter import Adapter
from ocrpretrain.transfer.mmocr import insert_backbone
from ocrpretrain.transfer.mmocr import load as load_config
from ocrpretrain.transfer.pyramid import Pyramid
from ocrpretrain.weights.format import WeightsInfo

CONFIG = ROOT / "configs/finetune/textdet/dbnet_clip-resnet-nano_demo_synthetic.py"
pytestmark = pytest.mark.mmocr
DEEP = {
    "type": "ocrpretrain.backbones.DeepEncoder",
    "sam": {"width": 24, "depth": 2, "heads": 2, "global_blocks": [1], "out_channels": 16},
    "clip": {"width": 32, "layers": 1, "heads": 2},
}


def info(spec) -> WeightsInfo:
    backbone = build(spec)
    return WeightsInfo(
        *(spec, backbone.mean, backbone.std, tuple(backbone.strides), tuple(backbone.out_channels))
    )


def test_a_deep_encoder_in_dbnet(capsys):
    filled = insert_backbone(load_config(CONFIG), info(DEEP), None)["model"]
    assert "(16, 32, 64) -> (4, 8, 16, 32)" in capsys.readouterr().out
    width = filled["neck"]["lateral_channels"]
    assert filled["neck"]["in_channels"] == [width] * 4
    assert filled["data_preprocessor"]["pad_size_divisor"] == 64
    options = {key: value for key, value in filled["backbone"].items() if key != "type"}
    adapter = Adapter(**options)
    maps = adapter(torch.randn(1, 3, 128, 192))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (width, 128 // stride, 192 // stride) for stride in (4, 8, 16, 32)
    ]
    torch.stack([x.square().mean() for x in maps]).sum().backward()
    unused = [name for name, parameter in adapter.named_parameters() if parameter.grad is None]
    assert not unused


def test_matching_strides_need_no_pyramid(transfer_info):
    filled = insert_backbone(load_config(CONFIG), transfer_info, None)["model"]
    assert "pyramid" not in filled["backbone"]


@pytest.fixture
def transfer_info():
    return info({"type": "ocrpretrain.backbones.CLIPResNet", "layers": [1, 1, 1, 1], "width": 8})


@pytest.mark.parametrize("wanted", [(4, 8, 16, 32), (16, 32), (2, 4), (32, 64)])
def test_any_strides(wanted):
    pyramid = Pyramid((8, 16), (8, 32), wanted, 12)
    image = torch.randn(1, 3, 96, 160)
    maps = [torch.randn(1, c, 96 // s, 160 // s) for c, s in ((8, 8), (16, 32))]
    out = pyramid(image, maps)
    assert [x.shape[1:] for x in out] == [(12, -(-96 // s), -(-160 // s)) for s in wanted]
    torch.stack([x.mean() for x in out]).sum().backward()
    assert all(parameter.grad is not None for parameter in pyramid.parameters())


def test_strides_that_no_pyramid_has():
    with pytest.raises(ConfigError, match="powers of two"):
        Pyramid((8,), ((4, 8),), (4, 8), 12)
    with pytest.raises(ConfigError, match="all coarser"):
        Pyramid((8, 16), (8, 32), (64, 128), 12)

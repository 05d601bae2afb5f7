"""open_clip's transformers give their own tokens; other sizes, stems and wrong sizes."""

from __future__ import annotations

import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import nn

from ocrpretrain.backbones import ClipViT
from ocrpretrain.errors import ConfigError

NANO = {"patch": (8, 8), "width": 32, "layers": 2, "heads": 2}


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_tokens_equal_open_clips(quick_gelu):
    activation = QuickGELU if quick_gelu else nn.GELU
    theirs = VisionTransformer(32, 8, 32, 2, 2, 4.0, act_layer=activation, output_tokens=True)
    theirs.pool_type = "none"
    theirs.proj = nn.Parameter(torch.eye(32))
    ours = ClipViT(size=(32, 32), quick_gelu=quick_gelu, **NANO)
    state = {name: tensor for name, tensor in theirs.state_dict().items() if name != "proj"}
    ours.load_state_dict(state, strict=True)
    image = torch.randn(2, 3, 32, 32)
    features = ours(image)
    tokens = torch.cat([features.prefix, features.maps[0].flatten(2).mT], 1)
    assert torch.allclose(tokens, theirs.eval()(image)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "patch", "heads", "quick"),
    [
        ("ViT-B-16", 16, 12, False),
        ("ViT-L-14-quickgelu", 14, 16, True),
        ("ViT-H-14", 14, 16, False),
    ],
)
def test_names_of_open_clip(name, patch, heads, quick):
    with torch.device("meta"):
        ours = ClipViT(name)
        theirs = open_clip.CLIP(**open_clip.get_model_config(name)).visual
    shapes = {n: t.shape for n, t in theirs.state_dict().items() if n != "proj"}
    assert {n: t.shape for n, t in ours.state_dict().items()} == shapes
    block = ours.transformer.resblocks[0]
    assert ours.strides == (patch,) and block.attn.num_heads == heads
    assert isinstance(block.mlp.gelu, QuickGELU if quick else nn.GELU)


@pytest.mark.parametrize("stem", ["patch", "conv"])
@pytest.mark.parametrize("class_token", [True, False])
def test_maps_of_any_size(stem, class_token):
    backbone = ClipViT(
        size=(32, 128), patch=(4, 8), width=32, layers=1, heads=2, stem=stem,
        class_token=class_token, eps=1e-6,
    ).eval()  # fmt: skip
    assert backbone.strides == ((4, 8),) and backbone.size_divisor == (4, 8)
    for height, width in ((32, 128), (64, 128), (32, 64)):
        features = backbone(torch.randn(2, 3, height, width))
        assert features.maps[0].shape == (2, 32, height // 4, width // 8)
        assert (features.prefix is not None) == class_token


def test_another_size_resizes_the_table_once_without_gradients_and_learns_with_them():
    backbone = ClipViT(size=(32, 32), **NANO).eval()
    image = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        backbone(image)
        first = backbone.positions((4, 8))
        assert backbone.positions((4, 8)) is first
        backbone.positional_embedding.mul_(2)
        assert torch.allclose(backbone.positions((4, 8)), 2 * first, atol=1e-5)
        assert backbone.double().positions((4, 8)).dtype == torch.float64
        backbone.float()
    backbone(image).maps[0].sum().backward()
    assert backbone.positional_embedding.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "ViT-B-99"}, "no model 'ViT-B-99'"),
        ({"name": "RN50"}, "no plain vision transformer"),
        ({"name": "ViT-B-16", "width": 64}, "decides width"),
        ({"size": 32, "width": 64}, "give heads, layers, patch"),
        ({"size": (30, 32), **NANO}, "not a multiple"),
        ({"size": (28, 28), **NANO, "patch": (14, 14), "stem": "conv"}, "powers of 2"),
    ],
)
def test_wrong_sizes(options, message):
    with pytest.raises(ConfigError, match=message):
        ClipViT(**options)

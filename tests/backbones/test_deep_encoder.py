"""DeepEncoder equals the official code, on grids of any size; attention equals its plain form."""

from __future__ import annotations

import pytest
import torch
from conftest import assert_close, golden, section

from ocrpretrain.backbones.deep_encoder import DeepEncoder
from ocrpretrain.errors import ConfigError
from ocrpretrain.layers import relative_attention as ra
from ocrpretrain.layers.positions import resize_grid
from ocrpretrain.weights.convert_deepseek import from_deepseek_ocr

NANO_SAM = {"width": 48, "depth": 4, "heads": 3, "global_blocks": (1, 3), "out_channels": 16}
NANO_CLIP = {"width": 64, "layers": 3, "heads": 4}


@pytest.fixture(scope="module")
def reference():
    tensors, info = golden("deepencoder")
    state = from_deepseek_ocr(section(tensors, "weight/"))
    encoder = DeepEncoder(NANO_SAM, NANO_CLIP)
    own = {k.removeprefix("backbone."): t for k, t in state.items() if k.startswith("backbone.")}
    encoder.load_state_dict(own, strict=True)
    projector = {
        k.removeprefix("head.page.projector."): t for k, t in state.items() if ".projector." in k
    }
    return tensors, encoder, projector


def images(tensors) -> dict[int, torch.Tensor]:
    base, small = tensors["input/image_1024_1280_base128"], tensors["input/image_256"]
    return {
        256: small,
        320: tensors["input/image_320"],
        512: small[1:].repeat_interleave(2, 2).repeat_interleave(2, 3),
        1024: base.repeat_interleave(8, 2).repeat_interleave(8, 3),
        1280: base.repeat_interleave(10, 2).repeat_interleave(10, 3),
    }


@pytest.mark.golden
@pytest.mark.parametrize("side", [256, 320, 512, 1024, 1280])
def test_maps_equal_the_official_code(reference, side):
    tensors, encoder, projector = reference
    with torch.no_grad():
        maps = encoder(encoder.normalize(images(tensors)[side])).maps
    wanted = section(tensors, f"output/{side}/")
    fused = maps[2].flatten(2).mT
    found = {
        "neck": maps[0],
        "net_2": maps[1],
        "net_3": maps[2][:, 64:],
        "fused": fused,
        "projected": fused @ projector["weight"].T + projector["bias"],
    }
    checked = [name for name in found if name in wanted]
    assert len(checked) >= 2
    for name in checked:
        assert_close(found[name], wanted[name], 1e-5, f"{side}/{name}")


@pytest.mark.golden
def test_inside(reference):
    tensors, encoder, _ = reference
    for side in (256, 320):
        image = encoder.normalize(images(tensors)[side])
        with torch.no_grad():
            x = encoder.sam.embed(image)
            assert_close(x, tensors[f"output/{side}/patch_plus_position"], 1e-5, "patches")
            for place in (0, 1):
                x = encoder.sam.blocks[place](x)
                assert_close(x, tensors[f"output/{side}/block{place}"], 1e-5, f"block {place}")


@pytest.mark.golden
def test_resized_tables(reference):
    tensors, encoder, _ = reference
    for cells in (8, 16, 20, 32, 80):
        table = ra.resize_table(encoder.sam.blocks[1].attn.rel_pos_h, cells)
        assert_close(table, tensors[f"output/resized/rel_pos_h_block1_{cells}"], 1e-6, f"{cells}")
    for cells in (2, 4, 5, 8):
        own = resize_grid(encoder.clip.positional_embedding[1:], (16, 16), (cells, cells))
        wanted = tensors[f"output/resized/clip_position_{cells}"][0, 1:]
        assert_close(own, wanted, 1e-6, f"clip {cells}")


@pytest.mark.golden
def test_gradients_equal_the_official_code(reference):
    tensors, encoder, projector = reference
    encoder.zero_grad()
    image = encoder.normalize(images(tensors)[320])
    projection = {name: t.clone().requires_grad_() for name, t in projector.items()}
    tokens = encoder(image).maps[2].flatten(2).mT
    loss = (tokens @ projection["weight"].T + projection["bias"]).square().mean()
    assert_close(loss.detach(), tensors["output/grad_loss_320"], 1e-5, "loss")
    loss.backward()
    for key, grad in section(tensors, "grad/").items():
        ((name, wanted),) = from_deepseek_ocr({key: grad}).items()
        if name.startswith("head.page."):
            own = projection[name.removeprefix("head.page.projector.")].grad
        else:
            own = encoder.get_parameter(name.removeprefix("backbone.")).grad
        assert_close(own, wanted, 3e-5, key)


@pytest.mark.parametrize("logits", [1, 40, 2**24])
def test_attention_in_parts_and_in_one_product_equals_the_plain_form(monkeypatch, logits):
    """In value and gradient, however many queries are computed at a time."""
    monkeypatch.setitem(ra.LOGITS, "cpu", logits)
    height, width = 3, 5

    def drawn(*shape):
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    inputs = [drawn(2, 2, height * width, 8) for _ in "qkv"]
    tables = [drawn(2 * cells - 1, 8) for cells in (height, width)]

    def plain(q, k, v, table_h, table_w):
        rows = [
            [
                table_h[a // width - b // width + height - 1]
                + table_w[a % width - b % width + width - 1]
                for b in range(height * width)
            ]
            for a in range(height * width)
        ]
        both = torch.stack([torch.stack(row) for row in rows])
        logit = q @ k.mT * 8**-0.5 + torch.einsum("mnad,abd->mnab", q, both)
        return logit.softmax(-1) @ v

    def parts(q, k, v, *tables):
        return ra.relative_attention(q, k, v, ra.relative_terms(q, tables))

    def one_product(q, k, v, *tables):
        return ra.lengthened(q, k, v, ra.relative_terms(q, tables))

    weight = torch.randn(2, 2, height * width, 8, dtype=torch.float64)
    found = []
    for form in (plain, parts, one_product):
        out = form(*inputs, *tables)
        grads = torch.autograd.grad((out * weight).sum(), [*inputs, *tables])
        found.append([out, *grads])
    for wanted, *others in zip(*found, strict=True):
        for other in others:
            assert torch.allclose(other, wanted, rtol=1e-9, atol=1e-12)


def test_any_size_that_the_stride_divides():
    encoder = DeepEncoder(NANO_SAM, NANO_CLIP)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    maps = encoder(torch.randn(1, 3, 128, 320)).maps
    assert [tuple(x.shape[1:]) for x in maps] == [(16, 8, 20), (32, 4, 10), (128, 2, 5)]
    assert [x.shape[1] for x in maps] == list(encoder.out_channels)
    maps[2].square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    alone = DeepEncoder(NANO_SAM, NANO_CLIP, stages="sam")
    assert alone(torch.randn(1, 3, 64, 64)).maps[2].shape[1] == alone.out_channels[2] == 64


def test_tables_are_resized_once_per_grid_where_nothing_learns(monkeypatch):
    from ocrpretrain.backbones import deep_encoder
    from ocrpretrain.layers import sam_vit

    calls: list[str] = []
    for module, name in (
        (deep_encoder, "resize_grid"),
        (sam_vit, "resize_grid"),
        (sam_vit, "resize_table"),
    ):
        plain = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *x, name=name, plain=plain: calls.append(name) or plain(*x)
        )
    encoder, image = DeepEncoder(NANO_SAM, NANO_CLIP).eval(), torch.rand(1, 3, 64, 128)
    torch.nn.init.normal_(encoder.sam.blocks[1].attn.rel_pos_h)
    with torch.no_grad():
        first = encoder(image).maps[-1]
        count = len(calls)
        assert torch.equal(encoder(image).maps[-1], first) and len(calls) == count == 2 + 2 * 4
        encoder(torch.rand(1, 3, 128, 64))
        assert len(calls) > count
        encoder.sam.blocks[1].attn.rel_pos_h.mul_(2)  # as an optimizer does
        assert not torch.equal(encoder(image).maps[-1], first)
        assert encoder.double()(image.double()).maps[-1].dtype == torch.float64
    count = len(calls)
    encoder.float()(image).maps[-1].sum().backward()
    assert len(calls) == count + 2 + 2 * 4


def test_strides_follow_the_patch_and_options_are_checked():
    encoder = DeepEncoder({**NANO_SAM, "patch": 8}, NANO_CLIP).eval()
    maps = encoder(torch.rand(1, 3, 64, 96)).maps
    assert encoder.strides == (8, 16, 32) and encoder.size_divisor == 32
    assert [m.shape[2:] for m in maps] == [(64 // s, 96 // s) for s in encoder.strides]
    with pytest.raises(ConfigError, match="stages is all or sam, found 'Sam'"):
        DeepEncoder(NANO_SAM, NANO_CLIP, stages="Sam")
    for wrong in ({"stem": "Conv"}, {"global_blocks": (1, 4)}):
        with pytest.raises(ConfigError, match="stem is patch or conv"):
            DeepEncoder({**NANO_SAM, **wrong}, NANO_CLIP)


def test_the_published_size():
    with torch.device("meta"):
        encoder = DeepEncoder()
    count = {
        name: sum(p.numel() for p in module.parameters())
        for name, module in (("all", encoder), ("clip", encoder.clip))
    }
    unused, projector, separators = 602_112, 2_622_720, 2_560
    assert count["clip"] == 303_177_728 - unused
    assert count["all"] == 401_372_160 - unused - projector - separators

"""DeepSeek-OCR's encoder out of its large file, SAM and CLIP as parts of a DeepEncoder."""

from __future__ import annotations

import pytest
import torch
from conftest import golden, section
from open_clip.model import CLIP
from safetensors.torch import save_file

from ocrpretrain import load_backbone
from ocrpretrain.backbones import DeepEncoder
from ocrpretrain.errors import CheckpointMismatchError, ConfigError
from ocrpretrain.heads import CompressionHead
from ocrpretrain.weights import foreign
from ocrpretrain.weights.exchange import import_weights
from ocrpretrain.weights.format import initialise, read_weights

SAM = {"width": 48, "depth": 3, "heads": 3, "global_blocks": (1,), "out_channels": 16, "window": 4,
       "grid": 8}  # fmt: skip
CLIP_PART = {"width": 64, "layers": 2, "heads": 1, "grid": 4}


@pytest.mark.golden
def test_the_encoder_of_deepseek_ocr_is_all_that_is_read(tmp_path, monkeypatch):
    tensors, _ = golden("deepencoder")
    encoder = {f"model.{name}": t for name, t in section(tensors, "weight/").items()}
    decoder = {"model.layers.0.x": torch.zeros(3), "lm_head.weight": torch.zeros(3)}
    save_file({**encoder, **decoder}, tmp_path / "whole.safetensors")
    read = foreign.read_state(tmp_path / "whole.safetensors")
    assert len(read) == len(encoder) and not any("layers.0.x" in name for name in read)
    out = tmp_path / "out.safetensors"
    kind, info = import_weights(
        tmp_path / "whole.safetensors", out, backbone_options={"clip": NANO_CLIP}
    )
    assert kind == "deepseek-ocr" and info.mean == (0.5, 0.5, 0.5)
    backbone = load_backbone(out)
    image = tensors["input/image_320"]
    with torch.no_grad():
        fused = backbone(backbone.normalize(image)).maps[2].flatten(2).mT
    assert torch.allclose(fused, tensors["output/320/fused"], atol=1e-4)
    names = {n for n in read_weights(out) if n.startswith("head.")}
    module, decoder = torch.nn.Module(), {"width": 40, "layers": 1, "heads": 4, "hidden": 16}
    module.backbone = backbone
    module.head = CompressionHead(backbone.out_channels, backbone.strides, decoder=decoder)
    left = initialise(module, [{"file": out, "only": ["backbone.", "head.page."]}])
    assert left and all(name.startswith("head.decoder.") for name in left)
    newline = tensors["weight/image_newline"]
    assert torch.equal(module.head.page.image_newline, newline)
    assert names == {
        "head.page.projector.weight", "head.page.projector.bias", "head.page.image_newline",
        "head.page.view_separator",
    }  # fmt: skip


NANO_CLIP = {"width": 64, "layers": 3, "heads": 4, "grid": 16}


def test_a_sam_and_a_clip_fill_their_parts(tmp_path):
    theirs = DeepEncoder(SAM, CLIP_PART)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    sam = {f"image_encoder.{name}": t for name, t in theirs.sam.state_dict().items()}
    torch.save({**sam, "mask_decoder.x": torch.zeros(1)}, tmp_path / "sam.pth")
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8}
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
    clip = CLIP(32, vision, text)
    save_file(clip.state_dict(), tmp_path / "clip.safetensors")
    assert import_weights(tmp_path / "sam.pth", tmp_path / "sam.safetensors")[0] == "sam"
    import_weights(
        *(tmp_path / "clip.safetensors", tmp_path / "part.safetensors"),
        model="ViT-L-14-quickgelu", deep_encoder=True,
    )  # fmt: skip
    ours = torch.nn.ModuleDict({"backbone": DeepEncoder(SAM, CLIP_PART)})
    new = initialise(ours, [
        {"file": tmp_path / "sam.safetensors", "only": ["backbone.sam."]},
        {"file": tmp_path / "part.safetensors", "only": ["backbone.clip."]},
    ])  # fmt: skip
    assert set(new) == {f"backbone.net_{n}.weight" for n in (2, 3)}
    state = ours["backbone"].state_dict()
    for name, tensor in theirs.sam.state_dict().items():
        assert torch.equal(state[f"sam.{name}"], tensor)
    assert torch.equal(state["clip.class_embedding"], clip.visual.class_embedding)
    block = "transformer.resblocks.1.attn.in_proj_weight"
    assert torch.equal(state[f"clip.{block}"], clip.visual.state_dict()[block])


def test_parts_are_no_backbones(tmp_path):
    sam = DeepEncoder(SAM, CLIP_PART).sam.state_dict()
    torch.save({f"image_encoder.{name}": t for name, t in sam.items()}, tmp_path / "sam.pth")
    import_weights(tmp_path / "sam.pth", tmp_path / "sam.safetensors")
    with pytest.raises(CheckpointMismatchError, match="missing in the file"):
        load_backbone(tmp_path / "sam.safetensors")
    with pytest.raises(ConfigError, match="of CLIP's transformers alone"):
        import_weights(tmp_path / "sam.pth", tmp_path / "x.safetensors", deep_encoder=True)

"""Checkpoints of CLIP4STR and PARSeq, and CLIP's transformers, through the importer."""

from __future__ import annotations

import open_clip
import pytest
import torch
from conftest import assert_close, golden, section
from open_clip.model import CLIP
from safetensors.torch import save_file

from ocrpretrain import load_backbone, load_reader
from ocrpretrain.backbones import ClipViT
from ocrpretrain.errors import CheckpointMismatchError, ConfigError
from ocrpretrain.heads import CLIP4STRHead
from ocrpretrain.reading import WordFileReader
from ocrpretrain.weights.convert_readers import OFFICIAL_94, vit_config
from ocrpretrain.weights.exchange import import_weights
from ocrpretrain.weights.format import initialise, read_info, read_weights

OURS = [0, *(ord(char) - 32 for char in OFFICIAL_94)]
VISION = {"image_size": 32, "layers": 2, "width": 128, "patch_size": 8}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}


@pytest.mark.golden
@pytest.mark.parametrize("form", ["lightning", "bare"])
def test_a_parseq_checkpoint_reads_as_the_official_code(tmp_path, capsys, form):
    tensors, info = golden("parseq")
    state, system = section(tensors, "weight/"), info["system"]
    content = {"state_dict": state, "hyper_parameters": {"lr": 7e-4, "img_size": [32, 128]}}
    if form == "bare":
        content = {name.removeprefix("model."): tensor for name, tensor in state.items()}
    torch.save(content, tmp_path / "any.ckpt")
    kind, imported = import_weights(
        *(tmp_path / "any.ckpt", tmp_path / "out.safetensors"),
        head_options={"heads": system["dec_num_heads"]},
        # Images of another size than the published one leave no trace in the positions.
        backbone_options={"heads": system["enc_num_heads"], "size": system["img_size"]},
    )
    assert kind == "parseq" and imported.mean == imported.std == (0.5, 0.5, 0.5)
    assert "the published ones are assumed" in capsys.readouterr().out
    backbone, head = load_reader(tmp_path / "out.safetensors")
    image = tensors["input/image"]
    image = (image.float() / 255 - 0.5) / 0.5 if image.dtype == torch.uint8 else image
    with torch.no_grad():
        logits = head.branches(backbone(image)).visual
    theirs = tensors["output/infer/batch/ar_refine1"]
    assert_close(logits[..., OURS][:, : theirs.shape[1]], theirs, 1e-5, "logits")


@pytest.mark.golden
def test_a_clip4str_checkpoint_reads_as_the_official_code(tmp_path):
    tensors, info = golden("clip4str")
    state = section(tensors, "weight/")
    table = torch.zeros(info["token_embedding"]["of"], info["clip"]["transformer_width"])
    table[tensors["token_embedding_rows/ids"].long()] = tensors["token_embedding_rows/values"]
    state["clip_model.token_embedding.weight"] = table
    state["clip_model.logit_scale"] = torch.tensor(1.0)
    torch.save(state, tmp_path / "any.pt")
    text = {"width": 32, "heads": 2, "layers": 8, "quick_gelu": True}
    kind, _ = import_weights(
        tmp_path / "any.pt", tmp_path / "out.safetensors", head_options={"text": text}
    )
    assert kind == "clip4str"
    backbone, head = load_reader(tmp_path / "out.safetensors")
    texts = []
    for image in tensors["input/image"]:
        with torch.no_grad():
            texts += head.predict(backbone(image[None]), None).texts
    found = [info["inference"][f"single{i}"]["strings_final"] for i in range(len(texts))]
    assert texts == [text for (text,) in found]
    assert WordFileReader(tmp_path / "out.safetensors").view.size == (64, 64)
    state["clip_model.visual.extra"] = torch.zeros(1)
    state["decoder.extra"] = torch.zeros(1)
    torch.save(state, tmp_path / "any.pt")
    with pytest.raises(CheckpointMismatchError, match=r"decoder\.extra"):
        import_weights(tmp_path / "any.pt", tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("patch", "cells", "size"), [((4, 8), 128, [32, 128]), ((16, 16), 196, [224, 224])]
)
def test_sizes_of_parseq(patch, cells, size):
    state = {
        "backbone.conv1.weight": torch.zeros(64, 3, *patch),
        "backbone.positional_embedding": torch.zeros(cells, 64),
        "backbone.transformer.resblocks.0.ln_1.weight": torch.zeros(64),
    }
    assert vit_config(state)["size"] == size


@pytest.fixture
def clip(tmp_path):
    """A small CLIP of open_clip, and its file."""
    torch.manual_seed(0)
    model = CLIP(32, VISION, TEXT)
    save_file(model.state_dict(), tmp_path / "clip.safetensors")
    return model.eval(), tmp_path / "clip.safetensors"


def test_a_clip_gives_its_backbone_bit_for_bit(tmp_path, clip, monkeypatch):
    model, file = clip
    kind, info = import_weights(file, tmp_path / "out.safetensors", model="ViT-B-16")
    assert kind == "clip-vit" and info.head is None and not info.backbone["quick_gelu"]
    backbone = load_backbone(tmp_path / "out.safetensors")
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        theirs = model.encode_image(image)
        ours = backbone(image).prefix[:, 0] @ model.visual.proj
    assert torch.allclose(ours, theirs, atol=1e-5)
    quick = import_weights(file, tmp_path / "quick.safetensors", model="ViT-B-16-quickgelu")[1]
    assert quick.backbone["quick_gelu"]


def test_one_clip_fills_a_reader(tmp_path, clip):
    model, file = clip
    import_weights(file, tmp_path / "out.safetensors", model="ViT-B-16")
    assert "head.logit_scale" in read_weights(tmp_path / "out.safetensors")
    backbone = ClipViT(size=(32, 32), patch=(8, 8), width=128, layers=2, heads=2)
    text = {"width": 64, "heads": 1, "layers": 2}
    head = CLIP4STRHead(backbone.out_channels, backbone.strides, width=32, heads=4, text=text)
    module = torch.nn.ModuleDict({"backbone": backbone, "head": head})
    only = ["backbone.", "head.memory.", "head.text."]
    new = initialise(module, [{"file": tmp_path / "out.safetensors", "only": only}])
    assert all("decoder" in name for name in new)
    assert torch.equal(head.memory.project[0].weight, model.visual.proj.T)
    ids = torch.tensor([[*head.charset.encode("Restaurant"), *[0] * 6]])
    with torch.no_grad():
        tokens = head.eval().text(ids).tokens[0]
        theirs = model.encode_text(open_clip.tokenize(["restaurant"]))
    assert torch.allclose(tokens[2], theirs[0], atol=1e-5)  # <start>, restaurant, <end>


def test_what_shapes_do_not_tell_is_asked_for(tmp_path, clip):
    _, file = clip
    with pytest.raises(ConfigError, match="ViT-B-16-quickgelu for OpenAI"):
        import_weights(file, tmp_path / "out.safetensors")
    with pytest.raises(ConfigError, match="no model 'ViT-Q'"):
        import_weights(file, tmp_path / "out.safetensors", model="ViT-Q")
    torch.save({"x": torch.zeros(1)}, tmp_path / "x.pt")
    with pytest.raises(CheckpointMismatchError, match="neither oCLIP, CLIP4STR, PARSeq, CLIP"):
        import_weights(tmp_path / "x.pt", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_tags_tell_the_activation(tmp_path, clip, monkeypatch):
    """OpenAI's weights were trained with QuickGELU, which the model's own config does not say."""
    model, _ = clip
    monkeypatch.setattr("ocrpretrain.weights.exchange.read_tag", lambda _: model.state_dict())
    for weights, quick_gelu in (("openai", True), ("laion2b_s34b_b88k", False)):
        import_weights(f"ViT-B-16/{weights}", tmp_path / "out.safetensors")
        assert read_info(tmp_path / "out.safetensors").backbone["quick_gelu"] == quick_gelu

"""oCLIP equals the official code: the shipped head and backbone, built from the shipped config."""

from __future__ import annotations

import pytest
import torch
from conftest import ROOT, assert_close, golden, section

from ocrpretrain.backbones import Features
from ocrpretrain.config import build, load
from ocrpretrain.heads.oclip_batch import OCLIPBatch, Queries
from ocrpretrain.layers.packing import Packed
from ocrpretrain.weights.convert import OCLIP_PREFIXES, from_oclip, to_mmocr_clip_resnet

pytestmark = pytest.mark.golden
CONFIG = ROOT / "configs/pretrain/oclip_clip-resnet50_100e_synthetic.py"


@pytest.fixture(scope="module")
def reference():
    return golden("oclip")


@pytest.fixture
def model(reference):
    """The published config with the golden sizes, in one module with the names of a run."""
    tensors, info = reference
    sizes = info["config"]
    cfg = load(CONFIG)
    grid = sizes["image_resolution"] // 32
    backbone = build(cfg["backbone"], layers=sizes["vision_layers"], width=sizes["vision_width"])
    head = build(
        cfg["head"],
        in_channels=backbone.out_channels,
        strides=backbone.strides,
        embed_dim=sizes["embed_dim"],
        grid=(grid, grid),
        text_width=sizes["transformer_width"],
        text_heads=sizes["transformer_heads"],
        text_layers=sizes["transformer_layers"],
        decoder_layers=sizes["transformer_decoder_layers"],
        max_label_length=sizes["context_length"],
        max_words=info["slots"],
        pool_heads=sizes["vision_width"] * 32 // 64,
        compat="official",
    )
    module = torch.nn.ModuleDict({"backbone": backbone, "head": head})
    module.load_state_dict(from_oclip(section(tensors, "weight/")), strict=True)
    return module


def packed_batch(tensors, ids_name: str) -> OCLIPBatch:
    """The reference's slots as our packed words: rows of zeros are empty slots."""
    ids = tensors[f"input/{ids_name}"].long()
    image, slot = (ids != 0).any(-1).nonzero(as_tuple=True)
    packed = Packed(image, slot, len(ids), int(slot.max()) + 1)
    masked = ids[image, slot]
    return OCLIPBatch(
        image=torch.empty(0),
        text=[],
        tokens=tensors["input/text_unmasked"].long()[image, slot],
        masked=masked,
        target=tensors["input/masked_chars"].long()[image, slot],
        packed=packed,
        queries=Queries(torch.arange(len(masked)), torch.zeros(0), packed),
        left_out={},
    )


def features(model, tensors) -> Features:
    mask = tensors["input/image_mask"].bool()
    mask = mask.repeat_interleave(32, 1).repeat_interleave(32, 2)
    return model["backbone"](tensors["input/image"], mask)


def test_training_pass(model, reference):
    tensors, info = reference
    model.train()
    head, batch = model["head"], packed_batch(tensors, "text")
    output = head(features(model, tensors), batch)
    total = sum(head.loss_weights[name] * loss for name, loss in output.losses.items())
    total.backward()
    for name, value in (
        ("loss_character", output.losses["character"]),
        ("loss_contrastive", output.losses["contrastive"]),
        ("loss_total", total),
        ("logit_scale", output.metrics["logit_scale"]),
    ):
        assert value.item() == pytest.approx(info["scalars"][f"train/{name}"], rel=1e-5)

    named = {name: p.grad for name, p in model.named_parameters()}
    renamed = {ours: name for name in info["gradient_norm"] for ours in from_oclip({name: None})}
    assert renamed.keys() == named.keys()
    noise = set(info["gradients_that_are_zero_in_exact_arithmetic"])
    for ours, theirs in renamed.items():
        if theirs in noise:
            continue
        norm = named[ours].norm().item()
        assert norm == pytest.approx(info["gradient_norm"][theirs], rel=3e-5), theirs
    for theirs, gradient in section(tensors, "grad/").items():
        if theirs in noise:
            continue
        (ours,) = from_oclip({theirs: gradient})
        assert_close(named[ours], gradient, 3e-5, theirs)

    for theirs, buffer in section(tensors, "bn_after_train/").items():
        (ours,) = from_oclip({theirs: buffer})
        value = model.get_buffer(ours)
        assert_close(value.float(), buffer.float(), 1e-5, theirs)


@torch.no_grad()
def test_evaluation_pass(model, reference):
    tensors, _ = reference
    model.eval()
    head, batch = model["head"], packed_batch(tensors, "text")
    packed, expected = batch["packed"], section(tensors, "output/eval/")
    maps = features(model, tensors)
    image = head.image_tokens(maps)
    words, _ = head.encode_words(batch["masked"])
    text, _ = head.text_features(words, packed)
    assert_close(image.tokens.transpose(0, 1), expected["image_tokens"][1:], 1e-5, "image_tokens")
    assert_close(image.pooled, expected["image_features"], 1e-5, "image_features")
    assert_close(text, expected["text_features"], 1e-5, "text_features")
    assert_close(words, packed.unpad(expected["word_embeddings"]), 1e-5, "word_embeddings")
    unmasked, _ = head.encode_words(batch["tokens"])
    theirs = packed.unpad(expected["word_embeddings_unmasked_text"])
    assert_close(unmasked, theirs, 1e-5, "word_embeddings_unmasked_text")
    logits = head.read(words, image, packed)
    assert_close(logits, packed.unpad(expected["text_logits"]), 1e-5, "text_logits")
    pool = head.attnpool.attention(maps.maps[-1])
    assert_close(pool, expected["attention_pool_map"], 1e-5, "attention_pool_map")
    decoder = head.decoder.attention(words, image.tokens, image.positions, packed, image.padding)
    theirs = packed.unpad(expected["decoder_attention_map"])
    assert_close(decoder, theirs, 1e-5, "decoder_attention_map")


@torch.no_grad()
def test_trunk_maps_and_mmocr_keys(model, reference):
    tensors, info = golden("oclip_mmocr")
    model.eval()
    for name in ("a", "b"):
        maps = model["backbone"](tensors[f"input/image_{name}"]).maps
        for level, ours in zip(("c2", "c3", "c4", "c5"), maps, strict=True):
            assert_close(ours, tensors[f"output/{name}/{level}"], 1e-5, f"{name}/{level}")

    mapping = info["resnet50"]["mapping"]
    assert len(mapping) == 330
    for theirs, target in mapping.items():
        (ours,) = from_oclip({theirs: None})
        assert ours.startswith("backbone.")
        (name,) = to_mmocr_clip_resnet({ours.removeprefix("backbone."): None})
        assert name == target


def test_every_prefix_of_the_map_is_used(reference):
    tensors, _ = reference
    keys = section(tensors, "weight/").keys()
    assert all(any(key.startswith(prefix) for key in keys) for prefix in OCLIP_PREFIXES)

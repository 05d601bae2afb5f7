"""CLIP4STR and PARSeq equal the official code, from their own checkpoints' keys."""

from __future__ import annotations

import pytest
import torch
from conftest import assert_close, golden, section

from ocrpretrain.config import build
from ocrpretrain.heads.orders_batch import OrdersBatch
from ocrpretrain.weights.convert_readers import (
    OFFICIAL_94,
    from_clip4str,
    from_parseq,
    reader_config,
)

pytestmark = pytest.mark.golden
# Our ids of the official ones: EOS, the characters, BOS, PAD.
OURS = [0, *(ord(char) - 32 for char in OFFICIAL_94)]

# Names of the official logits, by refinements and branch.
READINGS = {
    "clip4str": {
        0: {"visual": "visual_ar", "cross": "cross_ar"},
        1: {"visual": "visual_refined", "cross": "final"},
        3: {"cross": "final_refine3"},
    },
    "parseq": {refine: {"visual": f"ar_refine{refine}"} for refine in (0, 1, 2)},
}


def load(name: str):
    """The golden values, and the model that its weights' shapes tell."""
    tensors, info = golden(name)
    weights = section(tensors, "weight/")
    options = {"heads": info["system"]["dec_num_heads"], "dropout": 0.0}
    if name == "clip4str":
        table = torch.zeros(info["token_embedding"]["of"], info["clip"]["transformer_width"])
        table[tensors["token_embedding_rows/ids"].long()] = tensors["token_embedding_rows/values"]
        weights["clip_model.token_embedding.weight"] = table
        options["text"] = {"width": 32, "heads": 2, "layers": 8, "quick_gelu": True}
    state = (from_clip4str if name == "clip4str" else from_parseq)(weights)
    backbone_spec, head_spec = reader_config(state)
    heads = info.get("vision_heads") or info["system"]["enc_num_heads"]
    backbone = build(backbone_spec, heads=heads)
    given = {"in_channels": backbone.out_channels, "strides": backbone.strides}
    head = build(head_spec, **given, **options)
    model = torch.nn.ModuleDict({"backbone": backbone, "head": head})
    model.load_state_dict(state, strict=True)
    image = tensors["input/image"]
    image = (image.float() / 255 - 0.5) / 0.5 if image.dtype == torch.uint8 else image
    return tensors, info, model, image


@pytest.fixture(scope="module", params=["clip4str", "parseq", "parseq_depth2"])
def reference(request):
    return request.param, *load(request.param)


def as_official(logits: torch.Tensor) -> torch.Tensor:
    """Classes in the order of the official charset."""
    return logits[..., OURS]


def test_training(reference):
    name, tensors, info, model, image = reference
    collator = model["head"].collator()
    ids = [collator.charset.encode(label) for label in info["labels"]]
    words = collator.pack(ids, tensors["input/perms"].long().numpy())
    batch = OrdersBatch(image=image, text=[], left_out={}, **words)
    features = model["backbone"](image)
    model.zero_grad()
    losses, _ = model["head"](features, batch)
    total = sum(losses.values())
    assert_close(total.detach(), torch.tensor(info["train_loss"]), 1e-5, "loss")
    total.backward()
    checked = 0
    for key, grad in section(tensors, "grad/").items():
        if name == "clip4str":
            renamed = from_clip4str({key: grad})
        else:  # the bias of the patches is a part of the positions
            renamed = from_parseq(
                {key: grad, "model.encoder.patch_embed.proj.bias": torch.zeros(1)}
            )
        ((ours, theirs),) = renamed.items()
        assert_close(model.get_parameter(ours).grad, theirs, 3e-5, key)
        checked += 1
    assert checked >= 9


def test_reading(reference):
    name, tensors, _, model, image = reference
    model.eval()
    for refine, wanted in READINGS[name.partition("_")[0]].items():
        model["head"].refine = refine
        with torch.no_grad():
            reading = model["head"].branches(model["backbone"](image))._asdict()
        for branch, key in wanted.items():
            theirs = tensors[f"output/infer/batch/{key}"]
            ours = as_official(reading[branch])[:, : theirs.shape[1]]
            assert_close(ours, theirs, 1e-5, key)


def test_each_image_alone_in_the_official_way():
    tensors, info, model, image = load("clip4str")
    model.eval()
    for i in range(len(image)):
        with torch.no_grad():
            features = model["backbone"](image[i : i + 1])
            logits = model["head"].branches(features).cross
        assert_close(as_official(logits), tensors[f"output/infer/single{i}/final"], 1e-5, f"{i}")
        texts = model["head"].predict(features, None).texts
        assert texts == info["inference"][f"single{i}"]["strings_final"]

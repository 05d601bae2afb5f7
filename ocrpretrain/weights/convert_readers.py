"""Key names and architectures of CLIP4STR, PARSeq and CLIP's vision transformers -> ours."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

import open_clip
import torch
from torch import Tensor

from ocrpretrain.data.charset import NAMED
from ocrpretrain.errors import CheckpointMismatchError, ConfigError

# timm's names of a block -> open_clip's.
TIMM_BLOCK = {
    "blocks.": "transformer.resblocks.",
    "norm1.": "ln_1.",
    "norm2.": "ln_2.",
    "attn.qkv.": "attn.in_proj_",
    "attn.proj.": "attn.out_proj.",
    "mlp.fc1.": "mlp.c_fc.",
    "mlp.fc2.": "mlp.c_proj.",
}
DECODER = {"pos_queries": "positions", "text_embed.embedding.": "embedding."}
# Official checkpoints of 94 characters number them in this order, ours in the order of their codes.
OFFICIAL_94 = string.digits + string.ascii_letters + string.punctuation
# Its images are scaled to -1..1.
PARSEQ_ENCODER = {"class_token": False, "eps": 1e-6, "mean": [0.5] * 3, "std": [0.5] * 3}
TEXT = ("token_embedding.", "positional_embedding", "transformer.", "ln_final.")


def from_clip4str(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A CLIP4STR checkpoint as `backbone.*` and `head.*`; CLIP's logit scale, unused, stays behind.

    Raises:
        CheckpointMismatchError: naming every key that is not CLIP4STR's.
    """
    converted, unknown = {}, []
    for key, tensor in state.items():
        name = key.removeprefix("clip_model.")
        if key == "clip_model.visual.proj":
            converted["head.memory.project.0.weight"] = tensor.T.contiguous()
        elif key.startswith("clip_model.visual."):
            converted["backbone." + name.removeprefix("visual.")] = tensor
        elif key == "clip_model.text_projection":
            converted["head.text.text_projection"] = tensor
        elif key.startswith("clip_model.") and name.startswith(TEXT):
            converted["head.text.tower." + name] = tensor
        elif key.startswith(("visual_decoder.", "cross_decoder.")):
            converted |= _decoder("head." + key, tensor)
        elif key != "clip_model.logit_scale":
            unknown.append(key)
    if unknown:
        raise CheckpointMismatchError(f"not keys of CLIP4STR: {', '.join(sorted(unknown))}")
    return converted


def from_clip_vit(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A CLIP with a vision transformer: the backbone, and of a head what CLIP has of it.

    That is the projection and the text tower of `CLIP4STRHead`, and `head.logit_scale`.

    Raises:
        CheckpointMismatchError: naming every key that is not CLIP's.
    """
    plain = {name.removeprefix("text."): t for name, t in state.items() if name != "attn_mask"}
    scale = plain.pop("logit_scale", None)
    converted = from_clip4str({f"clip_model.{name}": tensor for name, tensor in plain.items()})
    return converted if scale is None else {**converted, "head.logit_scale": scale}


def from_parseq(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A PARSeq checkpoint as `backbone.*` and `head.*`.

    The bias of its patches is added to their positions, where it acts alike.

    Raises:
        CheckpointMismatchError: naming every key that is not PARSeq's.
    """
    names = {key.removeprefix("model."): tensor for key, tensor in state.items()}
    converted, unknown = {}, []
    bias = names.pop("encoder.patch_embed.proj.bias")
    for name, tensor in names.items():
        inner = name.removeprefix("encoder.").removeprefix("decoder.")
        if name == "encoder.pos_embed":
            converted["backbone.positional_embedding"] = tensor[0] + bias
        elif name == "encoder.patch_embed.proj.weight":
            converted["backbone.conv1.weight"] = tensor
        elif name.startswith("encoder.norm."):
            converted["backbone.ln_post." + inner.removeprefix("norm.")] = tensor
        elif name.startswith("encoder.blocks."):
            for old, new in TIMM_BLOCK.items():
                inner = inner.replace(old, new)
            converted["backbone." + inner] = tensor
        elif name.startswith(("decoder.", "head.", "text_embed.", "pos_queries")):
            converted |= _decoder("head.visual_decoder." + inner, tensor)
        else:
            unknown.append(name)
    if unknown:
        raise CheckpointMismatchError(f"not keys of PARSeq: {', '.join(sorted(unknown))}")
    return converted


def _decoder(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """One tensor of a decoder under our name, its characters in our order."""
    if name.endswith("pos_queries"):
        tensor = tensor[0]
    for old, new in DECODER.items():
        name = name.replace(old, new)
    if "decoder.embedding." in name or "decoder.head." in name:
        count = len(tensor) - (3 if "embedding" in name else 1)
        if count == len(OFFICIAL_94):
            rows = [0, *(OFFICIAL_94.index(char) + 1 for char in NAMED["94"])]
            tensor = tensor[torch.tensor(rows + list(range(len(rows), len(tensor))))]
    return {name: tensor}


def vit_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The `ClipViT` that converted tensors belong to, read off their shapes.

    Neither numbers of attention heads nor activations leave a trace in shapes: assumed are the
    published one head per 64 channels, and QuickGELU beside a class token.
    """
    width, _, high, wide = state["backbone.conv1.weight"].shape
    class_token = "backbone.class_embedding" in state
    cells = len(state["backbone.positional_embedding"]) - class_token
    square = class_token or high == wide  # PARSeq's other images are 32 pixels high
    side = round(cells**0.5) if square else 32 // high
    return {
        "type": "ocrpretrain.backbones.ClipViT",
        "size": [side * high, cells // side * wide],
        "patch": [high, wide],
        "width": width,
        "layers": _blocks(state, "backbone.transformer.resblocks."),
        "heads": width // 64,
        **({"quick_gelu": True} if class_token else PARSEQ_ENCODER),
    }


def clip_vit_config(state: Mapping[str, Tensor], model: str, quick_gelu: bool) -> dict[str, Any]:
    """The `ClipViT` of converted CLIP weights.

    Args:
        state: converted.
        model: open_clip's name, which tells the number of attention heads.
        quick_gelu: what the weights were trained with.

    Raises:
        ConfigError: open_clip has no such model.
    """
    config = open_clip.get_model_config(model)
    if config is None:
        raise ConfigError(f"open_clip has no model {model!r}")
    spec = vit_config(state)
    heads = spec["width"] // config["vision_cfg"].get("head_width", 64)
    return {**spec, "heads": heads, "quick_gelu": quick_gelu or config.get("quick_gelu", False)}


def reader_config(state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Backbone and head that converted tensors belong to, read off their shapes.

    Decoders are taken to have the published 8 attention heads (CLIP4STR) or one per 32 channels
    (PARSeq).
    """
    backbone = vit_config(state)
    class_token = backbone.get("class_token", True)
    steps, decoder = state["head.visual_decoder.positions"].shape
    head: dict[str, Any] = {
        "type": "ocrpretrain.heads.CLIP4STRHead",
        "charset": len(state["head.visual_decoder.head.bias"]) - 1,
        "width": decoder if "head.memory.project.0.weight" in state else None,
        "heads": 8 if class_token else decoder // 32,
        "layers": _blocks(state, "head.visual_decoder.layers."),
        "max_label_length": steps - 1,
        "cross_branch": class_token,
        "compat": "official",
    }
    if class_token:
        text = state["head.text.text_projection"].shape[0]
        layers = _blocks(state, "head.text.tower.transformer.resblocks.")
        head["text"] = {"width": text, "heads": text // 64, "layers": layers, "quick_gelu": True}
    return backbone, head


def _blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    depth = prefix.count(".")
    return len({key.split(".")[depth] for key in state if key.startswith(prefix)})

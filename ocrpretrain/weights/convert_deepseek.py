"""Key names of DeepSeek-OCR's encoder and decoder -> ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ocrpretrain.errors import CheckpointMismatchError

# CLIP's names in DeepSeek-OCR -> open_clip's.
CLIP_NAMES = {
    "embeddings.class_embedding": "class_embedding",
    "embeddings.position_embedding.weight": "positional_embedding",
    "pre_layrnorm.": "ln_pre.",
    "transformer.layers.": "transformer.resblocks.",
    "layer_norm1.": "ln_1.",
    "layer_norm2.": "ln_2.",
    "self_attn.qkv_proj.": "attn.in_proj_",
    "self_attn.out_proj.": "attn.out_proj.",
    "mlp.fc1.": "mlp.c_fc.",
    "mlp.fc2.": "mlp.c_proj.",
}
SAM = "image_encoder."
UNUSED = "vision_model.embeddings.patch_embedding.weight"  # the compressor stands in its place


def from_deepseek_ocr(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder of a DeepSeek-OCR state dict as `backbone.*` and `head.*`.

    Raises:
        CheckpointMismatchError: naming every key that is none of the encoder's.
    """
    converted, unknown = {}, []
    for key, tensor in state.items():
        name = key.removeprefix("model.")
        if name.startswith("sam_model.net_"):
            converted["backbone." + name.removeprefix("sam_model.")] = tensor
        elif name.startswith("sam_model."):
            converted["backbone.sam." + name.removeprefix("sam_model.")] = tensor
        elif name.startswith("vision_model.") and name != UNUSED:
            inner = name.removeprefix("vision_model.")
            for old, new in CLIP_NAMES.items():
                inner = inner.replace(old, new)
            converted["backbone.clip." + inner] = tensor
        elif name.startswith("projector.layers."):
            converted["head.page.projector." + name.removeprefix("projector.layers.")] = tensor
        elif name in ("image_newline", "view_seperator"):
            converted["head.page." + name.replace("seperator", "separator")] = tensor
        elif name != UNUSED:
            unknown.append(key)
    if unknown:
        raise CheckpointMismatchError(f"not keys of the encoder: {', '.join(sorted(unknown))}")
    return converted


def from_sam(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The image encoder of a SAM; its prompts and masks stay behind."""
    return {
        "backbone.sam." + name.removeprefix(SAM): tensor
        for name, tensor in state.items()
        if name.startswith(SAM)
    }


def into_deep_encoder(converted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a converted CLIP transformer what `DeepEncoder` takes: no patches, no last norm."""
    parts = ("class_embedding", "positional_embedding", "ln_pre.", "transformer.")
    names = {name: name.removeprefix("backbone.") for name in converted if "backbone." in name}
    return {
        "backbone.clip." + inner: converted[name]
        for name, inner in names.items()
        if inner.startswith(parts)
    }


def sam_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arguments of the `SAMViT` that converted tensors belong to, read off their shapes."""
    own = {name.removeprefix("backbone.sam."): t for name, t in state.items() if ".sam." in name}
    width, _, patch, _ = own["patch_embed.proj.weight"].shape
    blocks = sorted({int(name.split(".")[1]) for name in own if name.startswith("blocks.")})
    tables = [own[f"blocks.{place}.attn.rel_pos_h"] for place in blocks]
    window = (min(map(len, tables)) + 1) // 2
    return {
        "width": width,
        "depth": len(blocks),
        "heads": width // tables[0].shape[1],
        "global_blocks": [i for i in blocks if len(tables[i]) > 2 * window - 1],
        "out_channels": len(own["neck.0.weight"]),
        "window": window,
        "grid": own["pos_embed"].shape[1],
        "patch": patch,
        "mlp_ratio": len(own["blocks.0.mlp.lin1.bias"]) / width,
    }


def compressed_clip_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arguments of the `CompressedCLIP` that converted tensors belong to.

    The number of heads leaves no trace in shapes: one per 64 channels, as published.
    """
    prefix = "backbone.clip.transformer.resblocks."
    rows, width = state["backbone.clip.positional_embedding"].shape
    layers = len({name.split(".")[4] for name in state if name.startswith(prefix)})
    return {
        "width": width,
        "layers": layers,
        "heads": width // 64,
        "grid": round((rows - 1) ** 0.5),
    }


# The decoder's names in DeepSeek-OCR -> ours.
DECODER_NAMES = {
    "embed_tokens.": "embedding.",
    "lm_head.": "head.",
    "input_layernorm.": "norm1.",
    "post_attention_layernorm.": "norm2.",
    "self_attn.": "attention.",
    "mlp.gate.weight": "mlp.router",
    "shared_experts.": "shared.",
    "_proj.": ".",
}


def from_deepseek_decoder(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The decoder of a DeepSeek-OCR state dict under our names, its experts stacked."""
    converted: dict[str, Tensor] = {}
    experts: dict[str, dict[int, Tensor]] = {}
    for key, tensor in state.items():
        name = key.removeprefix("model.")
        for old, new in DECODER_NAMES.items():
            name = name.replace(old, new)
        if match := re.fullmatch(r"(.*\.mlp)\.experts\.(\d+)\.(gate|up|down)\.weight", name):
            experts.setdefault(f"{match[1]}.{match[3]}", {})[int(match[2])] = tensor
        else:
            converted[name] = tensor
    stacked = {
        name: torch.stack([parts[place] for place in range(len(parts))])
        for name, parts in experts.items()
    }
    return {**converted, **stacked}

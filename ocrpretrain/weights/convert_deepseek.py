"""Key names of DeepSeek-OCR's encoder and decoder -> ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
            converted["head.projector." + name.removeprefix("projector.layers.")] = tensor
        elif name in ("image_newline", "view_seperator"):
            converted["head." + name.replace("seperator", "separator")] = tensor
        elif name != UNUSED:
            unknown.append(key)
    if unknown:
        raise CheckpointMismatchError(f"not keys of the encoder: {', '.join(sorted(unknown))}")
    return converted


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

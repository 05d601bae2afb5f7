"""Key names and architectures of other projects <-> ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ocrpretrain.errors import CheckpointMismatchError
from ocrpretrain.weights.convert_deepseek import from_deepseek_ocr, from_sam
from ocrpretrain.weights.convert_readers import from_clip4str, from_clip_vit, from_parseq
from ocrpretrain.weights.foreign import Kind

# Official oCLIP prefix -> ours; the longest match wins.
OCLIP_PREFIXES = {
    "visual.attnpool.": "head.attnpool.",
    "visual.": "backbone.trunk.",
    "transformer_decoder.": "head.decoder.",
    "ln_final_decoder.": "head.decoder.ln_final.",
    "transformer.": "head.text.transformer.",
    "token_embedding.": "head.text.token_embedding.",
    "positional_embedding": "head.text.positional_embedding",
    "ln_final.": "head.text.ln_final.",
    "text_projection": "head.text_projection",
    "text_class.": "head.text_class.",
    "image_pos": "head.image_pos",
    "logit_scale": "head.logit_scale",
}

# CLIP's stem and downsampling -> MMOCR's CLIPResNet; everything else keeps its name.
MMOCR_STEM = {"conv1": "0", "bn1": "1", "conv2": "3", "bn2": "4", "conv3": "6", "bn3": "7"}
MMOCR_DOWNSAMPLE = {"downsample.0.": "downsample.1.", "downsample.1.": "downsample.2."}


def from_oclip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An official oCLIP state dict, with or without `module.`, as `backbone.*` and `head.*`.

    Raises:
        CheckpointMismatchError: naming every key that is not oCLIP's.
    """
    converted, unknown = {}, []
    for key, tensor in state.items():
        name = key.removeprefix("module.")
        prefix = max((p for p in OCLIP_PREFIXES if name.startswith(p)), key=len, default=None)
        if prefix is None:
            unknown.append(key)
            continue
        converted[OCLIP_PREFIXES[prefix] + name.removeprefix(prefix)] = tensor
    if unknown:
        raise CheckpointMismatchError(f"not keys of an oCLIP model: {', '.join(sorted(unknown))}")
    return converted


def to_mmocr_clip_resnet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our `CLIPResNet` (keys `trunk.*`) as MMOCR's `CLIPResNet` (330 entries for RN50)."""
    converted = {}
    for key, tensor in state.items():
        name = key.removeprefix("trunk.")
        first, _, rest = name.partition(".")
        if first in MMOCR_STEM:
            name = f"stem.{MMOCR_STEM[first]}.{rest}"
        for old, new in MMOCR_DOWNSAMPLE.items():
            if old in name:
                name = name.replace(old, new)
                break
        converted[name] = tensor
    return converted


def from_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The trunk of a CLIP ResNet (OpenAI's or open_clip's names) as `backbone.*`.

    Attention pool and text tower stay behind: they are no part of a backbone.
    """
    trunk = {key: t for key, t in state.items() if key.startswith("visual.")}
    return {
        "backbone.trunk." + key.removeprefix("visual."): tensor
        for key, tensor in trunk.items()
        if not key.startswith("visual.attnpool.")
    }


def from_mmocr(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """MMOCR's `CLIPResNet`, the inverse of `to_mmocr_clip_resnet`, as `backbone.*`."""
    stem = {f"stem.{new}.": f"{old}." for old, new in MMOCR_STEM.items()}
    downsample = {new: old for old, new in MMOCR_DOWNSAMPLE.items()}
    converted = {}
    for key, tensor in state.items():
        for new, old in (stem if key.startswith("stem.") else downsample).items():
            if new in key:
                key = key.replace(new, old)
                break
        converted[f"backbone.trunk.{key}"] = tensor
    return converted


def from_mmocr_detector(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The `CLIPResNet` of a whole MMOCR detector; neck and head stay behind."""
    prefix = "backbone."
    return from_mmocr(
        {key.removeprefix(prefix): t for key, t in state.items() if key.startswith(prefix)}
    )


TO_OURS: dict[Kind, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]] = {
    "ours": dict,
    "oclip": from_oclip,
    "clip4str": from_clip4str,
    "parseq": from_parseq,
    "clip": from_clip,
    "clip-vit": from_clip_vit,
    "deepseek-ocr": from_deepseek_ocr,
    "sam": from_sam,
    "mmocr": from_mmocr,
    "mmocr-detector": from_mmocr_detector,
}


def clip_resnet_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The `CLIPResNet` that `backbone.trunk.*` tensors belong to, read off their shapes.

    Raises:
        CheckpointMismatchError: a stage without blocks.
    """
    blocks: list[int] = []
    for stage in (1, 2, 3, 4):
        pattern = re.compile(rf"backbone\.trunk\.layer{stage}\.(\d+)\.conv1\.weight")
        found = [int(match[1]) for key in state if (match := pattern.fullmatch(key))]
        if not found:
            raise CheckpointMismatchError(f"no block of stage {stage} (layer{stage}.*) in the file")
        blocks.append(max(found) + 1)
    width = state["backbone.trunk.layer1.0.conv1.weight"].shape[0]
    return {"type": "ocrpretrain.backbones.CLIPResNet", "layers": blocks, "width": width}


def oclip_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The official oCLIP head that `head.*` tensors belong to, read off their shapes.

    Numbers of attention heads leave no trace in shapes: they are the published 8.
    """
    side = round(state["head.image_pos"].shape[0] ** 0.5)
    text_width, embed_dim = state["head.text_projection"].shape
    blocks = {
        name: len({key.split(".")[i] for key in state if key.startswith(prefix)})
        for name, prefix, i in (
            ("text_layers", "head.text.transformer.resblocks.", 4),
            ("decoder_layers", "head.decoder.resblocks.", 3),
        )
    }
    return {
        "type": "ocrpretrain.heads.OCLIPHead",
        "embed_dim": embed_dim,
        "grid": [side, side],
        "text_width": text_width,
        "max_label_length": state["head.text.positional_embedding"].shape[0],
        "compat": "official",
        **blocks,
    }

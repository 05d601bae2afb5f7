"""Key names of other projects <-> ours. Recognised by keys, never by file name."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ocrpretrain.errors import CheckpointMismatchError

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

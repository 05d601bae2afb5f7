"""Files of other projects -> weights files, and weights files -> files of other projects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import open_clip
import torch
from torch import Tensor

from ocrpretrain.config import build
from ocrpretrain.errors import CheckpointMismatchError, ConfigError
from ocrpretrain.weights.card import write_card
from ocrpretrain.weights.convert import (
    TO_OURS,
    clip_resnet_config,
    from_clip,
    from_mmocr,
    oclip_config,
    to_mmocr_clip_resnet,
)
from ocrpretrain.weights.convert_deepseek import (
    compressed_clip_config,
    into_deep_encoder,
    sam_config,
)
from ocrpretrain.weights.convert_readers import clip_vit_config, reader_config
from ocrpretrain.weights.foreign import Kind, is_tag, read_state, read_tag, recognise
from ocrpretrain.weights.format import (
    WeightsInfo,
    load_strict,
    mismatches,
    read_info,
    read_weights,
    write_weights,
)

PathLike = str | os.PathLike[str]
CLIP_RESNET = "ocrpretrain.backbones.CLIPResNet"


def import_weights(
    source: PathLike,
    out: PathLike,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    head_options: Mapping[str, Any] | None = None,
    model: str | None = None,
    backbone_options: Mapping[str, Any] | None = None,
    deep_encoder: bool = False,
) -> tuple[Kind, WeightsInfo]:
    """Write another project's weights as ours, after loading them into freshly built modules.

    Args:
        source: a file, or an open_clip tag such as `RN50/openai`.
        out: the weights file to write; a reader file where the source has a head of ours. A CLIP
            with a vision transformer leaves the parts of a head that it has, for `init`.
        mean: what the weights were trained with, RGB in 0..1; by default CLIP's, or PARSeq's.
        std: see `mean`.
        head_options: arguments of the head that shapes do not tell (numbers of heads).
        model: open_clip's name of a CLIP with a vision transformer in a file, which tells what
            shapes do not: ViT-B-16, or ViT-B-16-quickgelu for OpenAI's.
        backbone_options: as `head_options`, of the backbone.
        deep_encoder: write a CLIP transformer as the CLIP part of a `DeepEncoder`; as a SAM's, the
            file holds that part alone, for `init`.

    Raises:
        CheckpointMismatchError: an unknown file, or tensors that do not fit; nothing is written.
        ConfigError: mean without std, or std without mean; no model where one is needed, or one
            where none is.
    """
    state = read_tag(str(source)) if is_tag(source) else read_state(source)
    kind = recognise(state, str(source))
    if kind == "ours":
        raise CheckpointMismatchError(f"{source}: is a weights file of ours already")
    if (mean is None) != (std is None):
        raise ConfigError("mean and std of the weights are given together, or neither")
    tensors = {name: tensor.float() if tensor.is_floating_point() else tensor
               for name, tensor in TO_OURS[kind](state).items()}  # fmt: skip
    if deep_encoder and kind != "clip-vit":
        raise ConfigError(f"deep_encoder: of CLIP's transformers alone, and this is {kind}")
    if deep_encoder:
        tensors = into_deep_encoder(tensors)
    quick_gelu = False
    if is_tag(source):
        model, _, weights = str(source).partition("/")
        quick_gelu = open_clip.get_pretrained_cfg(model, weights).get("quick_gelu", False)
    elif (model is None) == (kind == "clip-vit"):
        raise ConfigError(
            "an open_clip model (ViT-B-16, or ViT-B-16-quickgelu for OpenAI's weights) is named "
            f"for files of CLIP's vision transformers alone, and this is {kind}"
        )
    spec, head_spec = _specs(kind, tensors, model or "", quick_gelu)
    spec |= {} if mean is None or std is None else {"mean": list(mean), "std": list(std)}
    spec |= backbone_options or {}
    backbone = build(spec)
    modules = torch.nn.ModuleDict({"backbone": backbone})
    parts = {name: t for name, t in tensors.items() if head_spec or name.startswith("backbone.")}
    if head_spec is not None:
        head_spec |= head_options or {}
        given = {"in_channels": backbone.out_channels, "strides": backbone.strides}
        modules["head"] = build(head_spec, **given)
    part = "sam." if kind == "sam" else "clip." if deep_encoder else ""
    if part:  # of a backbone; the rest comes from elsewhere
        own = {name.removeprefix("backbone." + part): t for name, t in parts.items()}
        load_strict(backbone.get_submodule(part[:-1]), own, str(source))
    else:
        load_strict(modules, parts, str(source))
    _tell(kind, state, tensors)
    info = WeightsInfo(
        backbone=spec,
        mean=backbone.mean,
        std=backbone.std,
        strides=tuple(backbone.strides),
        out_channels=tuple(backbone.out_channels),
        head=head_spec,
        view=_view(kind, spec, head_spec),
        data=f"unknown: converted from {kind} weights ({Path(source).name})",
    )
    write_weights(out, tensors if part else {**tensors, **modules.state_dict()}, info)
    write_card(out, info)
    return kind, info


def _specs(
    kind: Kind, tensors: Mapping[str, Tensor], model: str, quick_gelu: bool
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What builds the backbone and the head that converted tensors belong to."""
    if kind in ("clip4str", "parseq"):
        return reader_config(tensors)
    if kind in ("deepseek-ocr", "sam") or "backbone.clip.class_embedding" in tensors:
        spec = _deep_encoder(tensors)
        if kind == "clip-vit" and not (quick_gelu or model.endswith("-quickgelu")):
            spec["clip"]["quick_gelu"] = False
        return spec, None
    if kind == "clip-vit":
        return clip_vit_config(tensors, model, quick_gelu), None
    return clip_resnet_config(tensors), oclip_config(tensors) if kind == "oclip" else None


def _deep_encoder(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The `DeepEncoder` that tensors belong to, published where they are of one part alone."""
    spec: dict[str, Any] = {"type": "ocrpretrain.backbones.DeepEncoder"}
    if "backbone.sam.pos_embed" in tensors:
        spec["sam"] = sam_config(tensors)
    if "backbone.clip.class_embedding" in tensors:
        spec["clip"] = compressed_clip_config(tensors)
    return spec


def _view(kind: Kind, spec: Mapping[str, Any], head: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a head was trained on, as far as it is known."""
    if head is None:
        return {}
    if kind == "oclip":
        return {"size": [side * 32 for side in head["grid"]]}
    return {"size": spec["size"], "resize": "squash"}


def _tell(kind: Kind, state: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Say what a conversion leaves behind, changes and assumes."""
    if len(tensors) < len(state):
        print(f"left behind, no part of ours: {len(state) - len(tensors)} tensors")
    half = sum(t.is_floating_point() and t.dtype != torch.float32 for t in state.values())
    if half:
        print(f"stored as float32: {half} tensors of another precision")
    if kind in ("oclip", "clip4str", "parseq"):
        print("numbers of attention heads are not in the file: the published ones are assumed")
    if kind == "clip4str":
        print("the activation is not in the file: QuickGELU, the official code's, is assumed")


def export_weights(
    source: PathLike,
    out: PathLike,
    to: Literal["mmocr", "open_clip"],
    base: PathLike | None = None,
) -> int:
    """Write our backbone for another project, after converting it back and comparing every bit.

    Args:
        source: a weights file with a `CLIPResNet`.
        out: torch file: a bare state dict of plain tensors.
        to: 'mmocr': for `CLIPResNet` through `init_cfg`; 'open_clip': for
            `create_model(..., pretrained=out)`.
        base: for open_clip, which needs a whole CLIP: a file or tag that lends the attention pool
            and the text tower.

    Returns:
        Number of tensors written.

    Raises:
        CheckpointMismatchError: another backbone, or a base of another size; nothing is written.
        ConfigError: no base for open_clip.
    """
    if read_info(source).backbone["type"] != CLIP_RESNET:
        raise CheckpointMismatchError(f"{source}: only a CLIPResNet has a form in other projects")
    ours = read_weights(source, "backbone.")
    if to == "mmocr":
        tensors, back = to_mmocr_clip_resnet(ours), from_mmocr
    else:
        tensors, back = _onto_clip(ours, base), from_clip
    returned = {name.removeprefix("backbone."): t for name, t in back(tensors).items()}
    problems = mismatches(ours, returned)
    problems += [f"changed on the way: {name}" for name in ours.keys() & returned.keys()
                 if not torch.equal(ours[name], returned[name])]  # fmt: skip
    if problems:
        raise CheckpointMismatchError(f"{source}: not exported:\n  " + "\n  ".join(problems))
    temporary = Path(out).with_suffix(".part")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, temporary)
    temporary.replace(out)
    return len(tensors)


def _onto_clip(ours: Mapping[str, Tensor], base: PathLike | None) -> dict[str, Tensor]:
    if base is None:
        raise ConfigError(
            "open_clip loads whole models: --base FILE or TAG (RN50/openai) lends the attention "
            "pool and the text tower"
        )
    lender = read_state(base) if Path(base).exists() else read_tag(str(base))
    trunk = {"visual." + name.removeprefix("trunk."): tensor for name, tensor in ours.items()}
    theirs = {
        key: tensor
        for key, tensor in lender.items()
        if key.startswith("visual.") and not key.startswith("visual.attnpool.")
    }
    problems = mismatches(theirs, trunk)
    if problems:
        raise CheckpointMismatchError(f"{base}: another trunk:\n  " + "\n  ".join(problems[:12]))
    return {**lender, **trunk}

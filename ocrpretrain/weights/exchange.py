"""Files of other projects -> weights files, and weights files -> files of other projects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

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
from ocrpretrain.weights.foreign import Kind, read_state, read_tag, recognise
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
) -> tuple[Kind, WeightsInfo]:
    """Write another project's weights as ours, after loading them into freshly built modules.

    Args:
        source: a file, or an open_clip tag such as `RN50/openai`.
        out: the weights file to write; a reader file where the source is an oCLIP model.
        mean: what the weights were trained with, RGB in 0..1; CLIP's by default.
        std: see `mean`.
        head_options: arguments of the oCLIP head that shapes do not tell (numbers of heads).

    Raises:
        CheckpointMismatchError: an unknown file, or tensors that do not fit; nothing is written.
        ConfigError: mean without std, or std without mean.
    """
    is_tag = not Path(source).exists() and str(source).count("/") == 1
    state = read_tag(str(source)) if is_tag else read_state(source)
    kind = recognise(state, str(source))
    if kind == "ours":
        raise CheckpointMismatchError(f"{source}: is a weights file of ours already")
    if (mean is None) != (std is None):
        raise ConfigError("mean and std of the weights are given together, or neither")
    tensors = {name: tensor.float() if tensor.is_floating_point() else tensor
               for name, tensor in TO_OURS[kind](state).items()}  # fmt: skip
    statistics = {} if mean is None or std is None else {"mean": list(mean), "std": list(std)}
    spec = {**clip_resnet_config(tensors), **statistics}
    backbone = build(spec)
    model = torch.nn.ModuleDict({"backbone": backbone})
    head_spec = None
    if kind == "oclip":
        head_spec = {**oclip_config(tensors), **(head_options or {})}
        given = {"in_channels": backbone.out_channels, "strides": backbone.strides}
        model["head"] = build(head_spec, **given)
    load_strict(model, tensors, str(source))
    _tell(kind, state, tensors)
    info = WeightsInfo(
        backbone=spec,
        mean=backbone.mean,
        std=backbone.std,
        strides=tuple(backbone.strides),
        out_channels=tuple(backbone.out_channels),
        head=head_spec,
        view={"size": [side * 32 for side in head_spec["grid"]]} if head_spec else {},
        data=f"unknown: converted from {kind} weights ({Path(source).name})",
    )
    write_weights(out, model.state_dict(), info)
    write_card(out, info)
    return kind, info


def _tell(kind: Kind, state: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Say what a conversion leaves behind, changes and assumes."""
    if len(tensors) < len(state):
        print(f"left behind, no part of the backbone: {len(state) - len(tensors)} tensors")
    half = sum(t.is_floating_point() and t.dtype != torch.float32 for t in state.values())
    if half:
        print(f"stored as float32: {half} tensors of another precision")
    if kind == "oclip":
        print("numbers of attention heads are not in the file: oCLIP's published ones are assumed")


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

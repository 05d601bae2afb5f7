"""Reads weights files of other projects without running anything in them, and says whose they are.

Recognised by keys and shapes, never by the file's name.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ocrpretrain.errors import CheckpointMismatchError

PathLike = str | os.PathLike[str]
Kind = Literal[
    "ours",
    "oclip",
    "clip4str",
    "parseq",
    "clip",
    "clip-vit",
    "deepseek-ocr",
    "sam",
    "mmocr",
    "mmocr-detector",
]

# Keys of each kind that no other kind has; prefixes of all keys are taken off before. The first
# match wins.
MARKS: dict[Kind, tuple[str, ...]] = {
    "ours": ("backbone.trunk.layer1.0.conv1.weight",),
    "clip4str": ("clip_model.visual.conv1.weight", "visual_decoder.pos_queries"),
    "parseq": ("encoder.patch_embed.proj.weight", "pos_queries"),
    "deepseek-ocr": ("sam_model.net_3.weight", "vision_model.pre_layrnorm.weight"),
    "sam": ("image_encoder.pos_embed", "image_encoder.blocks.0.attn.rel_pos_h"),
    "clip-vit": ("visual.transformer.resblocks.0.ln_1.weight", "token_embedding.weight"),
    "oclip": ("visual.layer1.0.conv1.weight", "image_pos", "text_class.weight"),
    "clip": ("visual.layer1.0.conv1.weight",),
    "mmocr-detector": ("backbone.stem.0.weight", "backbone.layer1.0.conv1.weight"),
    "mmocr": ("stem.0.weight", "layer1.0.conv1.weight"),
}


# Of DeepSeek-OCR's 6.7 GB the encoder is an eighth; of a safetensors file nothing else is read.
ENCODER = tuple(
    f"model.{part}"
    for part in ("sam_model.", "vision_model.", "projector.", "image_newline", "view_seperator")
)


def read_state(path: PathLike) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a torch file: bare, or under `state_dict`.

    A leading `module.` or `model.` of all keys is taken off.

    Raises:
        CheckpointMismatchError: no file, no state dict, or a file that would have to run code.
    """
    if not Path(path).is_file():
        raise CheckpointMismatchError(f"{path}: no such file")
    try:
        content: Any = _safetensors(path)
    except SafetensorError:
        content = _torch_file(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointMismatchError(f"{path}: holds no state dict")
    wrong = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if wrong:
        raise CheckpointMismatchError(f"{path}: not tensors: {', '.join(wrong[:5])}")
    for prefix in ("module.", "model."):
        if all(key.startswith(prefix) for key in content):
            content = {key.removeprefix(prefix): tensor for key, tensor in content.items()}
    return dict(content)


def _safetensors(path: PathLike) -> dict[str, Tensor]:
    with safe_open(path, "pt") as file:
        names = list(file.keys())
        if "model.sam_model.net_3.weight" in names:
            names = [name for name in names if name.startswith(ENCODER)]
        return {name: file.get_tensor(name) for name in names}


def _torch_file(path: PathLike) -> Any:
    try:
        with torch.serialization.safe_globals(_mmengine_globals()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({named[1]})" if named else ""
        raise CheckpointMismatchError(
            f"{path}: holds more than plain tensors{what}, and loading it could run code. Where "
            "you trust it, save its state dict alone; of an OpenAI archive, give the tag "
            "(RN50/openai) instead"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = re.split(r"[.\n]", str(error), maxsplit=1)[0]
        raise CheckpointMismatchError(f"{path}: truncated or no weights file ({reason})") from None


def _mmengine_globals() -> list[Any]:
    """Plain containers that MMEngine's runner stores beside the tensors."""
    import numpy as np
    from mmengine.logging import HistoryBuffer
    from numpy._core.multiarray import _reconstruct  # pyright: ignore

    numbers = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    before_numpy_2 = (_reconstruct, "numpy.core.multiarray._reconstruct")
    # A history names its own methods by `getattr`, which could reach anything: here it is inert.
    inert = [(_nothing, "builtins.getattr"), (_nothing, "__builtin__.getattr")]
    return [HistoryBuffer, _reconstruct, before_numpy_2, np.ndarray, np.dtype, *numbers, *inert]


def _nothing(*_: object) -> None:
    return None


def is_tag(source: PathLike) -> bool:
    """Whether it is no file but speaks like a tag of open_clip: MODEL/WEIGHTS."""
    return not Path(source).exists() and str(source).count("/") == 1


def read_tag(tag: str) -> dict[str, Tensor]:
    """The state dict of an open_clip model, such as `RN50/openai`, through open_clip's own cache.

    Raises:
        CheckpointMismatchError: an unknown tag, or one that is neither cached nor reachable.
    """
    import open_clip

    model, _, pretrained = tag.partition("/")
    if (model, pretrained) not in open_clip.list_pretrained():
        known = [f"{m}/{p}" for m, p in open_clip.list_pretrained() if m == model or p == "openai"]
        raise CheckpointMismatchError(f"{tag}: no tag of open_clip, as are {', '.join(known)}")
    try:
        return dict(open_clip.create_model(model, pretrained=pretrained).state_dict())
    except (OSError, RuntimeError) as error:
        raise CheckpointMismatchError(f"{tag}: open_clip could not fetch it ({error})") from None


def recognise(state: Mapping[str, Tensor], where: str) -> Kind:
    """Whose state dict it is.

    Raises:
        CheckpointMismatchError: none that is known; shows some keys.
    """
    for kind, marks in MARKS.items():
        if all(mark in state for mark in marks):
            return kind
    shown = ", ".join(sorted(state)[:5])
    raise CheckpointMismatchError(
        f"{where}: neither oCLIP, CLIP4STR, PARSeq, CLIP, SAM, DeepSeek-OCR, MMOCR's "
        f"CLIPResNet, nor a detector with one; its keys begin with {shown}"
    )

"""A weights file -> the modules it holds, built and filled."""

from __future__ import annotations

import os

from ocrpretrain.backbones.base import Backbone
from ocrpretrain.config import build
from ocrpretrain.data.inline import Inline
from ocrpretrain.errors import CheckpointMismatchError
from ocrpretrain.heads.base import Head
from ocrpretrain.weights.format import load_strict, read_info, read_weights

PathLike = str | os.PathLike[str]


def load_backbone(path: PathLike) -> Backbone:
    """The backbone of a weights file, in eval mode.

    Raises:
        CheckpointMismatchError: a file that does not fit the backbone that it names.
    """
    backbone: Backbone = build(read_info(path).backbone)
    load_strict(backbone, read_weights(path, "backbone."), str(path))
    return backbone.eval()


def load_reader(path: PathLike) -> tuple[Backbone, Head]:
    """Backbone and head of a reader file, in eval mode.

    Raises:
        CheckpointMismatchError: a transfer file (no head), or tensors that do not fit.
    """
    info = read_info(path)
    backbone = load_backbone(path)
    if info.head is None:
        raise CheckpointMismatchError(f"{path}: was not trained with a head")
    tensors = read_weights(path, "head.")
    spec = {**info.head, **{name: Inline(text) for name, text in info.files.items()}}
    head: Head = build(spec, in_channels=backbone.out_channels, strides=backbone.strides)
    load_strict(head, tensors, str(path))
    return backbone, head.eval()

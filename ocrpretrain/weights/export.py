"""A pretraining run -> a weights file: the backbone for transfer, or backbone and head to read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from ocrpretrain.backbones.base import Backbone
from ocrpretrain.config import build, digest
from ocrpretrain.environment import file_sha256
from ocrpretrain.errors import CheckpointMismatchError
from ocrpretrain.heads.base import Head
from ocrpretrain.weights.card import write_card
from ocrpretrain.weights.format import WeightsInfo, load_strict, write_weights

PathLike = str | os.PathLike[str]


def find_checkpoint(path: PathLike, which: str = "best") -> Path:
    """The checkpoint file of a run's folder (or the file itself).

    Args:
        path: a `.ckpt` file, or the `work_dir` of a run.
        which: 'best' by the validation signal, or 'last'.

    Raises:
        CheckpointMismatchError: no such file or folder.
    """
    path = Path(path)
    file = path / "checkpoints" / f"{which}.ckpt" if path.is_dir() else path
    if not file.is_file():
        raise CheckpointMismatchError(f"{file}: no such checkpoint")
    return file


def load_run(checkpoint: PathLike) -> tuple[Backbone, Head, dict[str, Any]]:
    """Backbone and head of a checkpoint, freshly built and strictly filled, and the run's record.

    Raises:
        CheckpointMismatchError: not a pretraining run's, or one that does not fit its own config.
    """
    saved: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    if "ocrpretrain" not in saved:
        raise CheckpointMismatchError(f"{checkpoint}: was not written by a pretraining run")
    run = saved["ocrpretrain"]
    backbone: Backbone = build(run["config"]["backbone"])
    given = {"in_channels": backbone.out_channels, "strides": backbone.strides}
    head: Head = build(run["config"]["head"], **given)
    model = torch.nn.ModuleDict({"backbone": backbone, "head": head})
    load_strict(model, saved["state_dict"], str(checkpoint))
    return backbone, head, run


def export(checkpoint: PathLike, out: PathLike, reader: bool = False) -> WeightsInfo:
    """Write a checkpoint's weights file, card and record, after loading it into a fresh model.

    Args:
        checkpoint: written by a pretraining run.
        out: the file to write.
        reader: keep the head too.

    Raises:
        CheckpointMismatchError: a checkpoint that does not fit its own config; nothing is written.
    """
    backbone, head, run = load_run(checkpoint)
    cfg = run["config"]
    module = torch.nn.ModuleDict({"backbone": backbone, **({"head": head} if reader else {})})
    info = WeightsInfo(
        backbone=cfg["backbone"],
        mean=backbone.mean,
        std=backbone.std,
        strides=tuple(backbone.strides),
        out_channels=tuple(backbone.out_channels),
        head=cfg["head"],
        files={k: v for k, v in head.files().items() if reader and k in cfg["head"]},
        view=cfg["data"]["view"],
        data=run["data"],
        images_seen=run["images_seen"],
        config_hash=digest(cfg),
        git=run["git"],
        seed=cfg.get("seed", 0),
        metrics=run["metrics"],
        group=run.get("group", ""),
    )
    write_weights(out, module.state_dict(), info)
    write_card(out, info)
    record = {"weights": Path(out).name, "weights_sha256": file_sha256(out), **run}
    record_file = Path(out).with_suffix(".record.json")
    record_file.write_text(json.dumps(record, indent=1, default=list) + "\n", "utf-8")
    return info

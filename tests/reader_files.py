"""Reader files of small, untrained heads that read words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ocrpretrain.config import build, digest
from ocrpretrain.environment import file_sha256
from ocrpretrain.weights.format import WeightsInfo, write_weights

BACKBONE = {
    "type": "ocrpretrain.backbones.ClipViT", "size": [32, 64], "patch": [8, 8], "width": 32,
    "layers": 1, "heads": 2,
}  # fmt: skip
CONFIG = {"seed": 3, "head": {"type": "x"}, "data": {"batch_size": 1}}  # of their training
HEADS = {
    "clip4str": {
        "type": "ocrpretrain.heads.CLIP4STRHead", "width": 24, "heads": 4,
        "text": {"width": 16, "heads": 2, "layers": 1},
    },
    "ctc": {"type": "ocrpretrain.heads.CTCHead"},
}  # fmt: skip


@torch.no_grad()
def write_reader(path: Path, name: str) -> Path:
    """A reader file whose answers differ from picture to picture."""
    torch.manual_seed(0)
    backbone = build(BACKBONE)
    given = {"in_channels": backbone.out_channels, "strides": backbone.strides}
    head = build(HEADS[name], **given)
    for parameter in [*backbone.parameters(), *head.parameters()]:
        torch.nn.init.normal_(parameter, std=0.4)
    if name == "clip4str":  # as drawn, all pictures would read alike
        torch.nn.init.normal_(head.memory.project[0].weight, std=3.0)
        head.visual_decoder.head.bias[0] = 1.0
    info = WeightsInfo(
        *(BACKBONE, backbone.mean, backbone.std, backbone.strides, backbone.out_channels),
        head=HEADS[name],
        view={"size": [32, 64], "resize": "squash"},
        data="generated",
        images_seen=7,
        config_hash=digest(CONFIG),
        seed=3,
    )
    model = torch.nn.ModuleDict({"backbone": backbone, "head": head})
    write_weights(path, model.state_dict(), info)
    return path


@pytest.fixture(params=["clip4str", "ctc"])
def reader_file(request, tmp_path):
    return write_reader(tmp_path / f"{request.param}.safetensors", request.param)


@pytest.fixture
def pictures(tmp_path):
    """A folder of pictures of every shape, one in a folder below, and a file that is none."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    rng = np.random.default_rng(0)
    sizes = {"a.png": (32, 90), "b.jpg": (20, 60), "below/c.webp": (64, 64), "dot.png": (1, 1)}
    for name, size in {**sizes, "strip.png": (3, 10000), "tall.png": (10000, 3)}.items():
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(folder / name)
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not read")
    return folder


PAGE_TEXT = {"type": "ocrpretrain.data.Texts", "page": "words", "part": "train"}
PAGES = {
    "type": "ocrpretrain.data.SyntheticPages", "length": 6, "size": [96, 96], "body": [12, 14],
    "columns": [1, 1], "tables": 0.0, "figures": 0.0, "effects": "none", "text": PAGE_TEXT,
}  # fmt: skip
PAGE_CONFIG = {"seed": 3, "head": {"type": "x"}, "data": {"train": PAGES, "val": PAGES}}
PAGE_BACKBONE = {"type": "ocrpretrain.backbones.ConvBackbone", "width": 8, "blocks": [1, 1, 1]}


@torch.no_grad()
def write_page_reader(path: Path, seed: int = 3, view: dict | None = None, **options) -> Path:
    """A reader file of an untrained head that reads pages, and its record."""
    torch.manual_seed(seed)
    backbone = build(PAGE_BACKBONE)
    spec = {"type": "ocrpretrain.heads.CompressionHead", "max_tokens": 40, **options}
    spec["decoder"] = {"width": 16, "layers": 1, "heads": 2, "hidden": 16}
    head = build(spec, in_channels=backbone.out_channels, strides=backbone.strides)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    info = WeightsInfo(
        *(PAGE_BACKBONE, backbone.mean, backbone.std, backbone.strides, backbone.out_channels),
        head=spec,
        view={"size": [64, 64], **(view or {})},
        data="generated",
        images_seen=7,
        config_hash=digest(PAGE_CONFIG),
        seed=seed,
    )
    model = torch.nn.ModuleDict({"backbone": backbone, "head": head})
    write_weights(path, model.state_dict(), info)
    record = {
        "weights_sha256": file_sha256(path), "images_seen": 7, "config": PAGE_CONFIG,
        "data": "generated", "process_seconds": 90.0,
    }  # fmt: skip
    path.with_suffix(".record.json").write_text(json.dumps(record))
    return path

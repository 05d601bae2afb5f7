"""What every record of a reader's evaluation says: the reader, its training, this run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ocrpretrain.environment import describe, file_sha256
from ocrpretrain.results.record import recipe_hash
from ocrpretrain.weights.format import read_info

PathLike = str | os.PathLike[str]


def training_record(weights: PathLike) -> dict[str, Any]:
    """The record beside a weights file, or nothing where there is none."""
    file = Path(weights).with_suffix(".record.json")
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def reader_record(weights: PathLike, experiment: str | None) -> dict[str, Any]:
    """All entries that do not depend on what is read.

    Args:
        weights: a reader file.
        experiment: groups rows that are compared; the weights' name by default.
    """
    info, trained = read_info(weights), training_record(weights)
    return {
        "experiment": experiment or Path(weights).stem,
        "head": (info.head or {}).get("type", "").rpartition(".")[2],
        "backbone": info.backbone,
        "pretraining": {
            "data": info.data,
            "images_seen": info.images_seen,
            "config_hash": info.config_hash,
            "sha256": file_sha256(Path(weights)),
            "process_seconds": trained.get("process_seconds"),
            "recipe_hash": recipe_hash(trained["config"]) if trained else info.config_hash,
        },
        "seed": info.seed,
        **describe(),
    }

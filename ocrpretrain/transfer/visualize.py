"""Pictures of a run's detections beside the truth."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ocrpretrain.config import build
from ocrpretrain.data.sources.base import AnnotatedImage
from ocrpretrain.drawing import FOUND, IGNORED, TRUTH, draw_polygons, tile
from ocrpretrain.errors import ConfigError
from ocrpretrain.evaluation.detection import Detections
from ocrpretrain.transfer.evaluate import load_detections

PathLike = str | os.PathLike[str]
MAX_SIDE = 640


def detections_picture(
    evaluation: Mapping[str, Any], found: list[Detections], count: int, columns: int
) -> np.ndarray:
    """Evenly spread test images: truth green, don't-care grey, detections red.

    Args:
        evaluation: of the run, for the images and the threshold.
        found: its detections.
        count: number of images.
        columns: images per row.
    """
    source = build(evaluation["source"])
    indices = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
    drawn = [_draw(source[i], found[i], evaluation["threshold"]) for i in indices.tolist()]
    return tile(drawn, columns)


def run_picture(run: PathLike, count: int, columns: int) -> np.ndarray:
    """`detections_picture` of an evaluated run's folder.

    Raises:
        ConfigError: a run that was not evaluated.
    """
    evaluation = last_evaluation(run)
    found = load_detections(Path(run) / "detections.json.gz")
    return detections_picture(evaluation, found, count, columns)


def _draw(item: AnnotatedImage, detections: Detections, threshold: float) -> np.ndarray:
    scale = min(1.0, MAX_SIDE / max(item.image.shape[:2]))
    image = cv2.resize(item.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    placed = [(w.ignore, w.polygon * scale) for w in item.words if w.polygon is not None]
    image = draw_polygons(image, [p for ignore, p in placed if ignore], IGNORED, thickness=1)
    image = draw_polygons(image, [p for ignore, p in placed if not ignore], TRUTH)
    pairs = zip(detections.polygons, detections.scores, strict=True)
    kept = [polygon * scale for polygon, score in pairs if score >= threshold]
    return draw_polygons(image, kept, FOUND, thickness=1)


def last_evaluation(run: PathLike) -> dict[str, Any]:
    """A run's last evaluation: its record, and the source of the images.

    Raises:
        ConfigError: a run that was not evaluated.
    """
    file = Path(run) / "evaluation.json"
    if not file.is_file():
        raise ConfigError(f"{run}: not evaluated yet (tools/evaluate.py)")
    return json.loads(file.read_text("utf-8"))

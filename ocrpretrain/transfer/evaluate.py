"""Run a finetuned detector on its test images and write one line of results."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from rich.progress import track

from ocrpretrain.config import digest, read
from ocrpretrain.data.sources.base import Word
from ocrpretrain.errors import ConfigError
from ocrpretrain.evaluation.detection import (
    THRESHOLDS,
    Detections,
    ImageMatch,
    choose_threshold,
    total,
)
from ocrpretrain.results.record import append_result, image_counts
from ocrpretrain.transfer.dataset import SourceDataset
from ocrpretrain.transfer.finetune import build_detector, comparable, use_sources
from ocrpretrain.transfer.mmocr import register

PathLike = str | os.PathLike[str]


def evaluate(
    run: PathLike,
    results: PathLike = "work_dirs/results.jsonl",
    experiment: str | None = None,
    test: PathLike | None = None,
) -> dict[str, Any]:
    """Evaluate one finetuning run and append its line to the results.

    The score threshold is the one with the best hmean on the run's held-out training images.
    MMOCR's own number, with the best of seven thresholds on the test images, stands beside it.

    Args:
        run: folder of a finished finetuning.
        results: the file to append to.
        experiment: groups rows that are compared; the config's name by default.
        test: folder or zip of test images, in place of the config's.

    Returns:
        The record that was appended.

    Raises:
        ConfigError: a folder without a finished run.
    """
    folder = Path(run)
    if not (folder / "run.json").is_file():
        raise ConfigError(f"{folder}: holds no finished run (run.json)")
    MMLogger.get_instance("ocrpretrain", log_level="WARNING")  # not one line per threshold
    start = time.monotonic()
    record: dict[str, Any] = json.loads((folder / "run.json").read_text("utf-8"))
    cfg = use_sources(read(folder / "config.py"), None, test)
    detector = build_detector(folder, cfg)
    held_found, held_words, _ = predict(detector, cfg["val_dataloader"], "held-out")
    threshold = choose_threshold(_matches(held_found, held_words))
    found, words, data = predict(detector, cfg["test_dataloader"], "test")
    matches = _matches(found, words)
    counts = total(matches, threshold)
    save_detections(folder / "detections.json.gz", found)
    shown = comparable(cfg)
    record |= {
        "config_hash": digest(shown),
        "experiment": experiment or record["config_name"],
        "task": "detection",
        "test": {"data": data, "images": len(found)},
        "protocol": "ICDAR, IoU > 0.5, threshold fixed on held-out training images",
        "threshold": threshold,
        "held_out_images": len(held_found),
        "metrics": counts.metrics(),
        "mmocr_best_of_thresholds": mmocr_metric(found, words),
        "evaluation_seconds": round(time.monotonic() - start, 1),
    }
    stored = {**image_counts(found, matches, THRESHOLDS), "config": shown}
    record = append_result(results, record, stored)
    # The record goes on the leaderboard; where the images lie stays with the run.
    local = {**record, "source": cfg["test_dataloader"]["dataset"]["source"]}
    (folder / "evaluation.json").write_text(json.dumps(local, indent=1) + "\n", "utf-8")
    return record


def predict(
    detector: torch.nn.Module, loader: Mapping[str, Any], name: str
) -> tuple[list[Detections], list[list[Word]], str]:
    """Detections and true words of every image of a dataloader config, and the data's name."""
    register()
    init_default_scope("mmocr")
    dataloader = Runner.build_dataloader({**loader, "num_workers": 0, "persistent_workers": False})
    found = []
    for batch in track(dataloader, f"detect {name}"):
        with torch.no_grad():
            samples = detector.test_step(batch)  # pyright: ignore[reportCallIssue]
        for sample in samples:
            instances = sample.pred_instances
            polygons = [np.asarray(p, float).reshape(-1, 2) for p in instances.polygons]
            found.append(Detections(sample.img_path, polygons, instances.scores.tolist()))
    source = cast(SourceDataset, dataloader.dataset).source
    words = [source[index].words for index in range(len(source))]
    return found, words, source.describe()


def _matches(found: list[Detections], words: list[list[Word]]) -> list[ImageMatch]:
    return [
        ImageMatch([w.outline for w in truth], [w.ignore for w in truth], d.polygons, d.scores)
        for d, truth in zip(found, words, strict=True)
    ]


def mmocr_metric(found: list[Detections], words: list[list[Word]]) -> dict[str, float]:
    """What MMOCR's own `HmeanIOUMetric` reports for the same detections."""
    from mmocr.evaluation import HmeanIOUMetric

    metric = HmeanIOUMetric()
    for detections, truth in zip(found, words, strict=True):
        sample = {
            "pred_instances": {
                "polygons": [polygon.flatten() for polygon in detections.polygons],
                "scores": np.array(detections.scores),
            },
            "gt_instances": {
                "polygons": [word.outline.flatten() for word in truth],
                "ignored": np.array([word.ignore for word in truth], bool),
            },
        }
        metric.process([], [sample])
    values = metric.compute_metrics(metric.results)
    return {name: float(value) for name, value in values.items()}


def save_detections(path: Path, found: list[Detections]) -> None:
    """Polygons and scores of every image, compressed JSON."""
    rows = [
        {"id": d.id, "polygons": [np.round(p, 2).tolist() for p in d.polygons], "scores": d.scores}
        for d in found
    ]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(rows, file)


def load_detections(path: PathLike) -> list[Detections]:
    """What `save_detections` wrote."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = json.load(file)
    return [
        Detections(row["id"], [np.array(p) for p in row["polygons"]], row["scores"]) for row in rows
    ]

"""Recomputes what a leaderboard shows from what is stored beside it."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ocrpretrain.config import digest
from ocrpretrain.evaluation.detection import Counts
from ocrpretrain.results.record import read_image_counts, read_results, recipe_hash
from ocrpretrain.results.verify_readers import page_problems, word_problems

PathLike = str | os.PathLike[str]
# Words in a test set's name -> images, and legible words where the protocol fixes them.
KNOWN_SIZES: dict[tuple[str, ...], tuple[int, int | None]] = {
    ("ic15", "test"): (500, 2077),
    ("icdar2015", "test"): (500, 2077),
    ("totaltext", "test"): (300, None),
    ("ctw1500", "test"): (500, None),
}


def verify(path: PathLike) -> list[str]:
    """All differences between `results.jsonl` and what its rows can be recomputed from.

    Checked: metrics from the stored answers of readers or per-image counts of detectors; numbers of
    images and words, also against the known sizes of public test sets; hashes from the stored
    configs; the weights' sha256, images seen, config and cost from a `*.record.json` below the
    folder of the results.

    Raises:
        DataError: no results, or lines that are not records.
    """
    records = read_results(path)
    weights = _weights_records(Path(path).parent)
    return [problem for record in records for problem in _problems(path, record, weights)]


def _problems(path: PathLike, record: dict[str, Any], weights: dict[str, Any]) -> list[str]:
    where = f"{record['id']} ({record['experiment']}, {record['head']}, seed {record['seed']})"
    file = Path(path).parent / record["per_image"]
    if not file.is_file():
        return [f"{where}: no per-image counts at {record['per_image']}"]
    if record.get("task") in ("recognition", "pages"):
        check = word_problems if record["task"] == "recognition" else page_problems
        found = check(record, path)
        found += _weights_problems(
            record["pretraining"], weights, ("process_seconds", "recipe_hash")
        )
        return [f"{where}: {problem}" for problem in found]
    counts = read_image_counts(path, record)
    found = [f"{name}: {what}" for name, what in _metric_problems(record, counts)]
    found += _size_problems(record, counts)
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        config = json.load(stream).get("config")
    if config is None:
        found.append("its config is not stored")
    elif digest(config) != record["config_hash"]:
        found.append(f"config_hash: {record['config_hash']} shown, {digest(config)} recomputed")
    found += _weights_problems(record["pretraining"], weights)
    return [f"{where}: {problem}" for problem in found]


def _metric_problems(record: dict[str, Any], counts: list[Counts]) -> list[tuple[str, str]]:
    total = sum(counts, Counts(0, 0, 0))
    return [
        (name, f"{record['metrics'].get(name)} shown, {value} recomputed")
        for name, value in total.metrics().items()
        if abs(record["metrics"].get(name, float("inf")) - value) > 1e-12
    ]


def _size_problems(record: dict[str, Any], counts: list[Counts]) -> list[str]:
    found = []
    if record["test"]["images"] != len(counts):
        found.append(f"images: {record['test']['images']} shown, {len(counts)} stored")
    name = record["test"]["data"].lower().replace("-", "").replace("_", "")
    truths = sum(count.truths for count in counts)
    for words, (images, legible) in KNOWN_SIZES.items():
        if all(word in name for word in words):
            if len(counts) != images:
                found.append(f"{len(counts)} images, but {' '.join(words)} has {images}")
            if legible is not None and truths != legible:
                found.append(f"{truths} legible words, but {' '.join(words)} has {legible}")
    return found


def _weights_records(folder: Path) -> dict[str, Any]:
    files = folder.rglob("*.record.json")
    records = [json.loads(file.read_text("utf-8")) for file in files]
    return {record["weights_sha256"]: record for record in records}


def _weights_problems(
    pretraining: dict[str, Any], weights: dict[str, Any], more: Collection[str] = ()
) -> list[str]:
    """Differences to the weights' record; `more` are entries that detectors' rows do not have."""
    sha256 = pretraining["sha256"]
    if sha256 is None:
        return []
    if sha256 not in weights:
        return [f"no *.record.json of the weights {sha256[:12]}"]
    record = weights[sha256]
    own = {
        "images_seen": record["images_seen"],
        "config_hash": digest(record["config"]),
        "data": record["data"],
        "process_seconds": record.get("process_seconds"),
        "recipe_hash": recipe_hash(record["config"]),
    }
    return [
        f"pretraining.{name}: {pretraining[name]} shown, {value} in the weights' record"
        for name, value in own.items()
        if name in ("images_seen", "config_hash", "data", *more) and pretraining[name] != value
    ]

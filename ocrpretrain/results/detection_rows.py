"""Rows of the leaderboard of detectors: records grouped by what was compared, seeds averaged."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ocrpretrain.results.record import read_image_counts
from ocrpretrain.results.significance import image_interval, seed_interval

PathLike = str | os.PathLike[str]
COLUMNS = (
    *("experiment", "detector", "backbone", "head", "pretraining", "images seen", "test", "n"),
    *("hmean", "std", "low", "high", "interval", "precision", "recall", "delta"),
    *("MMOCR best-of-thresholds", "minutes", "note"),
)
HEADINGS = {
    "hmean": "hmean (fixed)",
    "low": "95% low",
    "high": "95% high",
    "interval": "over",
    "delta": "Δ random",
}


def rows(path: PathLike, results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per (experiment, test set, backbone, pretraining).

    Args:
        path: `results.jsonl`, beside which the per-image counts lie.
        results: its records of detectors.
    """
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record in results:
        groups.setdefault(_key(record), []).append(record)
    table = [_row(path, records) for records in groups.values()]
    for row in table:
        same = ("experiment", "detector", "backbone", "test")
        baseline = [
            other
            for other in table
            if other["head"] == "none" and all(other[key] == row[key] for key in same)
        ]
        equal = [other for other in baseline if other["config_hash"] == row["config_hash"]]
        row["delta"] = row["hmean"] - equal[0]["hmean"] if equal else None
        if baseline and not equal:
            row["note"] = "recipe differs from the random row's: not comparable"
    return sorted(table, key=lambda row: (row["experiment"], row["test"], -row["hmean"]))


def _key(record: dict[str, Any]) -> tuple[str, ...]:
    parts = (
        record["experiment"],
        record["test"],
        record["backbone"],
        record["head"],
        record["pretraining"]["sha256"],
        record["config_hash"],
    )
    return tuple(json.dumps(part, sort_keys=True) for part in parts)


def _row(path: PathLike, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first = records[0]
    hmeans = [record["metrics"]["hmean"] for record in records]
    seeds = len({record["seed"] for record in records})
    note = "" if seeds == len(records) else f"{len(records)} runs share {seeds} seeds"
    if len(records) > 1:
        low, high = seed_interval(hmeans)
    else:
        low, high = image_interval(read_image_counts(path, first))
    mean = {
        name: float(np.mean([record["metrics"][name] for record in records]))
        for name in ("precision", "recall")
    }
    best = [record["mmocr_best_of_thresholds"]["hmean"] for record in records]
    return {
        "experiment": first["experiment"],
        "detector": first["detector"],
        "backbone": spell(first["backbone"]),
        "head": first["head"],
        "pretraining": first["pretraining"]["data"],
        "images seen": first["pretraining"]["images_seen"],
        "test": first["test"]["data"],
        "n": len(records),
        "hmean": float(np.mean(hmeans)),
        "std": float(np.std(hmeans, ddof=1)) if len(records) > 1 else None,
        "low": low,
        "high": high,
        "interval": "seeds" if len(records) > 1 else "images",
        **mean,
        "MMOCR best-of-thresholds": float(np.mean(best)),
        "minutes": float(np.mean([record["seconds"] for record in records])) / 60,
        "config_hash": first["config_hash"],
        "note": note,
    }


def spell(backbone: dict[str, Any]) -> str:
    """A spec as its class's name and arguments."""
    kind = backbone["type"].rpartition(".")[2]
    arguments = ", ".join(f"{key} {value}" for key, value in backbone.items() if key != "type")
    return f"{kind} ({arguments})" if arguments else kind

"""The leaderboard: records grouped by what was compared, as Markdown, CSV and a W&B table."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from ocrpretrain.results.record import read_image_counts, read_results
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


def rows(path: PathLike) -> list[dict[str, Any]]:
    """One row per (experiment, test set, backbone, pretraining), seeds averaged."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record in read_results(path):
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
    backbone = dict(first["backbone"])
    kind = backbone.pop("type").rpartition(".")[2]
    arguments = ", ".join(f"{key} {value}" for key, value in backbone.items())
    mean = {
        name: float(np.mean([record["metrics"][name] for record in records]))
        for name in ("precision", "recall")
    }
    best = [record["mmocr_best_of_thresholds"]["hmean"] for record in records]
    return {
        "experiment": first["experiment"],
        "detector": first["detector"],
        "backbone": f"{kind} ({arguments})" if arguments else kind,
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


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def markdown(table: Sequence[dict[str, Any]]) -> str:
    """A GitHub table; '–' where a value does not exist."""
    names = [HEADINGS.get(column, column) for column in COLUMNS]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in table:
        lines.append("| " + " | ".join(_text(row[column]) for column in COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def as_csv(table: Sequence[dict[str, Any]]) -> str:
    """All columns with full precision."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return stream.getvalue()


def log_to_wandb(table: Sequence[dict[str, Any]], folder: Path, mode: str) -> Path:
    """A W&B run with the leaderboard as a table.

    Args:
        table: what `rows` returns.
        folder: where an offline run is written.
        mode: 'offline' or 'online'.

    Returns:
        The folder of the run.
    """
    import wandb

    run = wandb.init(
        project="ocrpretrain",
        name="leaderboard",
        job_type="leaderboard",
        dir=folder,
        mode=cast(Any, mode),
        settings=wandb.Settings(silent=True),
    )
    data = [[row[column] for column in COLUMNS] for row in table]
    run.log({"leaderboard": wandb.Table(columns=list(COLUMNS), data=data)})
    where = Path(run.dir).parent
    run.finish()
    return where

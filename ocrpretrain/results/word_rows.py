"""Rows of the leaderboard of readers: accuracies on word sets in per cent, seeds averaged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from ocrpretrain.evaluation.word_sets import RANDOM, SIZES
from ocrpretrain.results.detection_rows import spell
from ocrpretrain.results.significance import seed_interval, share_interval

USUAL = ("IIIT5K", "SVT", "IC13", "IC15", "SVTP", "CUTE80")  # shown even where nobody read them
FIRST = ("experiment", "head", "answer", "backbone", "pretraining", "images seen", "n")
LAST = (
    *("mean", "weighted", "std", "low", "high", "interval", "62", "94"),
    *("1-NED", "ECE", "ms", "minutes", "note"),
)
HEADINGS = {
    "mean": "mean of sets",
    "weighted": "all words",
    "low": "95% low",
    "high": "95% high",
    "interval": "over",
    "ms": "ms a word, one at a time",
    "minutes": "CPU minutes",
}


def columns(table: Sequence[dict[str, Any]]) -> list[str]:
    """All columns: the usual sets, and others that a row has."""
    seen = {name for row in table for name in row["sets"]}
    others = [name for name in SIZES if name in seen and name not in USUAL]
    return [*FIRST, *USUAL, *others, *sorted(seen - {*SIZES}), *LAST]


def rows(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per (experiment, test sets, recipe, answer) of readers' records, the best first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in results:
        groups.setdefault(_key(record), []).append(record)
    table = [_row(records) for records in groups.values()]
    names = columns(table)
    table = [{**dict.fromkeys(names), **row} for row in table]
    return sorted(table, key=lambda row: (row["experiment"], -row["weighted"]))


def _key(record: dict[str, Any]) -> str:
    names = ("experiment", "test", "backbone", "head", "answer", "upright")
    data = [record["pretraining"][name] for name in ("data", "images_seen", "recipe_hash")]
    return json.dumps([*(record[name] for name in names), *data], sort_keys=True)


def _row(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first, several = records[0], len(records) > 1
    share = [record["metrics"]["36"]["accuracy"] for record in records]
    if several:
        low, high = seed_interval(share)
    else:
        low, high = share_interval(
            first["metrics"]["36"]["correct"], first["metrics"]["36"]["words"]
        )
    sets = {
        name: 100 * mean(record["sets"][name]["36"]["accuracy"] for record in records)
        for name in first["sets"]
    }
    real = [value for name, value in sets.items() if name != RANDOM]
    seconds = [record["pretraining"]["process_seconds"] for record in records]
    return {
        "experiment": first["experiment"],
        "head": first["head"],
        "answer": first["answer"],
        "backbone": spell(first["backbone"]),
        "pretraining": first["pretraining"]["data"],
        "images seen": first["pretraining"]["images_seen"],
        "n": len(records),
        "sets": list(sets),
        **sets,
        "mean": mean(real) if real else None,
        "weighted": 100 * mean(share),
        "std": 100 * stdev(share) if several else None,
        "low": 100 * low,
        "high": 100 * high,
        "interval": "seeds" if several else "words",
        **{name: 100 * _mean(records, name, "accuracy") for name in ("62", "94")},
        "1-NED": _mean(records, "36", "one_minus_ned"),
        "ECE": mean(record["metrics"]["calibration_error"] for record in records),
        "ms": mean(mean(s["ms"]["1"] for s in record["sets"].values()) for record in records),
        "minutes": None if None in seconds else mean(seconds) / 60,
        "note": _note(records),
    }


def _mean(records: Sequence[dict[str, Any]], characters: str, name: str) -> float:
    return mean(record["metrics"][characters][name] for record in records)


def _note(records: Sequence[dict[str, Any]]) -> str:
    notes = [f"{name}: {one['flag']}" for name, one in records[0]["sets"].items() if one["flag"]]
    if records[0]["upright"]:
        notes.append("tall words read turned too: not the published protocol")
    totals = sum((Counter(record.get("counts", {})) for record in records), Counter[str]())
    notes += [f"{number} {what.replace('_', ' ')}" for what, number in totals.items() if number]
    seeds = len({record["seed"] for record in records})
    if seeds < len(records):
        notes.append(f"{len(records)} runs share {seeds} seeds")
    return "; ".join(notes)

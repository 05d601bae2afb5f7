"""Rows of the leaderboard of page readers: one per reader and test set, seeds averaged."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from ocrpretrain.evaluation.overlap import KEYS
from ocrpretrain.evaluation.pages import PageAnswer, by_ratio, score_page
from ocrpretrain.results.detection_rows import spell
from ocrpretrain.results.significance import seed_interval

PathLike = str | os.PathLike[str]
COLUMNS = (
    *("experiment", "set", "sees", "share", "backbone", "recipe", "pretraining", "images seen"),
    *("n", "pages"),
    *(
        "tokens",
        "cells",
        "valid",
        "positions",
        "ratio",
        "one_minus_ned",
        "std",
        "low",
        "high",
        "interval",
    ),
    *(
        "one_minus_ned_median",
        "collapsed",
        "precision",
        "recall",
        "f",
        "text_edit",
        *KEYS,
        "minutes",
        "note",
    ),
)
RATIO_COLUMNS = (
    *("experiment", "set", "ratio", "sees", "share", "backbone", "recipe", "n", "pages", "tokens"),
    *("cells", "valid"),
    *(
        "positions",
        "one_minus_ned",
        "one_minus_ned_median",
        "collapsed",
        "precision",
        "recall",
        "f",
        "text_edit",
    ),
)
HEADINGS = {
    "share": "of the text in the image",
    "tokens": "text tokens",
    "cells": "vision tokens",
    "valid": "valid ones",
    "one_minus_ned": "1-NED",
    "low": "95% low",
    "high": "95% high",
    "interval": "over",
    "one_minus_ned_median": "median 1-NED",
    "text_edit": "text edit distance",
    "overlap": "8-grams in training texts",
    "overlap_runs": "of so many",
    "known_texts": "whole texts in training texts",
    "minutes": "CPU minutes",
}
MEANS = ("tokens", "cells", "valid", "positions", "one_minus_ned_median", "collapsed", "text_edit")
WORDS = ("precision", "recall", "f")


def read_answers(path: PathLike, record: Mapping[str, Any]) -> dict[str, list[PageAnswer]]:
    """The answers by set that are stored beside a record of `path`."""
    with gzip.open(Path(path).parent / record["per_image"], "rt", encoding="utf-8") as stream:
        stored = json.load(stream)["answers"]
    return {name: [PageAnswer(*row) for row in rows] for name, rows in stored.items()}


def rows(path: PathLike, results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per (experiment, reader without its seed, set), by experiment and set, best first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in results:
        groups.setdefault(group_key(record), []).append(record)
    table = [
        _row(path, records, name) for records in groups.values() for name in records[0]["sets"]
    ]
    return sorted(table, key=lambda row: (row["experiment"], row["set"], -row["one_minus_ned"]))


def ratio_rows(path: PathLike, results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per reader, set and range of compression ratios; of several seeds all pages count.

    A control that sees no image stands at the ratios of those of its experiment that see one.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in results:
        groups.setdefault(group_key(record), []).append(record)
    table = []
    for records in groups.values():
        first, read = records[0], [read_answers(path, record) for record in records]
        for name in first["sets"]:
            answers = [answer for one in read for answer in one[name]]
            cells = None if answers[0].cells else _cells(results, first["experiment"], name)
            shared = {**_reader(first), "set": name, "n": len(records)}
            table += [{**shared, **one} for one in by_ratio(answers, cells)]
    order = ("experiment", "set", "sees", "recipe", "ratio")
    return sorted(table, key=lambda row: tuple(row[name] for name in order))


def _reader(record: dict[str, Any]) -> dict[str, Any]:
    """What tells one reader of a table from another."""
    return {
        "experiment": record["experiment"],
        "sees": record["sees"],
        "share": record["optical_share"],
        "backbone": spell(record["backbone"]),
        "recipe": record["pretraining"]["recipe_hash"][:6],
    }


def _cells(results: Sequence[dict[str, Any]], experiment: str, name: str) -> int:
    """Vision tokens of those that see an image."""
    found = [
        record["sets"][name]["cells"]
        for record in results
        if record["experiment"] == experiment and name in record["sets"]
    ]
    return round(max(found)) or 1


def group_key(record: dict[str, Any]) -> str:
    """Equal for runs that differ in their seed."""
    data = [record["pretraining"][name] for name in ("data", "images_seen", "recipe_hash")]
    own = [
        record[name] for name in ("experiment", "test", "backbone", "head", "sees", "optical_share")
    ]
    return json.dumps([*own, *data], sort_keys=True)


def _row(path: PathLike, records: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    first, several = records[0], len(records) > 1
    found = [record["sets"][name] for record in records]
    values = [one["one_minus_ned"] for one in found]
    pages = [score_page(x.text, x.truth).one_minus_ned for x in read_answers(path, first)[name]]
    low, high = seed_interval(values) if several else seed_interval(pages)
    seconds = [record["pretraining"]["process_seconds"] for record in records]
    cells, tokens = (mean(one[key] for one in found) for key in ("cells", "tokens"))
    seeds = len({record["seed"] for record in records})
    return {
        **_reader(first),
        "set": name,
        "pretraining": first["pretraining"]["data"],
        "images seen": first["pretraining"]["images_seen"],
        "n": len(records),
        "pages": found[0]["pages"],
        "ratio": tokens / cells if cells else None,
        "one_minus_ned": mean(values),
        "std": stdev(values) if several else None,
        "low": low,
        "high": high,
        "interval": "seeds" if several else "pages",
        **{key: mean(one[key] for one in found) for key in (*MEANS, *WORDS)},
        **{key: found[0].get(key) for key in KEYS},
        "minutes": None if None in seconds else mean(seconds) / 60,
        "note": "" if seeds == len(records) else f"{len(records)} runs share {seeds} seeds",
    }

"""Compression ratio against what is read, one line per reader, one panel per test set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ocrpretrain.evaluation.pages import PageAnswer, by_ratio
from ocrpretrain.results.curves import Curve, draw_panels
from ocrpretrain.results.page_rows import group_key, read_answers

PathLike = str | os.PathLike[str]


def draw_ratios(path: PathLike, results: Sequence[dict[str, Any]], out: Path) -> None:
    """1-NED and precision of distinct words, by the ratio of text tokens to vision tokens.

    Readers of one experiment stand in one panel; of several seeds all pages count. A control that
    sees no image is drawn at the ratios of those that see one.

    Args:
        path: the results, beside which the answers are stored.
        results: records of readers of pages.
        out: PNG to write.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in results:
        groups.setdefault(group_key(record), []).append(record)
    panels: dict[str, dict[str, Curve]] = {}
    for records in groups.values():
        first = records[0]
        answers = [read_answers(path, record) for record in records]
        for name in first["sets"]:
            found = [answer for one in answers for answer in one[name]]
            cells = _cells(results, first["experiment"], name)
            for score, title in (("one_minus_ned", "1-NED"), ("precision", "word precision")):
                panel = panels.setdefault(f"{first['experiment']}: {name}, {title}", {})
                panel[_label(first, panel)] = _curve(found, score, cells)
    draw_panels(panels, "text tokens per vision token", out, {})


def _curve(answers: list[PageAnswer], score: str, cells: int) -> Curve:
    return [
        (one["ratio"], one[score]) for one in by_ratio(answers, None if answers[0].cells else cells)
    ]


def _cells(results: Sequence[dict[str, Any]], experiment: str, name: str) -> int:
    """Vision tokens of those that see an image."""
    found = [
        record["sets"][name]["cells"]
        for record in results
        if record["experiment"] == experiment and name in record["sets"]
    ]
    return round(max(found)) or 1


def _label(record: dict[str, Any], taken: dict[str, Curve]) -> str:
    backbone = record["backbone"]["type"].rpartition(".")[2]
    cells = round(max(one["cells"] for one in record["sets"].values()))
    label = f"{backbone}, {cells} tokens" if record["sees"] == "page" else f"sees {record['sees']}"
    return label if label not in taken else f"{label} ({len(taken) + 1})"

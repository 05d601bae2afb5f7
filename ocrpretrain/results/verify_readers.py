"""Recomputes the rows of readers from the answers that are stored beside them."""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ocrpretrain.evaluation.overlap import KEYS
from ocrpretrain.evaluation.pages import summarize_answers
from ocrpretrain.evaluation.word_scores import Answer, score, summarize
from ocrpretrain.evaluation.word_sets import flag
from ocrpretrain.results.page_rows import read_answers

PathLike = str | os.PathLike[str]


def word_problems(record: Mapping[str, Any], path: PathLike) -> list[str]:
    """All numbers of a record of `path` that its answers do not have."""
    with gzip.open(Path(path).parent / record["per_image"], "rt", encoding="utf-8") as stream:
        stored = json.load(stream)["answers"]
    answers = {name: [Answer(*row) for row in rows] for name, rows in stored.items()}
    sets = {name: score(found) for name, found in answers.items()}
    for name, one in sets.items():
        one["flag"] = flag(name, one["36"]["words"])
    # Times cannot be recomputed.
    shown = {
        name: {key: value for key, value in one.items() if key != "ms"}
        for name, one in record["sets"].items()
    }
    problems = _differences("sets", shown, sets)
    return [*problems, *_differences("metrics", record["metrics"], summarize(answers))]


def page_problems(record: Mapping[str, Any], path: PathLike) -> list[str]:
    """As `word_problems`, of a reader of pages; speed and overlap cannot be recomputed."""
    answers = read_answers(path, record)
    shown = {
        name: {key: value for key, value in one.items() if key not in (*KEYS, "pages_per_second")}
        for name, one in record["sets"].items()
    }
    own = {name: summarize_answers(found) for name, found in answers.items()}
    every = [answer for found in answers.values() for answer in found]
    problems = _differences("metrics", record["metrics"], summarize_answers(every))
    return [*_differences("sets", shown, own), *problems]


def _differences(where: str, shown: Any, own: Any) -> Iterator[str]:
    if isinstance(shown, Mapping) and isinstance(own, Mapping):
        for key in [*shown, *(key for key in own if key not in shown)]:
            yield from _differences(f"{where}.{key}", shown.get(key), own.get(key))
    elif isinstance(own, float) and isinstance(shown, (int, float)):
        if not math.isclose(shown, own, rel_tol=1e-9, abs_tol=1e-12):
            yield f"{where}: {shown} shown, {own} recomputed"
    elif shown != own:
        yield f"{where}: {shown} shown, {own} recomputed"

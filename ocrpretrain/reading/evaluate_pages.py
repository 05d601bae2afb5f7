"""A reader's pages on test sets: word sets, edit distance, compression ratio, language prior."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from rich.progress import track

from ocrpretrain.errors import ConfigError, DataError
from ocrpretrain.evaluation.overlap import overlap
from ocrpretrain.evaluation.pages import PageAnswer, summarize_answers
from ocrpretrain.reading.page_sets import open_set, training_texts
from ocrpretrain.reading.pages import PageFileReader
from ocrpretrain.reading.record import reader_record, training_record
from ocrpretrain.results.record import append_result

PathLike = str | os.PathLike[str]


def evaluate_pages(
    weights: PathLike,
    sets: Sequence[str],
    results: PathLike = "work_dirs/results.jsonl",
    experiment: str | None = None,
) -> dict[str, Any]:
    """Read test sets and append a line to the results.

    Args:
        weights: a reader file, with the record of its training beside it.
        sets: see `open_set`.
        results: the file to append to.
        experiment: groups rows that are compared; the weights' name by default.

    Returns:
        The record that was appended; its `metrics` are those of all pages together.

    Raises:
        ConfigError: a set given twice, or no record beside the weights.
    """
    trained = training_record(weights)
    if not trained:
        raise ConfigError(f"{weights}: its .record.json (tools/export.py) is not beside it")
    reader = PageFileReader(weights)
    opened = dict(open_set(spec, trained["config"]) for spec in sets)
    if len(opened) < len(sets):
        raise ConfigError(f"test sets are given twice: {list(sets)}; name them NAME=PATH")
    known = _known_texts(trained["config"])
    answers: dict[str, list[PageAnswer]] = {}
    speed: dict[str, float] = {}
    for name, source in opened.items():
        start = time.perf_counter()
        found = track(reader.read_source(source), f"read {name}", total=len(source))
        answers[name] = [answer._replace(score=round(answer.score, 4)) for answer in found]
        speed[name] = len(source) / (time.perf_counter() - start)
    scores = {
        name: {
            **summarize_answers(found),
            **(overlap([answer.truth for answer in found], known) if known else {}),
            "pages_per_second": speed[name],
        }
        for name, found in answers.items()
    }
    every = [answer for found in answers.values() for answer in found]
    record = {
        "task": "pages",
        **reader_record(weights, experiment),
        "sees": reader.head.sees,
        "optical_share": reader.view.optical_share,
        "test": {
            "data": ", ".join(opened),
            "fingerprints": {name: source.fingerprint() for name, source in opened.items()},
        },
        "sets": scores,
        "metrics": summarize_answers(every),
        "counts": dict(reader.counts),
    }
    rows = {name: [list(answer) for answer in found] for name, found in answers.items()}
    return append_result(results, record, {"answers": rows})


def _known_texts(config: dict[str, Any]) -> list[str]:
    """Training texts to compare with; none, and a line that says why, where they are not here."""
    try:
        return list(training_texts(config))
    except (ConfigError, DataError) as error:
        print(f"what training texts have of test texts: not known ({error})")
        return []

"""A reader's words on test sets: accuracies, calibration, speed, what its branches do."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from rich.progress import track

from ocrpretrain.errors import ConfigError
from ocrpretrain.evaluation.word_scores import Answer, score, summarize
from ocrpretrain.evaluation.word_sets import flag
from ocrpretrain.reading.record import reader_record
from ocrpretrain.reading.word_sets import WordSet, open_set
from ocrpretrain.reading.words import WordFileReader
from ocrpretrain.results.record import append_result

PathLike = str | os.PathLike[str]
TIMED = 64  # pictures


def evaluate_words(
    weights: PathLike,
    sets: Sequence[str],
    results: PathLike = "work_dirs/results.jsonl",
    experiment: str | None = None,
    upright: bool = False,
) -> dict[str, Any]:
    """Read test sets and append a line to the results.

    Args:
        weights: a reader file.
        sets: see `open_set`.
        results: the file to append to.
        experiment: groups rows that are compared; the weights' name by default.
        upright: see `WordFileReader`; off in the published protocol.

    Returns:
        The record that was appended; its `metrics` are those of all words together.

    Raises:
        ConfigError: a set given twice.
    """
    reader = WordFileReader(weights, upright)
    opened = [open_set(spec) for spec in sets]
    names = [word_set.name for word_set in opened]
    if len(set(names)) < len(names):
        raise ConfigError(f"test sets are given twice: {names}; name them NAME=PATH")
    answers = {each.name: read_set(reader, each) for each in opened}
    counts = dict(reader.counts)  # before pictures are read again for the time
    scores = {name: score(found) for name, found in answers.items()}
    for word_set in opened:
        scores[word_set.name] |= {
            "flag": flag(word_set.name, scores[word_set.name]["36"]["words"]),
            "ms": {str(size): milliseconds(reader, word_set, size) for size in (1, 64)},
        }
    record = {
        "task": "recognition",
        **reader_record(weights, experiment),
        "answer": getattr(reader.head, "answer", "only"),
        "upright": upright,
        "test": {"data": ", ".join(names)},
        "sets": scores,
        "metrics": summarize(answers),
        "counts": counts,
    }
    rows = {name: [list(answer) for answer in found] for name, found in answers.items()}
    return append_result(results, record, {"answers": rows})


def read_set(reader: WordFileReader, word_set: WordSet) -> list[Answer]:
    """All answers of a set, confidences to four digits, as they are stored."""
    found = reader.read_source(word_set.source)
    return [
        answer._replace(
            score=round(answer.score, 4),
            branches={name: (text, round(x, 4)) for name, (text, x) in answer.branches.items()},
        )
        for answer in track(found, f"read {word_set.name}", total=len(word_set.source))
    ]


def milliseconds(reader: WordFileReader, word_set: WordSet, batch_size: int) -> float:
    """Time per picture, view and strings included, decoding not, over at most 64 pictures."""
    count = min(TIMED, len(word_set.source))
    items = [word_set.source.read(place, reader.view.needs) for place in range(count)]
    before, reader.batch_size = reader.batch_size, batch_size
    try:
        # Warm; a GPU captures the graphs of all lengths, the first picture's in the second pass.
        for _ in range(2 if reader.device.type == "cuda" else 0):
            list(reader.read(items))
        list(reader.read(items[:batch_size]))
        start = time.perf_counter()
        list(reader.read(items))
        return 1000 * (time.perf_counter() - start) / count
    finally:
        reader.batch_size = before

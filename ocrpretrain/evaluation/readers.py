"""A reader's words on test sets: accuracies, calibration, speed, what its branches do."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from rich.progress import track

from ocrpretrain.data.charset import Charset
from ocrpretrain.environment import describe, file_sha256
from ocrpretrain.errors import ConfigError
from ocrpretrain.evaluation.calibration import calibration_error
from ocrpretrain.evaluation.word_sets import WordSet, open_set
from ocrpretrain.evaluation.words import PROTOCOLS, WordCounts, compare
from ocrpretrain.reading import Answer, WordFileReader
from ocrpretrain.results.record import append_result
from ocrpretrain.weights.format import read_info

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
    reader, info = WordFileReader(weights, upright), read_info(weights)
    opened = [open_set(spec) for spec in sets]
    names = [word_set.name for word_set in opened]
    if len(set(names)) < len(names):
        raise ConfigError(f"test sets are given twice: {names}; name them NAME=PATH")
    answers = {each.name: read_set(reader, each) for each in opened}
    scores = {name: score(found) for name, found in answers.items()}
    for word_set in opened:
        scores[word_set.name] |= {
            "flag": word_set.flag(scores[word_set.name]["36"]["words"]),
            "ms": {str(size): milliseconds(reader, word_set, size) for size in (1, 64)},
        }
    together = score([answer for name in names if name != "random" for answer in answers[name]])
    record = {
        "task": "recognition",
        "experiment": experiment or Path(weights).stem,
        "head": (info.head or {}).get("type", "").rpartition(".")[2],
        "backbone": info.backbone,
        "pretraining": {
            "data": info.data,
            "images_seen": info.images_seen,
            "config_hash": info.config_hash,
            "sha256": file_sha256(Path(weights)),
        },
        "seed": info.seed,
        "upright": upright,
        "test": {"data": ", ".join(names)},
        "sets": scores,
        "metrics": together,
        **describe(),
    }
    rows = {name: [list(answer) for answer in found] for name, found in answers.items()}
    return append_result(results, record, {"answers": rows})


def read_set(reader: WordFileReader, word_set: WordSet) -> list[Answer]:
    """All answers of a set."""
    found = reader.read_source(word_set.source)
    return list(track(found, f"read {word_set.name}", total=len(word_set.source)))


def score(answers: Sequence[Answer]) -> dict[str, Any]:
    """Counts with 36, 62 and 94 characters, calibration, and what a second branch changes.

    Both of the latter go by 36 characters.
    """
    values: dict[str, Any] = {}
    for characters in PROTOCOLS:
        charset = Charset.load(characters)
        counts = [compare(answer.text, answer.label, charset) for answer in answers]
        total = sum(counts, WordCounts())
        values[str(characters)] = {**asdict(total), "accuracy": total.accuracy} | {
            "one_minus_ned": total.one_minus_ned
        }
        if characters == 36:
            counted = [pair for pair in zip(answers, counts, strict=True) if pair[1].words]
            right = [bool(count.correct) for _, count in counted]
            values["calibration_error"] = calibration_error([a.score for a, _ in counted], right)
    if branches := compare_branches(answers):
        values["branches"] = branches
    return values


def compare_branches(answers: Sequence[Answer]) -> dict[str, int]:
    """Words that the cross branch corrected, broke, and left as right or wrong as they were."""
    charset = Charset.load(36)
    found = {"corrected": 0, "broken": 0, "left_right": 0, "left_wrong": 0}
    names = {(False, True): "corrected", (True, False): "broken", (True, True): "left_right"}
    for answer in answers:
        if answer.branches.keys() < {"visual", "cross"}:
            return {}
        counts = [
            compare(answer.branches[name][0], answer.label, charset) for name in ("visual", "cross")
        ]
        if counts[0].words:
            key = (bool(counts[0].correct), bool(counts[1].correct))
            found[names.get(key, "left_wrong")] += 1
    return found


def milliseconds(reader: WordFileReader, word_set: WordSet, batch_size: int) -> float:
    """Time per picture, view and strings included, decoding not, over at most 64 pictures."""
    count = min(TIMED, len(word_set.source))
    items = [word_set.source.read(place, reader.view.needs) for place in range(count)]
    before, reader.batch_size = reader.batch_size, batch_size
    try:
        list(islice(reader.read(items), min(count, batch_size)))  # warm
        start = time.perf_counter()
        list(reader.read(items))
        return 1000 * (time.perf_counter() - start) / count
    finally:
        reader.batch_size = before


def table(scores: Mapping[str, Any]) -> str:
    """A Markdown table of one record's sets; '–' where a value does not exist."""
    head = ["set", "words", "36", "62", "94", "1-NED", "ECE", "ms at 1", "ms at 64"]
    head += ["corrected", "broken", "left", ""]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, one in scores.items():
        cells = [name, str(one["36"]["words"])]
        cells += [f"{100 * one[str(characters)]['accuracy']:.1f}" for characters in PROTOCOLS]
        cells += [f"{one['36']['one_minus_ned']:.3f}", f"{one['calibration_error']:.3f}"]
        cells += [f"{one['ms'][size]:.1f}" if "ms" in one else "–" for size in ("1", "64")]
        branches = one.get("branches")
        cells += [str(branches[key]) if branches else "–" for key in ("corrected", "broken")]
        left = branches and branches["left_right"] + branches["left_wrong"]
        cells += [str(left) if branches else "–", one.get("flag", "")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)

"""`results.jsonl`: one line per finished run, with per-image counts compressed beside it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ocrpretrain.config import digest
from ocrpretrain.errors import DataError
from ocrpretrain.evaluation.detection import Counts, Detections, ImageMatch

PathLike = str | os.PathLike[str]
REQUIRED = ("experiment", "head", "backbone", "pretraining", "test", "metrics", "seed", "id")
BY_TASK = {
    "recognition": ("answer", "upright", "sets"),
    "pages": ("sees", "optical_share", "sets"),
}  # and these


def image_counts(
    found: Sequence[Detections], matches: Sequence[ImageMatch], thresholds: Sequence[float]
) -> dict[str, Any]:
    """Per-image counts at every threshold: lists by image, then by threshold."""
    table = [[match.counts(threshold) for threshold in thresholds] for match in matches]
    return {
        "thresholds": list(thresholds),
        "ids": [detections.id for detections in found],
        "matched": [[counts.matched for counts in row] for row in table],
        "truths": [row[0].truths for row in table],
        "found": [[counts.found for counts in row] for row in table],
    }


def append_result(
    path: PathLike, record: dict[str, Any], per_image: dict[str, Any]
) -> dict[str, Any]:
    """Append one line, and write the per-image counts to `per_image/<id>.json.gz` beside it.

    Args:
        path: `results.jsonl`; made where it is not there.
        record: JSON values.
        per_image: what `image_counts` returns.

    Returns:
        The record with its `id`, `time` and the name of its per-image file.
    """
    path = Path(path)
    time = datetime.now(UTC).isoformat(timespec="seconds")
    content = json.dumps(record, sort_keys=True)
    identity = hashlib.sha256((content + time).encode()).hexdigest()[:12]
    file = Path("per_image") / f"{identity}.json.gz"
    (path.parent / file).parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path.parent / file, "wt", encoding="utf-8") as stream:
        json.dump(per_image, stream)
    record = {"id": identity, "time": time, **record, "per_image": file.as_posix()}
    line = (json.dumps(record) + "\n").encode()
    # One write to a file opened for appending: lines of parallel runs never mix.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
    return record


def read_results(path: PathLike) -> list[dict[str, Any]]:
    """All records.

    Raises:
        DataError: no file, or lines that are not records, each with its number.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no results yet; tools/evaluate.py writes them")
    records, errors = [], []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            errors.append(f"{path}:{number}: not JSON")
            continue
        needed = (*REQUIRED, *BY_TASK.get(record.get("task", ""), ()))
        missing = [key for key in needed if key not in record]
        if missing:
            errors.append(f"{path}:{number}: lacks {', '.join(missing)}")
        records.append(record)
    if errors:
        raise DataError("\n".join(errors))
    return records


def read_image_counts(path: PathLike, record: dict[str, Any]) -> list[Counts]:
    """The per-image counts of one record at its own fixed threshold."""
    with gzip.open(Path(path).parent / record["per_image"], "rt", encoding="utf-8") as stream:
        stored = json.load(stream)
    column = stored["thresholds"].index(record["threshold"])
    rows = zip(stored["matched"], stored["truths"], stored["found"], strict=True)
    return [Counts(matched[column], truths, found[column]) for matched, truths, found in rows]


def recipe_hash(config: Mapping[str, Any]) -> str:
    """Equal for runs that differ in their seed and in the files that they start from."""
    starts = [entry.get("only") for entry in config.get("init", ())]
    left = {key: value for key, value in config.items() if key not in ("seed", "init", "logger")}
    return digest({**left, "init": starts})

"""Every way in which a row may not follow from what is stored is found and named."""

from __future__ import annotations

import gzip
import json
import re

import numpy as np
import pytest

from ocrpretrain.config import digest
from ocrpretrain.evaluation.detection import Detections, ImageMatch
from ocrpretrain.results.record import append_result, image_counts
from ocrpretrain.results.verify import verify

CONFIG = {"model": {"type": "DBNet"}, "lr": 0.1}
PRETRAIN = {"head": {"type": "x.Head"}}
RECORD = {
    "experiment": "e", "head": "Head", "seed": 0, "backbone": {"type": "x"}, "threshold": 0.5,
    "test": {"data": "pictures (2 images)", "images": 2}, "config_hash": digest(CONFIG),
    "metrics": {"hmean": 2 / 3, "precision": 0.5, "recall": 1.0}
    | {"matched": 1, "truths": 1, "found": 2},
    "pretraining": {"sha256": "f00", "images_seen": 8, "data": "d"}
    | {"config_hash": digest(PRETRAIN)},
}  # fmt: skip
WEIGHTS = {"weights_sha256": "f00", "images_seen": 8, "config": PRETRAIN, "data": "d"}


def write(folder, weights=WEIGHTS, config=CONFIG, **changes):
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)
    found = [Detections("a", [square, square + 50], [0.9, 0.8]), Detections("b", [], [])]
    truths = [[square], []]
    matches = [
        ImageMatch(t, [False] * len(t), d.polygons, d.scores)
        for t, d in zip(truths, found, strict=True)
    ]
    stored = image_counts(found, matches, (0.5,))
    if config is not None:
        stored["config"] = config
    append_result(folder / "results.jsonl", {**RECORD, **changes}, stored)
    (folder / "w.record.json").write_text(json.dumps(weights))
    return folder / "results.jsonl"


def test_a_true_row_has_no_problem(tmp_path):
    assert verify(write(tmp_path)) == []


METRICS = RECORD["metrics"]
PROBLEMS = {
    "better hmean": (dict(metrics={**METRICS, "hmean": 0.7}), "hmean: 0.7 shown, 0.66"),
    "fewer words": (dict(metrics={**METRICS, "truths": 0}), "truths: 0 shown, 1 recomputed"),
    "more images": (dict(test={"data": "x", "images": 3}), "images: 3 shown, 2 stored"),
    "part of a known set": (
        dict(test={"data": "det_ic15_test.zip (2 images)", "images": 2}),
        "2 images, but ic15 test has 500",
    ),
    "other recipe": (dict(config={**CONFIG, "lr": 1}), "config_hash: "),
    "no recipe": (dict(config=None), "its config is not stored"),
    "other weights": (dict(weights={**WEIGHTS, "weights_sha256": "b"}), "no .* weights f00"),
    "more pretraining": (dict(weights={**WEIGHTS, "images_seen": 9}), "images_seen: 8 shown, 9"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_false_row_is_named(tmp_path, case):
    changes, message = PROBLEMS[case]
    problems = verify(write(tmp_path, **changes))
    assert problems and all("(e, Head, seed 0)" in problem for problem in problems)
    assert any(re.search(message, problem) for problem in problems), problems


def test_missing_and_exchanged_counts_are_found(tmp_path):
    file = write(tmp_path)
    (counts,) = (tmp_path / "per_image").iterdir()
    with gzip.open(counts, "rt") as stream:
        stored = json.load(stream)
    stored["matched"][0][0] = 0
    with gzip.open(counts, "wt") as stream:
        json.dump(stored, stream)
    assert any("matched: 1 shown, 0 recomputed" in problem for problem in verify(file))
    counts.unlink()
    assert "no per-image counts" in verify(file)[0]

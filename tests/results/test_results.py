"""Records round trip, rows are averages over seeds, intervals say over what they are."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest

from ocrpretrain.errors import DataError
from ocrpretrain.evaluation.detection import Counts, Detections, ImageMatch
from ocrpretrain.results.leaderboard import as_csv, boards, log_to_wandb, markdown
from ocrpretrain.results.record import (
    append_result,
    image_counts,
    read_image_counts,
    read_results,
)
from ocrpretrain.results.significance import image_interval, seed_interval


def record(head="none", seed=0, hmean=0.5, config_hash="a", **extra):
    return {
        "experiment": "e", "detector": "DBNet", "head": head, "seed": seed, "seconds": 60,
        "backbone": {"type": "x.CLIPResNet", "width": 16},
        "pretraining": {"data": head, "images_seen": 0, "sha256": head},
        "test": {"data": "t", "images": 2}, "threshold": 0.5, "config_hash": config_hash,
        "metrics": {"hmean": hmean, "precision": hmean, "recall": hmean},
        "mmocr_best_of_thresholds": {"hmean": hmean}, **extra,
    }  # fmt: skip


def box(x):
    return np.array([[x, 0], [x + 10, 0], [x + 10, 10], [x, 10]], float)


def counts_of_two_images():
    found = [Detections("a", [box(0), box(50)], [0.9, 0.4]), Detections("b", [], [])]
    matches = [ImageMatch([box(0)], [False], d.polygons, d.scores) for d in found]
    return image_counts(found, matches, (0.3, 0.5))


def test_a_record_and_its_per_image_counts_come_back(tmp_path):
    file = tmp_path / "deep" / "results.jsonl"
    saved = append_result(file, record(), counts_of_two_images())
    append_result(file, record(seed=1), counts_of_two_images())
    first, second = read_results(file)
    assert first == saved and first["id"] != second["id"]
    assert read_image_counts(file, first) == [Counts(1, 1, 1), Counts(0, 1, 0)]


def test_bad_lines_are_reported_with_their_number(tmp_path):
    file = tmp_path / "results.jsonl"
    with pytest.raises(DataError, match="no results yet"):
        read_results(file)
    reader = {**record(), "id": "x", "task": "recognition", "sets": {}}
    file.write_text(f'{{"seed": 1}}\nnot json\n{json.dumps(reader)}\n')
    with pytest.raises(DataError) as error:
        read_results(file)
    assert ":1: lacks experiment" in str(error.value) and ":2: not JSON" in str(error.value)
    assert ":3: lacks answer, upright" in str(error.value)


def test_rows_average_seeds_and_compare_with_random(tmp_path):
    file = tmp_path / "results.jsonl"
    for seed, hmean in enumerate((0.4, 0.5, 0.6)):
        append_result(file, record("none", seed, hmean), counts_of_two_images())
        append_result(file, record("OCLIPHead", seed, hmean + 0.1), counts_of_two_images())
    table = {row["head"]: row for row in boards(file)[0].rows}
    ours = table["OCLIPHead"]
    assert ours["n"] == 3 and ours["hmean"] == pytest.approx(0.6)
    assert ours["std"] == pytest.approx(0.1) and ours["delta"] == pytest.approx(0.1)
    reach = 4.302653 * 0.1 / math.sqrt(3)  # t quantile for 2 degrees of freedom
    assert ours["high"] - ours["hmean"] == pytest.approx(reach, rel=1e-5)
    assert ours["interval"] == "seeds" and table["none"]["delta"] == 0


def test_one_run_has_an_interval_over_images_and_says_so(tmp_path):
    file = tmp_path / "results.jsonl"
    append_result(file, record(), counts_of_two_images())
    (row,) = boards(file)[0].rows
    assert row["interval"] == "images" and row["std"] is None and row["low"] <= row["high"]


def test_rows_of_another_recipe_are_not_compared_silently(tmp_path):
    file = tmp_path / "results.jsonl"
    append_result(file, record(), counts_of_two_images())
    append_result(file, record("OCLIPHead", config_hash="b"), counts_of_two_images())
    table = {row["head"]: row for row in boards(file)[0].rows}
    assert table["none"]["note"] == "" and table["none"]["delta"] == 0
    assert "not comparable" in table["OCLIPHead"]["note"] and table["OCLIPHead"]["delta"] is None


def test_repeated_seeds_are_marked(tmp_path):
    file = tmp_path / "results.jsonl"
    for _ in range(2):
        append_result(file, record(), counts_of_two_images())
    assert "2 runs share 1 seeds" in boards(file)[0].rows[0]["note"]


def test_views_show_the_same_numbers(tmp_path):
    file = tmp_path / "results.jsonl"
    append_result(file, record(hmean=0.123456), counts_of_two_images())
    (board,) = boards(file)
    lines = markdown(board).splitlines()
    assert len(lines) == 3 and "0.1235" in lines[2] and "| – |" in lines[2]
    (row,) = csv.DictReader(io.StringIO(as_csv(board)))
    assert float(row["hmean"]) == 0.123456


@pytest.mark.slow
def test_the_wandb_table_lies_in_the_offline_run(tmp_path):
    file = tmp_path / "results.jsonl"
    append_result(file, record(), counts_of_two_images())
    where = log_to_wandb(boards(file), tmp_path, "offline")
    tables = list(where.rglob("*.table.json"))
    assert len(tables) == 1
    assert "CLIPResNet (width 16)" in json.dumps(json.loads(tables[0].read_text()))


def test_intervals_by_hand():
    low, high = seed_interval([1.0, 3.0])
    assert (low + high) / 2 == 2 and high - 2 == pytest.approx(12.7062, rel=1e-4)
    same = [Counts(1, 2, 2)] * 20
    assert image_interval(same) == (0.5, 0.5)
    mixed = image_interval([Counts(1, 1, 1)] * 50 + [Counts(0, 1, 1)] * 50)
    assert mixed[0] == pytest.approx(0.4, abs=0.03) and mixed[1] == pytest.approx(0.6, abs=0.03)

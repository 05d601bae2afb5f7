"""Scores of pages: the official script's pairs, and the published table from published outputs."""

from __future__ import annotations

import json
import zipfile

import pytest
from conftest import GOLDEN, data_set

from ocrpretrain.evaluation.pages import (
    by_tokens,
    edit_distance,
    score_page,
    summarize,
    word_sets,
)

# DeepSeek-OCR's Fox table, recomputed from published outputs: word-set precision and 1 - NED.
TABLE = {
    "tiny": ["95.9 97.5", "93.8 96.0", "91.9 94.6", "84.2 90.2", "79.2 74.5", "74.3 69.5",
             "58.7 59.3"],
    "small": ["98.3 99.1", "97.0 97.2", "96.7 98.2", "96.7 98.7", "91.3 96.2", "89.2 93.1",
              "86.4 83.0"],
    "base": ["98.5 99.3", "97.7 97.8", "97.7 98.8", "98.8 99.3", "95.3 97.6", "93.7 98.5",
             "89.6 84.9"],
}  # fmt: skip


@pytest.mark.golden
def test_equals_the_official_script():
    pairs = json.loads((GOLDEN / "metrics.json").read_text())["fox"]["pairs"]
    assert len(pairs) == 20
    for pair in pairs:
        texts = (pair["prediction"], pair["ground_truth"])
        assert word_sets(*texts) == pytest.approx(
            (pair["precision"], pair["recall"], pair["f_measure"])
        )
        assert edit_distance(*texts) == pytest.approx(pair["edit_dist"])


@pytest.fixture(scope="module")
def outputs():
    """What DeepSeek-OCR read on Fox's 112 English pages, as published."""
    with zipfile.ZipFile(data_set("doc_fox_en_outputs")) as archive:
        return [json.loads(line) for line in archive.read("outputs.jsonl").splitlines()]


@pytest.mark.parametrize("name", TABLE)
def test_the_published_table_to_the_digit(outputs, name):
    pages = [score_page(row["outputs"][name], row["text"], row["token_count"]) for row in outputs]
    bins = by_tokens(pages, range(600, 1301, 100))
    assert [int(one["pages"]) for one in bins.values()] == [7, 28, 28, 14, 11, 8, 4]
    found = [
        f"{100 * one['precision']:.1f} {100 * one['one_minus_ned']:.1f}" for one in bins.values()
    ]
    assert found == TABLE[name]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("tiny", (0.83884, 0.81419, 0.82247, 0.8564, 0.9445, 9)),
        ("small", (0.93887, 0.91726, 0.92767, 0.9599, 0.9824, 2)),
        ("base", (0.96619, 0.94809, 0.95685, 0.9790, 0.9899, 1)),
        ("tiny_from_text", (0.8799, 0.8572, 0.8640, 0.9114, 0.9782, 5)),
    ],
)
def test_all_pages_together(outputs, name, values):
    found = summarize([score_page(row["outputs"][name], row["text"]) for row in outputs])
    names = ("precision", "recall", "f", "one_minus_ned", "one_minus_ned_median")
    assert [found[name] for name in names] == pytest.approx(values[:5], abs=6e-5)
    assert round(found["collapsed"] * len(outputs)) == values[5]


def test_empty_pages():
    assert score_page("", "").one_minus_ned == 1 and score_page("", "").precision is None
    assert summarize([])["pages"] == 0 and summarize([score_page("", "a")])["recall"] == 0
    assert by_tokens([score_page("a", "a", 5)], (0, 5, 10))["5-10"]["tokens"] == 5

"""OmniDocBench's text metric: the official tool's pairs, pages and totals."""

from __future__ import annotations

import json

import pytest
from conftest import GOLDEN
from hypothesis import given
from hypothesis import strategies as st

from ocrpretrain.evaluation.page_blocks import Block, compare_block, plain, summarize_blocks


@pytest.fixture(scope="module")
def official():
    return json.loads((GOLDEN / "metrics.json").read_text())["omnidocbench"]


@pytest.mark.golden
def test_pairs(official):
    assert len(official["pairs"]) == 20
    for pair in official["pairs"]:
        block = compare_block(pair["page"], pair["prediction"], pair["ground_truth"])
        assert (block.edits, block.length) == (pair["edits"], pair["upper_length"]), pair
        assert block.page == pair["image_name"]
        for mine, theirs in (("prediction", "prediction"), ("ground_truth", "ground_truth")):
            if not pair[f"used_raw_{theirs}"]:
                assert plain(pair[mine]) == pair[f"clean_{theirs}"]


@pytest.mark.golden
def test_pages_and_totals(official):
    pairs = official["pairs"]
    blocks = [compare_block(p["page"], p["prediction"], p["ground_truth"]) for p in pairs]
    found = summarize_blocks(blocks)
    names = ("ALL_page_avg", "edit_whole", "edit_sample_avg")
    assert list(found.values()) == pytest.approx([official["totals"][name] for name in names])
    for page, value in official["per_page"].items():
        one = summarize_blocks([block for block in blocks if block.page == page])
        assert one["page"] == pytest.approx(value)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_texts(one, other):
    block = compare_block("x", one, other)
    assert 0 <= block.distance <= 1 and compare_block("x", one, one).edits == 0
    assert compare_block("x", other, one).edits == block.edits


def test_nothing():
    assert summarize_blocks([]) == {"page": 0.0, "whole": 0.0, "block": 0.0}
    assert Block("x", 0, 0).distance == 0

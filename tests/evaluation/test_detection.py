"""The ICDAR protocol: exact on a published submission, and by hand on small cases."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pytest
from conftest import data_set
from hypothesis import given
from hypothesis import strategies as st

from ocrpretrain.data.sources.icdar import parse_icdar2015
from ocrpretrain.evaluation.detection import Counts, ImageMatch, choose_threshold, total


def box(x: float, y: float, w: float = 10, h: float = 10) -> np.ndarray:
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], float)


def test_equals_the_official_script_on_pixellink():
    """2046 counted detections, 1696 matches: the numbers of the official ICDAR2015 script."""
    archive = zipfile.ZipFile(data_set("eval_reference"))
    truth = zipfile.ZipFile(io.BytesIO(archive.read("ic15_tiou/gt.zip")))
    found = zipfile.ZipFile(io.BytesIO(archive.read("ic15_tiou/pixellinkch4.zip")))
    counts = Counts()
    for name in truth.namelist():
        words = parse_icdar2015(truth.read(name), name)
        number = re.findall(r"\d+", name)[-1]
        lines = found.read(f"res_img_{number}.txt").decode("utf-8-sig").split("\n")
        quads = [np.array([int(v) for v in line.split(",")[:8]]) for line in lines if line.strip()]
        polygons = [word.polygon for word in words]
        counts += ImageMatch(polygons, [word.ignore for word in words], quads).counts()
    assert counts == Counts(matched=1696, truths=2077, found=2046)
    assert counts.precision == pytest.approx(0.828935, abs=1e-6)
    assert counts.recall == pytest.approx(0.816562, abs=1e-6)
    assert counts.hmean == pytest.approx(0.822702, abs=1e-6)


def test_greedy_matching_takes_each_polygon_once():
    match = ImageMatch([box(0, 0), box(1, 0)], [False, False], [box(0, 0)])
    assert match.counts() == Counts(matched=1, truths=2, found=1)


def test_iou_must_be_above_one_half():
    exactly_half = ImageMatch([box(0, 0, 10, 10)], [False], [box(0, 0, 10, 20)])
    assert exactly_half.counts().matched == 0


def test_dont_care_takes_detections_out_and_is_not_a_truth():
    match = ImageMatch([box(0, 0), box(50, 0)], [False, True], [box(0, 0), box(51, 0), box(90, 0)])
    assert match.counts() == Counts(matched=1, truths=1, found=2)


def test_threshold_comes_from_scores():
    found = [box(0, 0), box(30, 0), box(60, 0)]
    match = ImageMatch([box(0, 0), box(30, 0)], [False, False], found, [0.9, 0.6, 0.55])
    assert match.counts(0.5).found == 3
    assert match.counts(0.8) == Counts(matched=1, truths=2, found=1)
    assert choose_threshold([match]) == 0.6
    assert total([match, match], 0.6) == Counts(4, 4, 4)


def test_empty_image_and_self_crossing_polygon():
    assert ImageMatch([], [], []).counts() == Counts()
    assert ImageMatch([], [], []).counts().hmean == 0
    bow_tie = np.array([[0, 0], [10, 10], [10, 0], [0, 10]])
    assert ImageMatch([box(0, 0)], [False], [bow_tie]).counts().found == 1


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), max_size=6))
def test_detections_equal_to_the_truth_are_never_unmatched(corners):
    polygons = [box(*corner) for corner in corners]
    counts = ImageMatch(polygons, [False] * len(polygons), polygons).counts()
    assert counts.matched == counts.truths == counts.found == len(polygons)

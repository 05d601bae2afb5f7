"""Scores of answers: counts by hand, calibration, branches; the usual sets and their sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrpretrain.errors import DataError
from ocrpretrain.evaluation.calibration import calibration_error
from ocrpretrain.evaluation.word_scores import Answer, score, summarize, table
from ocrpretrain.evaluation.word_sets import flag, usual_name
from ocrpretrain.reading.word_sets import open_set


def answer(text: str, label: str, confidence: float = 0.5, visual: str | None = None) -> Answer:
    branches = {} if visual is None else {"visual": (visual, 0.5), "cross": (text, confidence)}
    return Answer("x", text, confidence, label, branches)


def test_counts_of_three_protocols():
    found = score(
        [answer("Exit", "exit"), answer("4.99", "4,99"), answer("x", "日"), answer("", "a")]
    )
    assert [found[n]["correct"] for n in ("36", "62", "94")] == [2, 1, 0]
    assert [found[n]["words"] for n in ("36", "62", "94")] == [3, 3, 3]
    assert found["36"]["left_out"] == 1 and found["36"]["accuracy"] == pytest.approx(2 / 3)
    assert found["94"]["one_minus_ned"] == pytest.approx((0.75 + 0.75 + 0) / 3)
    assert "branches" not in found


def test_what_the_cross_branch_does():
    found = score(
        [
            answer("exit", "EXIT", visual="exlt"),
            answer("x7", "x9", visual="x9"),
            answer("a", "a", visual="a"),
            answer("b", "c", visual="d"),
            answer("b", "日", visual="d"),
        ]
    )
    wanted = {"corrected": 1, "broken": 1, "left_right": 1, "left_wrong": 1}
    assert found["branches"] == wanted


def test_calibration_by_hand():
    assert calibration_error([0.9, 0.9, 0.2], [True, False, False]) == pytest.approx(
        (abs(2 * 0.9 - 1) + 0.2) / 3
    )
    assert calibration_error([1.0, 0.0], [True, False]) == 0
    assert calibration_error([], []) == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_calibration_is_a_share(pairs):
    assert 0 <= calibration_error(*zip(*pairs, strict=True)) <= 1 + 1e-9


def test_means_are_over_words_and_over_sets_without_generated_ones():
    sets = {
        "A": [answer("a", "a")] * 3,
        "B": [answer("a", "b")],
        "random": [answer("a", "b")] * 50,
    }
    found = summarize(sets)
    assert found["36"]["accuracy"] == 0.75 and found["mean"]["36"] == 0.5


def test_the_table_shows_absent_sets_and_unusual_sizes():
    sets = {"SVT": {**score([answer("a", "a", visual="b")]), "flag": flag("SVT", 1)}}
    shown = table({"sets": sets, "metrics": summarize({"SVT": [answer("a", "a")]})})
    lines = {line.split(" | ")[0].strip("| "): line for line in shown.splitlines()}
    assert "1 words, usually 647" in lines["SVT"] and "| 1 | 0 | 0 |" in lines["SVT"]
    assert lines["WOST"].count("–") == 11 and "100.0" in lines["all words"]
    assert len({line.count("|") for line in shown.splitlines()}) == 1


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/rec_iiit5k_test.zip", "IIIT5K"),
        ("data/SVTP", "SVTP"),
        ("icdar2015-words/", "IC15"),
        ("cute.zip", "CUTE80"),
        ("mine.zip", "mine"),
    ],
)
def test_the_usual_names(path, name):
    assert usual_name(path) == name


def test_a_name_that_could_be_two_sets_is_asked_for():
    with pytest.raises(DataError, match="say NAME="):
        usual_name("svt_ic15.zip")


def test_the_usual_sizes():
    assert flag("IC15", 1811) == flag("IC15", 2077) == flag("mine", 5) == ""
    assert flag("IC15", 2000) == "2000 words, usually 1811 or 2077"


def test_random_words_are_the_same_every_time():
    first, second = (open_set("random").source for _ in range(2))
    assert len(first) == 1000
    assert first.read(5).words[0].text == second.read(5).words[0].text

"""What of test texts stands in training texts."""

from __future__ import annotations

from ocrpretrain.evaluation.overlap import overlap


def test_runs_and_whole_texts():
    training = ["a b c d e", "The Cat\nsat"]
    found = overlap(["b c d x", "the cat", "", "at sat"], training, words=3)
    assert found == {"overlap_runs": 2, "overlap": 0.5, "known_texts": 1 / 3}  # no part of a word
    assert overlap(["", "cat sat"], training, words=3) == {"overlap_runs": 0, "known_texts": 1}

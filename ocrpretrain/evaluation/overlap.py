"""How much of test texts stands in training texts: a reader may know those by heart."""

from __future__ import annotations

from collections.abc import Sequence

from ocrpretrain.data.synthesis.texts import RUN, word_runs

KEYS = ("overlap", "overlap_runs", "known_texts")


def overlap(test: Sequence[str], training: Sequence[str], words: int = RUN) -> dict[str, float]:
    """What of test texts is in training texts.

    Returns:
        `overlap_runs`: how many distinct runs of words the test texts have; `overlap`: the share of
        these that a training text has too, left out where there are none; `known_texts`: the share
        of the test texts with a word that stand whole in a training text, case ignored.
    """
    known = {run for text in training for run in word_runs(text.split(), words)}
    runs = {run for text in test for run in word_runs(text.split(), words)}
    everything = "\n".join(map(_spaced, training))
    whole = [_spaced(text) in everything for text in test if text.split()]
    found = {"overlap_runs": len(runs), "known_texts": sum(whole) / max(1, len(whole))}
    return {**found, "overlap": len(runs & known) / len(runs)} if runs else found


def _spaced(text: str) -> str:
    return f" {' '.join(text.lower().split())} "

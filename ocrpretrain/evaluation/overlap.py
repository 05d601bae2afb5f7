"""How much of test texts stands in training texts: a reader may know those by heart."""

from __future__ import annotations

from collections.abc import Iterable

from ocrpretrain.data.synthesis.texts import RUN, word_runs


def overlap(test: Iterable[str], training: Iterable[str], words: int = RUN) -> float:
    """Share of the test texts' distinct runs of words that a training text has, 0 to 1."""
    known: set[tuple[str, ...]] = set()
    for text in training:
        known |= word_runs(text.split(), words)
    runs: set[tuple[str, ...]] = set()
    for text in test:
        runs |= word_runs(text.split(), words)
    return len(runs & known) / len(runs) if runs else 0.0

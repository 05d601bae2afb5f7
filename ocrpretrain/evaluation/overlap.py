"""How much of test texts stands in training texts: a reader may know those by heart."""

from __future__ import annotations

from collections.abc import Iterable

WORDS = 8


def word_runs(text: str, words: int = WORDS) -> set[tuple[str, ...]]:
    """All runs of so many words of a text; a shorter text has none."""
    split = text.split()
    starts = range(len(split) - words + 1)
    return {tuple(split[place : place + words]) for place in starts}


def overlap(test: Iterable[str], training: Iterable[str], words: int = WORDS) -> float:
    """Share of the test texts' distinct runs of words that a training text has, 0 to 1."""
    known: set[tuple[str, ...]] = set()
    for text in training:
        known |= word_runs(text, words)
    runs: set[tuple[str, ...]] = set()
    for text in test:
        runs |= word_runs(text, words)
    return len(runs & known) / len(runs) if runs else 0.0

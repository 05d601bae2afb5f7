"""Intervals: over seeds where there are several, over test images or words where there is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from ocrpretrain.evaluation.detection import Counts

RESAMPLES = 2000


def seed_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of at least two runs that differ in their seed only."""
    mean, error = float(np.mean(values)), float(stats.sem(values))
    reach = error * float(stats.t.ppf((1 + level) / 2, len(values) - 1))
    return mean - reach, mean + reach


def image_interval(counts: Sequence[Counts], level: float = 0.95) -> tuple[float, float]:
    """Bootstrap over test images of the hmean of one run: other images, the same weights.

    It says nothing about another seed of training.
    """
    table = np.array([(c.matched, c.truths, c.found) for c in counts], float)
    rng = np.random.default_rng(0)
    picks = rng.integers(len(table), size=(RESAMPLES, len(table)))
    matched, truths, found = table[picks].sum(1).T
    hmean = 2 * matched / np.maximum(truths + found, 1)
    low, high = np.quantile(hmean, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def share_interval(correct: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share of test words of one run: other words, the same weights."""
    if not total:
        return 0.0, 1.0
    interval = stats.binomtest(correct, total).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)

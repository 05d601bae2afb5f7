"""How far confidences are from the share of answers that are right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BINS = 15


def calibration_error(scores: Sequence[float], correct: Sequence[bool]) -> float:
    """Expected calibration error (Naeini et al. 2015): 15 equal bins of confidence.

    Mean over answers of the distance between their bin's mean confidence and its accuracy.

    Args:
        scores: confidences in [0, 1].
        correct: whether each answer is right.
    """
    if not scores:
        return 0.0
    score, right = np.asarray(scores, float), np.asarray(correct, float)
    place = np.minimum((score * BINS).astype(int), BINS - 1)
    gap = np.bincount(place, right - score, BINS)
    return float(np.abs(gap).sum() / len(score))

"""Text detection by ICDAR's protocol: IoU > 0.5, greedy matching, don't-care regions.

The arithmetic of the official script: coordinates are whole pixels, a polygon's area is the
absolute shoelace sum even where it crosses itself, intersections are even-odd. Counts are kept
per image and threshold, so that every shown number can be computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

IOU = 0.5
IGNORE_OVERLAP = 0.5
THRESHOLDS = tuple(round(0.3 + 0.05 * step, 2) for step in range(13))  # 0.3 .. 0.9


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image.

    Attributes:
        id: name of the image.
        polygons: (N, 2) each, x then y, pixels of the stored image, in the detector's order.
        scores: one per polygon.
    """

    id: str
    polygons: list[np.ndarray]
    scores: list[float]


@dataclass(frozen=True)
class Counts:
    """Of one image or of many: matched pairs, true words and found words that count."""

    matched: int = 0
    truths: int = 0
    found: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.matched + other.matched, self.truths + other.truths, self.found + other.found
        )

    @property
    def precision(self) -> float:
        return self.matched / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        return self.matched / self.truths if self.truths else 0.0

    @property
    def hmean(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    def metrics(self) -> dict[str, float | int]:
        """Shares and counts under the names of MMOCR's metric."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "hmean": self.hmean,
            "matched": self.matched,
            "truths": self.truths,
            "found": self.found,
        }


def _area(points: np.ndarray) -> float:
    x, y = points[:, 0], points[:, 1]
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def _shapes(polygons: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    whole = [np.asarray(polygon, float).reshape(-1, 2).astype(int) for polygon in polygons]
    shapes = [shapely.make_valid(shapely.Polygon(points)) for points in whole]
    areas = [_area(points.astype(float)) for points in whole]
    return np.array(shapes, object), np.array(areas, float)


class ImageMatch:
    """The overlaps of one image, computed once and matched at any score threshold.

    Args:
        truths: polygons (N, 2) of all regions.
        ignored: which of them are don't-care.
        found: polygons of the detector.
        scores: of the detector; None counts every polygon at every threshold.
        iou: pairs match above it.
        ignore_overlap: a polygon of which more lies in one don't-care region does not count.
    """

    def __init__(
        self,
        truths: Sequence[np.ndarray],
        ignored: Sequence[bool],
        found: Sequence[np.ndarray],
        scores: Sequence[float] | None = None,
        iou: float = IOU,
        ignore_overlap: float = IGNORE_OVERLAP,
    ) -> None:
        shapes, areas = _shapes(truths)
        found_shapes, found_areas = _shapes(found)
        dont_care = np.asarray(ignored, bool)
        shape = (len(truths), len(found))
        overlap = np.zeros(shape)
        if len(truths) and len(found):
            overlap = shapely.area(shapely.intersection(shapes[:, None], found_shapes[None]))
        inside = overlap[dont_care] / np.maximum(found_areas, 1e-9)
        self.counted = (
            ~(inside > ignore_overlap).any(0) if dont_care.any() else np.ones(shape[1], bool)
        )
        union = areas[:, None] + found_areas[None] - overlap
        self.hits = (overlap / np.maximum(union, 1e-9) > iou)[~dont_care]
        self.scores = np.full(shape[1], np.inf) if scores is None else np.asarray(scores, float)

    def counts(self, threshold: float = 0.0) -> Counts:
        """Greedy matching, truth by truth, of the polygons that score at least `threshold`."""
        usable = self.counted & (self.scores >= threshold)
        free = usable.copy()
        matched = 0
        for row in self.hits:
            candidates = np.flatnonzero(row & free)
            if len(candidates):
                free[candidates[0]] = False
                matched += 1
        return Counts(matched, len(self.hits), int(usable.sum()))


def total(matches: Sequence[ImageMatch], threshold: float) -> Counts:
    """Counts summed over images at one threshold."""
    return sum((match.counts(threshold) for match in matches), Counts())


def choose_threshold(
    matches: Sequence[ImageMatch], thresholds: Sequence[float] = THRESHOLDS
) -> float:
    """The threshold with the best hmean; the lowest where several are equal.

    To be called on held-out training images, never on the test images.
    """
    return max(thresholds, key=lambda threshold: (total(matches, threshold).hmean, -threshold))

"""Transforms that MMOCR's detection pipelines lack on small images and few steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmocr.datasets.transforms import TextDetRandomCrop


class WordCrop(TextDetRandomCrop):
    """Crops of one size, of which a share holds the centre of a legible word.

    MMOCR's class halves each flat polygon where it means to split x from y, so its crops hold
    words only by luck; it also returns float64 polygons, which OpenCV refuses in DBNet's targets.

    Args:
        target_size: width and height of the crops, in pixels; smaller images are padded right and
            below, since DBNet's targets need images of one size.
        positive_sample_ratio: share of crops that hold a word.
    """

    def __init__(self, target_size: tuple[int, int], positive_sample_ratio: float = 0.9) -> None:
        super().__init__(target_size, positive_sample_ratio)  # pyright: ignore[reportCallIssue]
        self.target_size: tuple[int, int] = target_size
        self.positive_sample_ratio: float = positive_sample_ratio

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        words = zip(results["gt_polygons"], results["gt_ignored"], strict=True)
        self._legible = [polygon for polygon, ignored in words if not ignored]
        results = super().transform(results)  # pyright: ignore[reportAssignmentType]
        height, width = results["img"].shape[:2]
        missing = max(0, self.target_size[1] - height), max(0, self.target_size[0] - width)
        if any(missing):
            results["img"] = np.pad(results["img"], [(0, missing[0]), (0, missing[1]), (0, 0)])
            results["img_shape"] = results["img"].shape[:2]
        results["gt_polygons"] = [polygon.astype(np.float32) for polygon in results["gt_polygons"]]
        return results

    def _sample_offset(
        self, gt_polygons: Sequence[np.ndarray], img_size: tuple[int, int]
    ) -> tuple[int, int]:
        size = np.minimum(self.target_size[::-1], img_size)
        last = np.array(img_size) - size
        if self._legible and np.random.rand() < self.positive_sample_ratio:
            word = self._legible[np.random.randint(len(self._legible))].reshape(-1, 2)
            centre = word.mean(0)[::-1]
            offset = np.clip(centre - np.random.rand(2) * size, 0, last).astype(int)
        else:
            offset = np.random.randint(0, last + 1)
        return int(offset[0]), int(offset[1])

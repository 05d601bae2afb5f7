"""Crops that hold words, which MMOCR's own class reaches only by luck."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.mmocr


def wide_image() -> dict[str, Any]:
    """One legible word far right and one illegible word far left of 1280 x 96 pixels."""
    legible = np.array([1200, 40, 1240, 40, 1240, 56, 1200, 56], np.float32)
    illegible = np.array([20, 40, 60, 40, 60, 56, 20, 56], np.float32)
    return {
        "img": np.full((96, 1280, 3), 9, np.uint8),
        "gt_polygons": [illegible, legible],
        "gt_ignored": np.array([True, False]),
        "gt_bboxes": np.zeros((2, 4), np.float32),
        "gt_bboxes_labels": np.zeros(2, int),
    }


def crop(share: float, **changes: Any) -> dict[str, Any]:
    from ocrpretrain.transfer.mmocr import register

    register()
    from ocrpretrain.transfer.transforms import WordCrop

    return WordCrop((128, 128), positive_sample_ratio=share).transform(wide_image() | changes)


def test_positive_crop_holds_the_legible_word() -> None:
    np.random.seed(0)
    for _ in range(20):
        result = crop(1.0)
        assert result["img"].shape == (128, 128, 3)
        assert result["gt_ignored"].tolist() == [False]
        (polygon,) = result["gt_polygons"]
        assert polygon.dtype == np.float32
        assert polygon.reshape(-1, 2).max(0)[0] <= 128
        assert not result["img"][96:].any()  # padding


def test_negative_crops_land_anywhere() -> None:
    np.random.seed(0)
    empty = sum(not crop(0.0)["gt_polygons"] for _ in range(40))
    assert empty > 20


def test_image_without_words() -> None:
    none = dict(gt_polygons=[], gt_ignored=np.zeros(0, bool), gt_bboxes_labels=np.zeros(0, int))
    assert crop(1.0, **none)["img"].shape == (128, 128, 3)

"""Geometry of images and polygons: crop, resize, pad. Polygons are (N, 2) float32, x then y."""

from __future__ import annotations

import cv2
import numpy as np
import shapely

MIN_VISIBLE = 0.8  # a word of which less is inside can no longer be read


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (height, width, 3); averages areas where bilinear would skip pixels."""
    factor = max(image.shape[0] / height, image.shape[1] / width)
    method = cv2.INTER_AREA if factor > 2 else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)


def letterbox_size(shape: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """The largest (height, width) of the same aspect as `shape` that fits into `size`."""
    scale = min(size[0] / shape[0], size[1] / shape[1])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def random_crop(
    shape: tuple[int, int], scale: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """A random window of the image's own aspect.

    Args:
        shape: height and width of the image.
        scale: lower and upper share of the area to keep.
        rng: source of randomness.

    Returns:
        y, x, height, width in whole pixels.
    """
    side = np.sqrt(rng.uniform(*scale))
    height, width = max(1, round(shape[0] * side)), max(1, round(shape[1] * side))
    # By shares, so that a picture decoded at half the size is cut at the same place.
    y, x = rng.random(2) * np.subtract(shape, (height, width))
    return round(y), round(x), height, width


def signed_area(polygon: np.ndarray) -> float:
    """Area of a polygon, positive where its points go clockwise as one sees them."""
    x, y = polygon.astype(float).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def visible_share(polygon: np.ndarray, y: int, x: int, height: int, width: int) -> float:
    """Share of a polygon's area that lies inside a window; 0 for a polygon without area."""
    shape = shapely.make_valid(shapely.Polygon(polygon))
    if shape.area == 0:
        return 0.0
    return shape.intersection(shapely.box(x, y, x + width, y + height)).area / shape.area

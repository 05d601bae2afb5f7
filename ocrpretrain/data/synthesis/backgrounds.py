"""Procedural backgrounds: smooth colour fields, grain, stripes, tiles and scattered shapes."""

from __future__ import annotations

import cv2
import numpy as np


def draw_background(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: one or two base colours, clutter, and texture at several scales."""
    image = _field(height, width, rng, int(rng.integers(2, 5)))
    if rng.random() < 0.6:
        _shapes(image, rng)
    if rng.random() < 0.35:
        _tiles(image, rng)
    if rng.random() < 0.7:
        amplitude = rng.uniform(4, 30)
        for cells in (8, 24, 64):
            image += (_noise(height, width, rng, cells) * amplitude)[..., None]
            amplitude /= 1.7
    return np.clip(image, 0, 255).astype(np.uint8)


def _noise(height: int, width: int, rng: np.random.Generator, cells: int) -> np.ndarray:
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _field(height: int, width: int, rng: np.random.Generator, cells: int) -> np.ndarray:
    base = rng.uniform(0, 255, 3)
    spread = rng.choice([10, 40, 110])
    colours = np.clip(base + rng.uniform(-spread, spread, (cells, cells, 3)), 0, 255)
    return cv2.resize(colours.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)


def _shapes(image: np.ndarray, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    for _ in range(rng.integers(1, 8)):
        centre = rng.uniform(0, 1, 2) * (width, height)
        points = centre + rng.uniform(-0.4, 0.4, (rng.integers(3, 6), 2)) * (width, height)
        colour = rng.uniform(0, 255, 3).tolist()
        thickness = int(rng.integers(1, 5))
        if rng.random() < 0.5:
            cv2.fillPoly(image, [points.astype(np.int32)], colour, cv2.LINE_AA)
        else:
            cv2.polylines(image, [points.astype(np.int32)], True, colour, thickness, cv2.LINE_AA)


def _tiles(image: np.ndarray, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    step = int(rng.integers(6, max(8, min(height, width) // 3)))
    delta = float(rng.uniform(-60, 60))
    line = max(1, step // int(rng.integers(4, 12)))
    for offset in range(line):
        if rng.random() < 0.7:
            image[offset::step] += delta
        if rng.random() < 0.7:
            image[:, offset::step] += delta

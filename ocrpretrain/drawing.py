"""Pictures: words and polygons on images, several images in one."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

TRUTH, FOUND, IGNORED = (40, 200, 40), (230, 40, 40), (150, 150, 150)
MIN_SIDE = 256  # smaller images are enlarged so that labels can be read


def draw_polygons(
    image: np.ndarray,
    polygons: Sequence[np.ndarray],
    colour: tuple[int, int, int],
    labels: Sequence[str] = (),
    thickness: int = 2,
) -> np.ndarray:
    """A copy of (H, W, 3) uint8 with polygons (N, 2) in pixels, each with its label above it."""
    canvas = image.copy()
    for index, polygon in enumerate(polygons):
        points = np.round(polygon).astype(np.int32)
        cv2.polylines(canvas, [points], True, colour, thickness, cv2.LINE_AA)
        if index < len(labels):
            corner = (int(points[:, 0].min()), max(10, int(points[:, 1].min()) - 3))
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(canvas, labels[index], corner, font, 0.45, (0, 0, 0), 3, cv2.LINE_AA)
            cv2.putText(canvas, labels[index], corner, font, 0.45, colour, 1, cv2.LINE_AA)
    return canvas


def draw_words(
    image: np.ndarray, text: Sequence[str], polygons: Sequence[np.ndarray | None]
) -> np.ndarray:
    """A sample and its label; words without polygon are written below the image."""
    factor = max(1, math.ceil(MIN_SIDE / max(image.shape[:2])))
    canvas = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    placed = [(t, p * factor) for t, p in zip(text, polygons, strict=True) if p is not None]
    canvas = draw_polygons(canvas, [p for _, p in placed], TRUTH, [t for t, _ in placed], 1)
    weak = " ".join(t for t, p in zip(text, polygons, strict=True) if p is None)
    if weak:
        canvas = cv2.copyMakeBorder(canvas, 0, 18, 0, 0, cv2.BORDER_CONSTANT)
        at = (4, canvas.shape[0] - 5)
        cv2.putText(canvas, weak, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, TRUTH, 1, cv2.LINE_AA)
    return canvas


def draw_attention(image: np.ndarray, attention: np.ndarray, label: str) -> np.ndarray:
    """An image under the heat of an attention map (h, w), with its label in the corner."""
    height, width = image.shape[:2]
    heat = cv2.resize(attention.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    heat = (255 * np.clip(heat / max(float(heat.max()), 1e-12), 0, 1)).astype(np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(heat, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    canvas = cv2.addWeighted(image, 0.55, coloured, 0.45, 0)
    return draw_words(canvas, [label], [None])


def tile(images: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Images of any size on one white canvas, row by row."""
    height = max(image.shape[0] for image in images)
    width = max(image.shape[1] for image in images)
    rows = math.ceil(len(images) / columns)
    canvas = np.full((rows * height, min(columns, len(images)) * width, 3), 255, np.uint8)
    for index, image in enumerate(images):
        y, x = index // columns * height, index % columns * width
        canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
    return canvas


def save_picture(picture: np.ndarray, path: str | os.PathLike[str]) -> None:
    """(H, W, 3) uint8 RGB -> PNG."""
    Image.fromarray(picture).save(path)

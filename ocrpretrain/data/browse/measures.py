"""What is measured on images and words."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Literal, NamedTuple

import cv2
import numpy as np


class Quantity(NamedTuple):
    """A number measured on every image or word, and the scale that its histogram has."""

    title: str
    scale: Literal["count", "log", "angle"]


QUANTITIES = {
    "image_height": Quantity("image height, pixels", "log"),
    "image_width": Quantity("image width, pixels", "log"),
    "words_per_image": Quantity("words per image", "count"),
    "length": Quantity("characters per word", "count"),
    "height": Quantity("word height, pixels", "log"),
    "width": Quantity("word width, pixels", "log"),
    "height_share": Quantity("word height, % of the image's height", "log"),
    "width_share": Quantity("word width, % of the image's width", "log"),
    "aspect": Quantity("word width / height", "log"),
    "angle": Quantity("reading direction, degrees (positive: rising)", "angle"),
    "points": Quantity("points per polygon", "count"),
}


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char)[0] in "PS"


SHARES: dict[str, Callable[[str], bool]] = {
    "all capitals": str.isupper,
    "all lower case": str.islower,
    "with a digit": lambda text: any(map(str.isdigit, text)),
    "with punctuation": lambda text: any(map(_is_punctuation, text)),
    "with a space": lambda text: any(map(str.isspace, text)),
}


def measure(polygon: np.ndarray) -> tuple[float, float, float]:
    """Length, height and direction of a word from its outline (N, 2).

    The first half of the points is taken as one long side and the rest as the other, as annotators
    draw lines of text, straight or curved; the height is the area over the mean long side.

    Returns:
        Width and height in pixels, and the angle of the first edge in degrees, -180 to 180,
        positive where the text rises.
    """
    polygon = polygon.astype(np.float64)  # whose squares do not overflow
    half = (len(polygon) + 1) // 2
    width = (_path(polygon[:half]) + _path(polygon[half:])) / 2
    area = cv2.contourArea(polygon.astype(np.float32))
    edges = np.diff(polygon, axis=0)
    dx, dy = next((edge for edge in edges if edge.any()), np.zeros(2))
    return width, area / width if width else 0.0, float(np.degrees(np.arctan2(-dy, dx)))


def _path(points: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())

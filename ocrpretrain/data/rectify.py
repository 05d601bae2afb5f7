"""The picture of one word, cut from an image and turned so that it reads left to right.

A quad goes through a homography; a polygon of more points is the strip between its long sides.
Polygons are (N, 2) float32 in pixels, x then y.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np

from ocrpretrain.data.sources.base import Word
from ocrpretrain.data.transforms import MIN_VISIBLE, signed_area, visible_share
from ocrpretrain.errors import DataError

RIBS = 16  # places at which the distance of two sides is taken
# The first point is believed unless sides that begin elsewhere are so many times as close together.
TALL_QUAD, TALL_POLYGON = 1.5, 1.25


def croppable(words: Sequence[Word]) -> list[int]:
    """Places of the words that can be cut out: legible ones with a text and a polygon."""
    return [
        place
        for place, word in enumerate(words)
        if word.polygon is not None and not word.ignore and word.text.strip()
    ]


def cut_word(image: np.ndarray, polygon: np.ndarray, text: str, rectify: bool = True) -> np.ndarray:
    """Cut one word out of an image.

    Args:
        image: (H, W, 3) uint8.
        polygon: (N, 2), in either direction, from a corner at which the text begins.
        text: what it says; see `find_sides`.
        rectify: False cuts the bounding box out, as the word sets of ICDAR2015 are cut.

    Returns:
        (h, w, 3) uint8, h and w being the mean lengths of opposite sides.

    Raises:
        DataError: a polygon without area, or of which less than 80 % is inside the image.
    """
    height, width = image.shape[:2]
    if is_border(polygon, height, width):
        return image
    if visible_share(polygon, 0, 0, height, width) < MIN_VISIBLE:
        raise DataError(f"the polygon of {text!r} has no area or lies outside the image")
    if not rectify:
        x0, y0 = np.maximum(np.floor(polygon.min(0)), 0).astype(int)
        x1, y1 = np.floor(polygon.max(0)).astype(int) + 1
        return image[y0:y1, x0:x1]
    top, bottom = find_sides(polygon, turn=len(text) > 1 and is_latin(text))
    long, limit = (_length(top) + _length(bottom)) / 2, height + width
    # The sides of a polygon that winds about may have any length.
    size = (min(max(1, round(side)), limit) for side in (long, _gap(top, bottom)))
    if len(polygon) <= 4:
        return _warp_quad(image, np.concatenate([top, bottom[::-1]]), *size)
    return _warp_strip(image, top, bottom, *size)


def is_border(polygon: np.ndarray, height: int, width: int) -> bool:
    """Whether a polygon is the border of its image, from the upper left corner on, to a pixel."""
    border = (0, 0, width, 0, width, height, 0, height)
    flat = polygon.ravel().tolist()  # plain numbers are five times as fast as so small an array
    return len(flat) == 8 and all(abs(a - b) <= 1 for a, b in zip(flat, border, strict=True))


def is_latin(text: str) -> bool:
    """Whether all letters of a text are Latin; digits and signs belong to any script."""
    letters = (char for char in text if char.isalpha())
    return all(unicodedata.name(char, "").startswith("LATIN") for char in letters)


def find_sides(polygon: np.ndarray, turn: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The upper and the lower side of a word, each (>= 2, 2) and in the direction of reading.

    Clockwise, the upper side is walked in the direction of reading and the lower one against it.
    The first point should begin the upper side, and half of the points belong to it. Where `turn`
    allows it, sides that are clearly closer together are taken in place of those: the upper one
    leads to the right, or in steep text begins next to the first point.

    Args:
        polygon: (N, 2) in either direction.
        turn: whether the word may lie on its side; not for one letter, which may be tall, nor for
            scripts that are written downwards.
    """
    if len(polygon) < 4:
        (x0, y0), (x1, y1) = polygon.min(0), polygon.max(0)
        polygon = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    elif signed_area(polygon) < 0:
        polygon = polygon[::-1]
    count, spare = len(polygon), int(turn and len(polygon) > 5)  # sides may differ by some points
    gaps = {
        (start, half): _gap(*_split(polygon, start, half))
        for start in (range(count // 2 + 1 + spare) if turn else (0,))  # the rest is upside down
        for half in range(count // 2 - spare, (count + 1) // 2 + spare + 1)
    }
    promised = min((key for key in gaps if key[0] == 0), key=lambda key: gaps[key])
    closest = min(gaps, key=lambda key: gaps[key])
    if gaps[promised] <= gaps[closest] * (TALL_QUAD if count == 4 else TALL_POLYGON):
        return _split(polygon, *promised)
    start, half = closest
    other = ((start + half) % count, count - half)  # the same sides, upside down
    x, y = np.sum([side[-1] - side[0] for side in _split(polygon, *closest)], axis=0)
    if abs(x) > abs(y):
        return _split(polygon, *(closest if x > 0 else other))
    nearer = min(closest, other, key=lambda key: (min(key[0], count - key[0]), -key[0]))
    return _split(polygon, *nearer)


def _split(polygon: np.ndarray, start: int, half: int) -> tuple[np.ndarray, np.ndarray]:
    turned = np.roll(polygon, -start, axis=0)
    return turned[:half], turned[half:][::-1]


def _walk(side: np.ndarray, count: int) -> np.ndarray:
    """(count, 2): the middles of so many equal stretches of a line."""
    steps = np.linalg.norm(np.diff(side, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    wanted = (np.arange(count) + 0.5) / count * along[-1]
    return np.stack([np.interp(wanted, along, side[:, axis]) for axis in (0, 1)], axis=1)


def _length(side: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(side, axis=0), axis=1).sum())


def _gap(top: np.ndarray, bottom: np.ndarray) -> float:
    """Mean distance between two sides."""
    return float(np.linalg.norm(_walk(top, RIBS) - _walk(bottom, RIBS), axis=1).mean())


def _warp_quad(image: np.ndarray, quad: np.ndarray, width: int, height: int) -> np.ndarray:
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    # OpenCV's pixel i is a point, ours reaches from i to i + 1.
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32) - 0.5, target - 0.5)
    return cv2.warpPerspective(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def _warp_strip(
    image: np.ndarray, top: np.ndarray, bottom: np.ndarray, width: int, height: int
) -> np.ndarray:
    share = ((np.arange(height) + 0.5) / height)[:, None, None]
    place = (1 - share) * _walk(top, width) + share * _walk(bottom, width) - 0.5
    x, y = np.moveaxis(place.astype(np.float32), 2, 0)
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

"""Layers: (4, H, W) float32, colours in 0..255 times their coverage, and the coverage in 0..1.

Colours are multiplied in, so that a layer can be resized, warped and blurred without dark borders.
"""

from __future__ import annotations

import cv2
import numpy as np

from ocrpretrain.data.synthesis.colours import LUMA, draw_colour, luma


def empty(height: int, width: int) -> np.ndarray:
    return np.zeros((4, height, width), np.float32)


def cover(layer: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> None:
    """Lay a colour over a layer in place.

    Args:
        layer: (4, H, W).
        colour: (3,), or (3, H, W) or (3, H, 1), in 0..255.
        alpha: (H, W) in 0..1.
    """
    layer *= 1 - alpha
    layer[:3] += colour.reshape(3, *colour.shape[1:] or (1, 1)) * alpha
    layer[3] += alpha


def merge(image: np.ndarray, layer: np.ndarray, matrix: np.ndarray) -> None:
    """Lay a layer, seen through a homography, over (H, W, 3) uint8 in place."""
    # OpenCV's arithmetic on interleaved channels is several times as fast as NumPy's.
    seen = cv2.warpPerspective(cv2.merge(tuple(layer)), matrix, image.shape[1::-1])
    *colour, alpha = cv2.split(seen)
    behind = cv2.multiply(image, cv2.merge([1 - alpha] * 3), dtype=cv2.CV_32F)
    image[:] = cv2.add(behind, cv2.merge(colour), dtype=cv2.CV_8U)


def write(layer: np.ndarray, mask: np.ndarray, ink: np.ndarray, rng: np.random.Generator) -> None:
    """Paint a text into a layer, in one of the ways in which texts are painted.

    Args:
        layer: (4, H, W), changed in place.
        mask: (H, W) uint8 coverage of the text.
        ink: (3,) colour.
        rng: source of randomness.
    """
    alpha = mask.astype(np.float32) * np.float32(1 / 255)
    stroke = max(1, round(mask.shape[0] * 0.02))
    effect = rng.random()
    if effect < 0.1:
        _shadow(layer, alpha, ink, stroke, rng)
    elif effect < 0.2:
        rim = np.full(3, 15 if luma(ink) > 127 else 240, np.float32)
        rim = rim if rng.random() < 0.6 else draw_colour(rng)
        cover(layer, rim, _grow(alpha, int(rng.integers(1, 2 + stroke))))
    elif effect < 0.27:
        _solid(layer, alpha, ink, stroke, rng)
    elif effect < 0.31:
        glow = cv2.GaussianBlur(_grow(alpha, stroke), (0, 0), 1.5 * stroke + 1)
        cover(layer, ink, np.clip(glow * rng.uniform(0.3, 0.7), 0, 1))
    elif effect < 0.36:
        _relief(layer, alpha, ink, rng)
        return
    elif effect < 0.39 and stroke > 1:
        alpha = alpha - cv2.erode(alpha, np.ones((stroke + 1, stroke + 1), np.uint8))
    colour: np.ndarray = ink
    if rng.random() < 0.15:  # lighter or darker towards one side
        ramp = np.linspace(0, 1, mask.shape[0], dtype=np.float32)[:, None]
        other = np.clip(ink + rng.normal(0, 45, 3), 0, 255).astype(np.float32)
        colour = ink[:, None, None] * (1 - ramp) + other[:, None, None] * ramp
    if rng.random() < 0.1:
        alpha = alpha * _wear(mask.shape, rng)
    cover(layer, colour, alpha * np.float32(rng.uniform(0.8, 1)))


def _grow(alpha: np.ndarray, radius: int) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(alpha, kernel)


def _shift(alpha: np.ndarray, dx: float, dy: float) -> np.ndarray:
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    return cv2.warpAffine(alpha, matrix, alpha.shape[::-1])


def _shadow(
    layer: np.ndarray, alpha: np.ndarray, ink: np.ndarray, stroke: int, rng: np.random.Generator
) -> None:
    dark = np.full(3, 10 if luma(ink) > 90 else 230, np.float32)
    dx, dy = rng.uniform(-2, 2, 2) * stroke
    fallen = cv2.GaussianBlur(_shift(alpha, dx, dy), (0, 0), rng.uniform(0.4, 1.5 * stroke))
    cover(layer, dark, fallen * np.float32(rng.uniform(0.4, 0.9)))


def _solid(
    layer: np.ndarray, alpha: np.ndarray, ink: np.ndarray, stroke: int, rng: np.random.Generator
) -> None:
    """Letters with thickness, seen a little from the side."""
    side = np.clip(ink * rng.uniform(0.25, 0.6), 0, 255).astype(np.float32)
    dx, dy = rng.uniform(-1, 1, 2)
    body = alpha.copy()
    for step in range(1, 2 + 2 * stroke):
        np.maximum(body, _shift(alpha, dx * step, dy * step), out=body)
    cover(layer, side, body)


def _relief(
    layer: np.ndarray, alpha: np.ndarray, ink: np.ndarray, rng: np.random.Generator
) -> None:
    """Letters of the surface's own colour, carved or raised: only light and shade show them."""
    dx, dy = rng.choice([-1, 1], 2) * rng.uniform(0.7, 1.6, 2)
    light, dark = _shift(alpha, -dx, -dy), _shift(alpha, dx, dy)
    cover(layer, ink, alpha * np.float32(rng.uniform(0.35, 0.7)))
    cover(layer, np.full(3, 255, np.float32), np.clip(light - alpha, 0, 1) * np.float32(0.8))
    cover(layer, np.zeros(3, np.float32), np.clip(dark - alpha, 0, 1) * np.float32(0.8))


def _wear(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """(H, W) in 0..1: paint that has come off in spots."""
    cells = (max(2, shape[0] // 4), max(2, shape[1] // 4))
    coarse = rng.standard_normal(cells, dtype=np.float32)
    spots = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip(1.6 + spots * 1.2, 0.15, 1)


def contrast(image: np.ndarray, before: np.ndarray, ink_mask: np.ndarray) -> float:
    """Mean change of luma where ink is: what is left of a text after all painting.

    Args:
        image: (H, W, 3) uint8 with the text.
        before: (H, W, 3) uint8 without it.
        ink_mask: (H, W) uint8, not 0 where ink is.
    """
    change = cv2.absdiff(cv2.transform(image, LUMA[None]), cv2.transform(before, LUMA[None]))
    return cv2.mean(change, ink_mask)[0]

"""Colours as (3,) float32 RGB in 0..255: of surfaces, of signs, and ink that stands out on them."""

from __future__ import annotations

import cv2
import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Mean and standard deviation of a hue in degrees, drawn with equal chances; None is any hue.
HUES = ((35, 18), (35, 18), (30, 12), (10, 10), (215, 20), (215, 20), (110, 30), None, None)
# Plate and ink as on road signs, shop fronts, packages and screens.
PAIRS = np.array(
    [
        [(245, 245, 245), (20, 20, 20)], [(20, 20, 20), (245, 245, 245)],
        [(235, 235, 230), (30, 40, 120)], [(25, 60, 150), (250, 250, 250)],
        [(190, 25, 30), (255, 255, 255)], [(250, 250, 250), (200, 20, 30)],
        [(0, 110, 60), (250, 250, 250)], [(250, 205, 20), (15, 15, 15)],
        [(20, 20, 25), (240, 190, 40)], [(240, 130, 20), (255, 255, 255)],
        [(110, 70, 40), (245, 230, 200)], [(235, 220, 190), (70, 40, 20)],
        [(180, 190, 195), (30, 30, 35)], [(60, 65, 70), (225, 225, 225)],
        [(240, 225, 60), (200, 20, 20)], [(200, 20, 30), (250, 220, 40)],
        [(90, 30, 90), (250, 240, 250)], [(170, 215, 235), (10, 50, 90)],
        [(30, 90, 90), (240, 245, 235)], [(245, 200, 205), (120, 20, 60)],
    ],
    np.float32,
)  # fmt: skip


def luma(colour: np.ndarray) -> float:
    return float(colour @ LUMA)


def draw_colour(rng: np.random.Generator, vivid: float = 0.3) -> np.ndarray:
    """A dull colour, as most surfaces are; in a share `vivid` of the cases a strong one."""
    # Most of the world is of earth, stone and skin; then come sky and leaves.
    hue = HUES[rng.integers(len(HUES))]
    degrees = rng.uniform(0, 360) if hue is None else rng.normal(*hue) % 360
    saturation = rng.beta(4, 1.5) if rng.random() < vivid else rng.beta(1.2, 4)
    hsv = np.array([[[degrees, saturation, rng.beta(1.6, 1.3)]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] * np.float32(255)


def draw_ramp(rng: np.random.Generator) -> np.ndarray:
    """(K, 3): the shades of one surface, dark to light, with a little drift of hue."""
    base, count = draw_colour(rng, 0.08), int(rng.integers(2, 5))
    spread = rng.choice([12, 35, 80])
    shades = np.linspace(-spread, spread, count)[:, None] + rng.normal(0, spread / 5, (count, 3))
    if rng.random() < 0.12:  # two materials
        shades[-1] = draw_colour(rng) - base
    return np.clip(base + shades, 0, 255).astype(np.float32)


def draw_pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours of a plate and of the ink on it."""
    if rng.random() < 0.6:
        plate, ink = PAIRS[rng.integers(len(PAIRS))] + rng.normal(0, 12, (2, 3))
        plate = np.clip(plate, 0, 255).astype(np.float32)
        return plate, np.clip(ink, 0, 255).astype(np.float32)
    plate = draw_colour(rng)
    return plate, draw_ink(plate, rng)


def draw_ink(behind: np.ndarray, rng: np.random.Generator, spread: float = 0.0) -> np.ndarray:
    """A colour that stands out.

    Args:
        behind: (3,) mean colour of what it covers.
        rng: source of randomness.
        spread: standard deviation of the luma of what it covers; a busy surface needs more.
    """
    least = min(110.0, rng.choice([45, 70, 100]) + spread)
    for _ in range(8):
        ink = draw_colour(rng) if rng.random() < 0.6 else PAIRS[rng.integers(len(PAIRS)), 1]
        if abs(luma(ink) - luma(behind)) >= least:
            return ink.astype(np.float32)
    return np.full(3, 20 if luma(behind) > 127 else 240, np.float32)

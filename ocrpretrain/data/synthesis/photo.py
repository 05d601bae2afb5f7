"""What happens between a surface and the file: light, lens, sensor and compression."""

from __future__ import annotations

import cv2
import numpy as np


def photograph(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Take a picture of (H, W, 3) uint8.

    Args:
        image: what is in front of the camera.
        strength: 0 changes nothing, 1 is a phone's picture taken in passing; blur and noise scale
            with it. Every fifth picture is a clean one.
        rng: source of randomness.
    """
    if strength <= 0 or rng.random() < 0.2:
        return image
    if rng.random() < 0.45:
        image = _light(image, rng)
    image = _develop(image, rng)
    image = _lens(image, strength, rng)
    if rng.random() < 0.6:
        image = add_grain(image, strength * abs(rng.normal(0, 7)) + 0.5, rng)
    if rng.random() < 0.7:
        image = compress(image, int(rng.integers(30, 96)))
    return image


def _light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uneven light: a slope across the picture, or the sharp edge of a shadow."""
    height, width = image.shape[:2]
    if rng.random() < 0.6:
        corners = rng.uniform(0.55, 1.25, (2, 2)).astype(np.float32)
        gain = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        gain = np.full((height, width), 1.0, np.float32)
        points = rng.uniform(-0.3, 1.3, (rng.integers(3, 6), 2)) * (width, height)
        shade = float(rng.uniform(0.45, 0.8))
        cv2.fillPoly(gain, [points.astype(np.int32)], shade)
        side = max(1, round(min(height, width) * rng.uniform(0.005, 0.06)))
        gain = cv2.blur(gain, (side, side))
    gain3 = cv2.merge([gain] * 3)
    return cv2.multiply(image, gain3, dtype=cv2.CV_8U)


def _develop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, contrast, gamma and white balance as one table per channel."""
    value = np.linspace(0, 1, 256)[:, None]
    gamma, gain = np.exp(rng.normal(0, 0.25)), rng.normal(1, 0.12)
    balance = rng.normal(1, 0.05, 3)
    floor = rng.uniform(0, 0.15) if rng.random() < 0.3 else 0.0  # haze
    table = (floor + (1 - floor) * np.clip(value * gain * balance, 0, 1) ** gamma) * 255
    return cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None])


def _lens(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, moved, or few pixels; none of them often, one at a time."""
    height, width = image.shape[:2]
    kind, amount = rng.random(), strength * abs(rng.normal(0, 0.9))
    if kind < 0.35:
        return cv2.GaussianBlur(image, (0, 0), 0.3 + amount)
    if kind < 0.45:
        length = 2 + round(3 * amount)
        kernel = np.zeros((length, length), np.float32)
        end = rng.integers(0, length, 2).tolist()
        cv2.line(kernel, (length - 1 - end[0], length - 1 - end[1]), (end[0], end[1]), 1.0)
        return cv2.filter2D(image, -1, kernel / kernel.sum())
    if kind < 0.65:
        factor = 1 / (1 + 1.2 * amount)
        small = (max(8, round(width * factor)), max(8, round(height * factor)))
        few = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        return cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR)
    if kind < 0.75:  # sharpened by the camera
        soft = cv2.GaussianBlur(image, (0, 0), 1.2)
        return cv2.addWeighted(image, 1.7, soft, -0.7, 0)
    return image


def add_grain(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of `sigma` grey levels on (H, W, 3) or (H, W) uint8."""
    # OpenCV's generator is several times as fast as NumPy's; its seed is set from ours.
    cv2.setRNGSeed(int(rng.integers(2**31)))
    grain = np.empty((image.shape[0], image[0].size), np.int16)  # one channel, so one sigma
    cv2.randn(grain, np.zeros(1), np.full(1, sigma))
    return cv2.add(image, grain.reshape(image.shape), dtype=cv2.CV_8U)


def compress(image: np.ndarray, quality: int) -> np.ndarray:
    """A JPEG round trip of (H, W, 3) or (H, W) uint8."""
    # The order of the channels does not matter to the codec, only that it stays the same.
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))

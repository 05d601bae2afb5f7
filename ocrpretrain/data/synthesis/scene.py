"""Scenes with words at several angles, sizes and colours; image i of seed s is always the same."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrpretrain.data.sources.base import AnnotatedImage, Needs, Source, Word
from ocrpretrain.data.synthesis.backgrounds import draw_background
from ocrpretrain.data.synthesis.fonts import load_fonts
from ocrpretrain.data.synthesis.words import draw_word
from ocrpretrain.errors import ConfigError

ATTEMPTS = 12  # places tried for a word before it is left out of image and label
MIN_PIXELS = 7  # letters lower than this cannot be read
MIN_CONTRAST = 70  # grey levels between a word and the mean of what it covers


class Stamp(NamedTuple):
    """A word drawn flat: alpha (h, w) in 0..1, and the box of its ink (4, 2), x then y."""

    alpha: np.ndarray
    box: np.ndarray


class SyntheticScenes(Source):
    """Generated scenes.

    Args:
        length: images per epoch; the generator draws new ones every epoch where `fresh`.
        size: height and width in pixels.
        words: least and most words per image.
        letter_height: least and most height of a word, as a share of the image's height.
        angle: words are turned by up to this many degrees either way.
        random_text: share of random strings among the words (see `draw_word`).
        perspective: corners of a word move by up to this share of its height.
        seed: of the whole set; different seeds share no image.
        fresh: draw new images in every epoch.
        fonts: folder of fonts to use instead of the packaged ones.

    Raises:
        ConfigError: empty ranges.
    """

    def __init__(
        self,
        length: int,
        size: Sequence[int] = (512, 512),
        words: Sequence[int] = (1, 12),
        letter_height: Sequence[float] = (0.04, 0.2),
        angle: float = 30.0,
        perspective: float = 0.15,
        random_text: float = 0.18,
        seed: int = 0,
        fresh: bool = True,
        fonts: str | None = None,
    ) -> None:
        if length < 1 or not 0 <= words[0] <= words[1] or not 0 < letter_height[0] <= 1:
            raise ConfigError(
                f"SyntheticScenes: length {length}, words {words}, letter_height {letter_height}"
            )
        self.length, self.seed, self.fresh = length, seed, fresh
        self.height, self.width = int(size[0]), int(size[1])
        self.words, self.letter_height = tuple(words), tuple(letter_height)
        self.angle, self.perspective, self.random_text = angle, perspective, random_text
        self.fonts = load_fonts(fonts)  # before workers fork: probing costs a second

    def __len__(self) -> int:
        return self.length

    def describe(self) -> str:
        return f"synthetic scenes {self.height}x{self.width} (seed {self.seed})"

    def fingerprint(self) -> str:
        return f"{self.describe()} {' '.join(path.name for path, _ in self.fonts)}"

    def read(self, index: int, needs: Needs | None = None) -> AnnotatedImage:
        rng = np.random.default_rng([self.seed, index])
        image = draw_background(self.height, self.width, rng)
        taken = np.zeros((self.height, self.width), bool)
        words = []
        for _ in range(rng.integers(self.words[0], self.words[1] + 1)):
            word = self._place(image, taken, rng)
            if word is not None:
                words.append(word)
        return AnnotatedImage(_photograph(image, rng), words, f"synthetic-{self.seed}-{index}")

    def _place(self, image: np.ndarray, taken: np.ndarray, rng: np.random.Generator) -> Word | None:
        path, unicase = self.fonts[rng.integers(len(self.fonts))]
        text = draw_word(rng, self.random_text)
        text = text.upper() if unicase else text
        low, high = np.log(self.letter_height)
        pixels = np.exp(rng.uniform(low, high)) * self.height
        limit = (self.width, self.height)
        stamp = draw_stamp(text, str(path), pixels)
        fit = 0.9 * self.width / (stamp.box[2] - stamp.box[0])[0]
        if fit < 1:  # too wide for the image: drawn once more, as high as its width allows
            pixels *= fit
            stamp = draw_stamp(text, str(path), pixels)
        scale = 1.0
        for _ in range(ATTEMPTS):
            if pixels * scale < MIN_PIXELS:
                return None
            matrix = self._pose(stamp, scale, rng)
            polygon = cv2.perspectiveTransform(stamp.box[None], matrix)[0]
            if (polygon < 1).any() or (polygon > np.subtract(limit, 2)).any():
                scale *= 0.9  # turned out of the image: smaller next time
                continue
            # All pixel work happens in the word's own window, grown by the free space around it.
            gap = max(2, int(pixels * scale) // 4)
            x0, y0 = np.maximum(np.floor(polygon.min(0)).astype(int) - gap, 0)
            x1, y1 = np.minimum(np.ceil(polygon.max(0)).astype(int) + gap, limit)
            area = np.zeros((y1 - y0, x1 - x0), np.uint8)
            cv2.fillPoly(area, [np.round(polygon - (x0, y0)).astype(np.int32)], 1)
            if (taken[y0:y1, x0:x1] & (area > 0)).any():
                continue
            grown = cv2.dilate(area, np.ones((2 * gap + 1, 2 * gap + 1), np.uint8))
            taken[y0:y1, x0:x1] |= grown > 0
            shift = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]], float)
            window = (int(x1 - x0), int(y1 - y0))
            alpha = cv2.warpPerspective(stamp.alpha, shift @ matrix, window)
            paint(image[y0:y1, x0:x1], alpha, area > 0, rng)
            return Word(text, polygon.astype(np.float32))
        return None

    def _pose(self, stamp: Stamp, scale: float, rng: np.random.Generator) -> np.ndarray:
        """A random rotation, perspective and place: homography from stamp to image pixels."""
        box = stamp.box * np.float32(scale)
        height = (box[2] - box[0])[1]
        turn = np.deg2rad(np.clip(rng.normal(0, self.angle / 2), -self.angle, self.angle))
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        corners = (box - box.mean(0)) @ rotation.T
        corners += rng.uniform(-0.5, 0.5, (4, 2)) * self.perspective * height
        reach = np.abs(corners).max(0) + 2
        free = np.maximum((self.width, self.height) - 2 * reach, 1)
        centre = reach + rng.uniform(0, 1, 2) * free
        target = (corners + centre).astype(np.float32)
        return cv2.getPerspectiveTransform(stamp.box, target)


@lru_cache(maxsize=256)
def _font(font_file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_file, size)


def draw_stamp(text: str, font_file: str, pixels: float) -> Stamp:
    """Draw a word flat, with ink about `pixels` high."""
    font = _font(font_file, max(8, round(pixels * 1.35)))
    left, top, right, bottom = font.getbbox(text)
    margin = 2
    width, height = round(right - left) + 2 * margin, round(bottom - top) + 2 * margin
    canvas = Image.new("L", (width, height))
    ImageDraw.Draw(canvas).text((margin - left, margin - top), text, font=font, fill=255)
    alpha = np.asarray(canvas, np.float32) / 255
    x0, y0, x1, y1 = margin, margin, width - margin, height - margin
    box = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    return Stamp(alpha, box)


def paint(image: np.ndarray, alpha: np.ndarray, area: np.ndarray, rng: np.random.Generator) -> None:
    """Blend a colour into a window in place, far enough from what it covers to be legible."""
    behind = image[area].mean(0) if area.any() else image.mean((0, 1))
    grey = np.array([0.299, 0.587, 0.114])
    colour = rng.uniform(0, 255, 3)
    while abs((colour - behind) @ grey) < MIN_CONTRAST:
        colour = rng.uniform(0, 255, 3)
    effect = rng.random()
    if effect < 0.25:
        shadow = np.roll(alpha, tuple(rng.integers(1, 3, 2)), (0, 1)) * 0.7
        _blend(image, shadow, np.full(3, 0.0 if colour @ grey > 127 else 255.0))
    elif effect < 0.4:
        outline = cv2.dilate(alpha, np.ones((3, 3), np.uint8))
        _blend(image, outline, np.full(3, 0.0 if colour @ grey > 127 else 255.0))
    _blend(image, alpha * rng.uniform(0.85, 1), colour)


def _blend(image: np.ndarray, alpha: np.ndarray, colour: np.ndarray) -> None:
    weight = alpha[..., None]
    image[:] = (image * (1 - weight) + weight * colour.astype(np.float32)).astype(np.uint8)


def _photograph(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light, blur, noise and JPEG, each mild and each at random."""
    gain, offset = rng.uniform(0.75, 1.2), rng.uniform(-20, 20)
    image = cv2.convertScaleAbs(image, alpha=gain, beta=offset)
    if rng.random() < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.0))
    if rng.random() < 0.5:
        sigma = rng.uniform(1, 9)
        noise = rng.standard_normal(image.shape, dtype=np.float32) * sigma
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(45, 95))
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB))
    return image

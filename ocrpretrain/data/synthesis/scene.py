"""Scenes: signs and words on surfaces, turned, bent and partly hidden, then photographed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ocrpretrain.data.sources.base import AnnotatedImage, Word
from ocrpretrain.data.synthesis.base import Generator
from ocrpretrain.data.synthesis.lettering import Mark
from ocrpretrain.data.synthesis.photo import photograph
from ocrpretrain.data.synthesis.signs import (
    Sign,
    draw_pose,
    draw_sign,
    homography,
    move,
    set_into,
)
from ocrpretrain.data.synthesis.texts import Texts
from ocrpretrain.errors import ConfigError

ATTEMPTS = 10  # places tried for a sign before it is left out of image and label
MIN_PIXELS = 7  # capitals lower than this cannot be read
MOST_HIDDEN = 0.35  # share of a word's ink that may be hidden before the word counts as illegible
SHARP_PIXELS = 22  # capitals of this height bear all blur and noise; smaller ones less


class SyntheticScenes(Generator):
    """Generated scenes.

    Args:
        length: images per epoch; the generator draws new ones every epoch where `fresh`.
        size: height and width in pixels.
        words: least and most words per image; there are fewer where there is no room for more.
        letter_height: least and most height of capitals, as a share of the image's height.
        angle: signs are turned by up to this many degrees either way.
        perspective: corners of a sign move by up to this share of a line's height.
        curved: share of one-line signs that are bent.
        plates: share of signs with a surface of their own.
        lines: most lines of a sign.
        hidden: share of scenes with something in front of the words; a word of which too much is
            hidden is marked `ignore`.
        photo: strength of light, blur, noise and compression; 0 for none.
        characters: whether words carry a quad per character.
        seed: see `Generator`.
        fresh: see `Generator`.
        text: see `Generator`.
        fonts: see `Generator`.
        backgrounds: see `Generator`.

    Raises:
        ConfigError: empty ranges.
    """

    kind = "scenes"

    def __init__(
        self,
        length: int,
        size: Sequence[int] = (512, 512),
        words: Sequence[int] = (1, 16),
        letter_height: Sequence[float] = (0.025, 0.16),
        angle: float = 30.0,
        perspective: float = 0.35,
        curved: float = 0.15,
        plates: float = 0.5,
        lines: int = 3,
        hidden: float = 0.2,
        photo: float = 1.0,
        characters: bool = False,
        seed: int = 0,
        fresh: bool = True,
        text: Texts | None = None,
        fonts: str | None = None,
        backgrounds: str | None = None,
    ) -> None:
        super().__init__(length, seed, fresh, text, fonts, backgrounds)
        if not 0 <= words[0] <= words[1] or not 0 < letter_height[0] <= letter_height[1] <= 1:
            raise ConfigError(f"SyntheticScenes: words {words}, letter_height {letter_height}")
        if lines < 1:
            raise ConfigError(f"SyntheticScenes: lines {lines}")
        self.size = self.height, self.width = int(size[0]), int(size[1])
        self.words, self.letter_height = tuple(words), tuple(letter_height)
        self.angle, self.perspective, self.curved = angle, perspective, curved
        self.plates, self.lines, self.hidden = plates, lines, hidden
        self.photo, self.characters = photo, characters

    def draw(self, rng: np.random.Generator) -> AnnotatedImage:
        image = self._background(rng)
        taken = np.zeros((self.height, self.width), bool)
        ink = np.zeros((self.height, self.width), np.uint8)
        wanted = int(rng.integers(self.words[0], self.words[1] + 1))
        words: list[Word] = []
        smallest = float(SHARP_PIXELS)
        misses = 0
        while len(words) < wanted and misses < 4:
            sign, language = self._sign(wanted - len(words), rng)
            placed = self._place(image, taken, ink, sign, language, rng)
            misses += not placed
            words += placed
            if placed:
                smallest = min(smallest, sign.letter_height)
        if words and rng.random() < self.hidden:
            self._hide(image, ink, words, rng)
        strength = self.photo * smallest / SHARP_PIXELS
        return AnnotatedImage(photograph(image, strength, rng), words)

    def _background(self, rng: np.random.Generator) -> np.ndarray:
        """One to four surfaces that meet at straight edges."""
        image = np.ascontiguousarray(self.surface(self.height, self.width, rng))
        if self.backgrounds:
            return image
        for _ in range(rng.integers(0, 4)):
            low = rng.uniform(0, 0.7, 2) * (self.width, self.height)
            x0, y0 = low.astype(int)
            x1, y1 = (low + rng.uniform(0.2, 1, 2) * (self.width, self.height)).astype(int)
            x1, y1 = min(x1, self.width), min(y1, self.height)
            if min(x1 - x0, y1 - y0) < 8:
                continue
            piece = self.surface(y1 - y0, x1 - x0, rng)
            corners = np.array([[0, 0], [x1 - x0, 0], [x1 - x0, y1 - y0], [0, y1 - y0]], float)
            corners += rng.normal(0, 0.06, (4, 2)) * (x1 - x0, y1 - y0)
            area = np.zeros(piece.shape[:2], np.uint8)
            cv2.fillPoly(area, [np.round(corners).astype(np.int32)], 255)
            cv2.copyTo(piece, area, image[y0:y1, x0:x1])
        return image

    def _sign(self, budget: int, rng: np.random.Generator) -> tuple[Sign, str]:
        language = self.text.draw_language(rng)
        low, high = np.log(self.letter_height)
        pixels = max(MIN_PIXELS, float(np.exp(rng.uniform(low, high))) * self.height)
        counts: list[int] = []
        while budget and len(counts) < self.lines and (not counts or rng.random() < 0.45):
            counts.append(min(budget, int(rng.geometric(0.5)), 5))
            budget -= counts[-1]
        case = self.text.draw_case(rng)
        sign = draw_sign(
            lambda: case(self.text.draw_word(rng, language)),
            counts, self.fonts[language], pixels, self.curved, rng,
        )  # fmt: skip
        return sign, language

    def _place(
        self, image: np.ndarray, taken: np.ndarray, ink: np.ndarray, sign: Sign, language: str,
        rng: np.random.Generator,
    ) -> list[Word]:  # fmt: skip
        """Paint a sign where there is room, smaller if need be; its words, none if it fails."""
        limit = np.array([self.width, self.height])
        corners = draw_pose(sign, self.angle, self.perspective, rng)
        scale = float(min(1.0, *(0.94 * limit / np.ptp(corners, axis=0))))
        for _ in range(ATTEMPTS):
            if sign.letter_height * scale < MIN_PIXELS:
                return []
            quad = corners * scale
            reach = -quad.min(0)
            free = np.maximum(limit - np.ptp(quad, axis=0), 0)
            quad = quad + reach + rng.uniform(0, 1, 2) * free
            x0, y0 = np.maximum(np.floor(quad.min(0)).astype(int), 0)
            x1, y1 = np.minimum(np.ceil(quad.max(0)).astype(int) + 1, limit)
            area = np.zeros((y1 - y0, x1 - x0), np.uint8)
            cv2.fillPoly(area, [np.round(quad - (x0, y0)).astype(np.int32)], 1)
            if (taken[y0:y1, x0:x1] & (area > 0)).any():
                scale *= 0.9
                continue
            matrix = homography(sign, quad - (x0, y0))
            plate = bool(rng.random() < self.plates)
            mask = set_into(image[y0:y1, x0:x1], sign, matrix, plate, rng)
            if mask is None:
                continue
            taken[y0:y1, x0:x1] |= area > 0
            np.maximum(ink[y0:y1, x0:x1], mask, out=ink[y0:y1, x0:x1])
            sign.letter_height *= scale
            shift = np.array([x0, y0], np.float32)
            return [self._word(mark, matrix, shift, language) for mark in sign.marks]
        return []

    def _word(self, mark: Mark, matrix: np.ndarray, shift: np.ndarray, language: str) -> Word:
        characters = move(mark.characters, matrix) + shift if self.characters else None
        polygon = move(mark.polygon, matrix) + shift
        return Word(mark.text, polygon, language=language, characters=characters)

    def _hide(
        self, image: np.ndarray, ink: np.ndarray, words: list[Word], rng: np.random.Generator
    ) -> None:
        """Put poles, wires and blobs in front, in place; words of which too little is left."""
        front = np.zeros(ink.shape, np.uint8)
        for _ in range(rng.integers(1, 4)):
            start, end = rng.uniform(-0.1, 1.1, (2, 2)) * (self.width, self.height)
            if rng.random() < 0.6:
                thickness = int(rng.integers(1, max(3, self.height // 25)))
                a, b = (tuple(point.astype(int).tolist()) for point in (start, end))
                cv2.line(front, a, b, 255, thickness, cv2.LINE_AA)
            else:
                points = start + rng.normal(0, 0.07, (6, 2)) * self.height
                cv2.fillPoly(front, [cv2.convexHull(points.astype(np.int32))], 255, cv2.LINE_AA)
        piece = self.surface(self.height, self.width, rng)
        cv2.copyTo(piece, front, image)
        for word in words:
            area = np.zeros(ink.shape, np.uint8)
            cv2.fillPoly(area, [np.round(word.outline).astype(np.int32)], 1)
            inside = ink * area
            hidden = float((inside[front > 127]).sum()) / max(float(inside.sum()), 1.0)
            word.ignore = hidden > MOST_HIDDEN

"""Word crops: one word as a detector would cut it out of a photograph."""

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
    cut_out,
    draw_pose,
    draw_sign,
    homography,
    move,
    set_into,
)
from ocrpretrain.data.synthesis.texts import Texts
from ocrpretrain.errors import ConfigError

ATTEMPTS = 8  # other colours and places, where a word cannot be read
SHARP_PIXELS = 40  # capitals of this height bear all blur and noise; smaller ones less
MOST_PIXELS = 640  # longest side of a crop


class SyntheticWords(Generator):
    """Generated crops of single words, on surfaces and signs, with a bit of what is around them.

    The word's polygon is the border of the crop, as in the usual word sets; with `polygons` it is
    the outline of the word, for whoever wants to rectify it.

    Args:
        length: images per epoch; the generator draws new ones every epoch where `fresh`.
        letter_height: least and most height of capitals, in pixels.
        angle: words are turned by up to this many degrees either way.
        upright: share of the words that are turned by a quarter, as on shop fronts and books.
        perspective: corners move by up to this share of the word's height.
        curved: share of words that are bent.
        plates: share of words on a sign with a surface of its own.
        neighbours: share of words of which other words and lines are cut off by the crop.
        margin: least and most distance of the crop from the word, as a share of its height;
            negative cuts the word.
        hidden: share of words with a stroke or a spot in front.
        photo: strength of light, blur, noise and compression; 0 for none.
        polygons: whether the label outlines the word inside the crop.
        characters: whether words carry a quad per character.
        seed: see `Generator`.
        fresh: see `Generator`.
        text: see `Generator`.
        fonts: see `Generator`.
        backgrounds: see `Generator`.

    Raises:
        ConfigError: empty ranges.
    """

    kind = "words"

    def __init__(
        self,
        length: int,
        letter_height: Sequence[float] = (16, 56),
        angle: float = 12.0,
        upright: float = 0.015,
        perspective: float = 0.35,
        curved: float = 0.08,
        plates: float = 0.5,
        neighbours: float = 0.2,
        margin: Sequence[float] = (-0.03, 0.25),
        hidden: float = 0.03,
        photo: float = 0.45,
        polygons: bool = False,
        characters: bool = False,
        seed: int = 0,
        fresh: bool = True,
        text: Texts | None = None,
        fonts: str | None = None,
        backgrounds: str | None = None,
    ) -> None:
        super().__init__(length, seed, fresh, text, fonts, backgrounds)
        if not 0 < letter_height[0] <= letter_height[1] or margin[0] > margin[1]:
            raise ConfigError(f"SyntheticWords: letter_height {letter_height}, margin {margin}")
        self.letter_height, self.margin = tuple(letter_height), tuple(margin)
        self.angle, self.upright, self.perspective = angle, upright, perspective
        self.curved, self.plates, self.neighbours = curved, plates, neighbours
        self.hidden, self.photo = hidden, photo
        self.polygons, self.characters = polygons, characters

    def draw(self, rng: np.random.Generator) -> AnnotatedImage:
        while True:
            sign, mark, language = self._sign(rng)
            for _ in range(ATTEMPTS):
                image, matrix = self._crop(sign, mark, rng)
                plate = bool(rng.random() < self.plates)
                if set_into(image, sign, matrix, plate, rng) is not None:
                    return self._finish(image, sign, mark, matrix, language, rng)

    def _sign(self, rng: np.random.Generator) -> tuple[Sign, Mark, str]:
        """A sign and the word of it that is wanted."""
        language = self.text.draw_language(rng)
        low, high = np.log(self.letter_height)
        pixels = float(np.exp(rng.uniform(low, high)))
        counts = [1]
        if rng.random() < self.neighbours:
            counts = [int(rng.integers(1, 4)) for _ in range(rng.integers(1, 4))]
        case = self.text.draw_case(rng)
        sign = draw_sign(
            lambda: case(self.text.draw_word(rng, language)),
            counts, self.fonts[language], pixels, self.curved, rng,
        )  # fmt: skip
        return *cut_out(sign, sign.marks[rng.integers(len(sign.marks))]), language

    def _crop(
        self, sign: Sign, mark: Mark, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """An empty crop around where the word will be, and the way from the sign to it."""
        corners = draw_pose(sign, self.angle, self.perspective, rng)
        if len(mark.text) > 1 and rng.random() < self.upright:
            corners = (corners @ np.array([[0, 1], [-1, 0]])) * rng.choice([-1, 1])
        polygon = move(mark.polygon, homography(sign, corners))
        longest = float(np.ptp(polygon, axis=0).max())
        if longest > MOST_PIXELS:
            corners, polygon = corners * (MOST_PIXELS / longest), polygon * (MOST_PIXELS / longest)
        side = float(np.ptp(polygon, axis=0).min())
        room = rng.uniform(self.margin[0], self.margin[1], (2, 2)) * side
        start = polygon.min(0) - room[0]
        width, height = np.maximum(np.round(polygon.max(0) + room[1] - start).astype(int), 8)
        image = np.ascontiguousarray(self.surface(int(height), int(width), rng))
        return image, homography(sign, corners - start)

    def _finish(
        self, image: np.ndarray, sign: Sign, mark: Mark, matrix: np.ndarray, language: str,
        rng: np.random.Generator,
    ) -> AnnotatedImage:  # fmt: skip
        height, width = image.shape[:2]
        if rng.random() < self.hidden:
            self._hide(image, rng)
        image = photograph(image, self.photo * min(1.0, sign.letter_height / SHARP_PIXELS), rng)
        polygon = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        if self.polygons:
            polygon = move(mark.polygon, matrix)
        characters = move(mark.characters, matrix) if self.characters else None
        word = Word(mark.text, polygon, language=language, characters=characters)
        return AnnotatedImage(image, [word])

    def _hide(self, image: np.ndarray, rng: np.random.Generator) -> None:
        """A thin stroke across, or a small spot, in place: the word stays legible."""
        height, width = image.shape[:2]
        colour = self.surface(8, 8, rng).mean((0, 1)).tolist()
        if rng.random() < 0.6:
            a, b = (rng.uniform(0, 1, (2, 2)) * (width, height)).astype(int).tolist()
            cv2.line(image, tuple(a), tuple(b), colour, max(1, height // 20), cv2.LINE_AA)
        else:
            centre = (rng.uniform(0, 1, 2) * (width, height)).astype(int).tolist()
            cv2.circle(image, tuple(centre), max(1, height // 8), colour, -1, cv2.LINE_AA)

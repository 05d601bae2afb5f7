"""The scene view: the whole image, or a random part of it, and its words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch

from ocrpretrain.data.augment import photometric
from ocrpretrain.data.sources.base import AnnotatedImage, Word
from ocrpretrain.data.transforms import MIN_VISIBLE, random_crop, visible_share
from ocrpretrain.data.views.base import Resize, Sample, View
from ocrpretrain.errors import ConfigError


class SceneView(View):
    """The whole image, or a random crop of it, at a fixed size.

    Words that a crop cuts off leave the label. An image with a weak label is never cropped nor
    turned: nobody knows which words that would lose.

    Args:
        size: see `View`.
        resize: see `View`.
        crop: share of the area that training crops keep, from and to; (1, 1) never crops.
        rotate: training crops are turned by up to this many degrees either way; what lies outside
            the image is black.
        colour: strength of the random colours in training, from 0 (none) to 1; see `photometric`.
        train: whether to crop, turn and colour.

    Raises:
        ConfigError: shares, degrees or a strength out of range.
    """

    def __init__(
        self,
        size: Sequence[int] | int,
        resize: Resize = "pad",
        crop: Sequence[float] = (0.7, 1.0),
        rotate: float = 0.0,
        colour: float = 0.0,
        train: bool = True,
    ) -> None:
        super().__init__(size, resize, train)
        self.crop, self.rotate, self.colour = (float(crop[0]), float(crop[1])), rotate, colour
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ConfigError(f"data.view.crop: needs 0 < from <= to <= 1, found {crop}")
        if not (0 <= rotate <= 180 and 0 <= colour <= 1):
            raise ConfigError(
                f"data.view: needs rotate in 0..180 and colour in 0..1, found {rotate} and {colour}"
            )

    def needs(self, height: int, width: int) -> tuple[int, int]:
        """Least size to decode a picture at, so that the smallest crop still fills the view."""
        side = math.sqrt(self.crop[0]) if self.train else 1.0
        least = self.fitted(height, width)
        return math.ceil(least[0] / side), math.ceil(least[1] / side)

    def __call__(self, item: AnnotatedImage, seed: int) -> Sample:
        image, words = item.image, [word for word in item.words if not word.ignore]
        legible, rng = len(words), np.random.default_rng(seed)
        weak = any(word.polygon is None for word in item.words)
        words = [word for word in words if _share(word, *image.shape[:2]) > 0]
        if self.train and not weak and (self.crop != (1.0, 1.0) or self.rotate):
            image, words = self._crop(image, words, rng)
        fitted = self.fit(image)
        scale = np.divide(fitted.shape[1::-1], image.shape[1::-1], dtype=np.float32)
        if self.train and self.colour:
            generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
            pixels = torch.from_numpy(fitted).permute(2, 0, 1)[None]
            fitted = photometric(pixels, generator, self.colour)[0].permute(1, 2, 0).numpy()
        polygons = [None if word.polygon is None else word.polygon * scale for word in words]
        text, cropped = [word.text for word in words], legible - len(words)
        return Sample(*self.pad(fitted), text, polygons, item.id, seed, cropped)

    def _crop(
        self, image: np.ndarray, words: list[Word], rng: np.random.Generator
    ) -> tuple[np.ndarray, list[Word]]:
        shape = image.shape[:2]
        y, x, height, width = random_crop(shape, self.crop, rng)
        matrix = np.array([[1, 0, -x], [0, 1, -y]], np.float64)
        window = image[y : y + height, x : x + width]
        if self.rotate:
            # What the border cuts off is no more visible where the turned crop goes beyond it.
            words = [word for word in words if _share(word, *shape) >= MIN_VISIBLE]
            angle, centre = rng.uniform(-self.rotate, self.rotate), (x + width / 2, y + height / 2)
            matrix = cv2.getRotationMatrix2D(centre, angle, 1) + matrix * [0, 0, 1]
            # OpenCV's pixel i is a point, ours reaches from i to i + 1.
            half = matrix[:, :2].sum(1, keepdims=True) / 2 - 0.5
            pixels = np.concatenate([matrix[:, :2], matrix[:, 2:] + half], axis=1)
            window = cv2.warpAffine(image, pixels, (width, height))
        moved = [Word(word.text, _move(word.outline, matrix)) for word in words]
        return window, [word for word in moved if _share(word, height, width) >= MIN_VISIBLE]


def _move(polygon: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return (polygon @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _share(word: Word, height: int, width: int) -> float:
    """How much of a word is inside an image; a weak label is somewhere in it."""
    return 1.0 if word.polygon is None else visible_share(word.polygon, 0, 0, height, width)

"""Views: what a head is shown of an annotated image. `scene`: the whole image and its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ocrpretrain.data.sources.base import AnnotatedImage, Word
from ocrpretrain.data.transforms import letterbox_size, random_crop, resize, visible_share
from ocrpretrain.errors import ConfigError

MIN_VISIBLE = 0.8  # a word of which less is inside the crop can no longer be read


@dataclass(slots=True)
class Sample:
    """One training example.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        mask: (H, W) bool, True = padding; None where nothing is padded.
        text: legible words inside the view.
        polygons: one (N, 2) float32 per word in pixels of the view, None for a weak label.
        id: name of the image.
        seed: what every later random choice about this sample derives from.
        cropped: legible words that lie outside the view and are not in the label.
        replaced: unreadable images that this one stands in for.
    """

    image: np.ndarray
    mask: np.ndarray | None
    text: list[str]
    polygons: list[np.ndarray | None]
    id: str
    seed: int
    cropped: int = 0
    replaced: int = 0


class SceneView:
    """The whole image, or a random crop of it, at a fixed size.

    Words that a crop cuts off leave the label. An image with a weak label is never cropped: nobody
    knows which words the crop would lose.

    Args:
        size: height and width of the view, or one number for both.
        resize: 'pad' keeps the aspect and pads right and below; 'squash' does not.
        crop: share of the area that training crops keep, from and to; (1, 1) never crops.
        train: whether to crop.
    """

    def __init__(
        self,
        size: Sequence[int] | int,
        resize: Literal["pad", "squash"] = "pad",
        crop: Sequence[float] = (0.7, 1.0),
        train: bool = True,
    ) -> None:
        height, width = (size, size) if isinstance(size, int) else size
        self.size, self.resize = (int(height), int(width)), resize
        self.crop, self.train = (float(crop[0]), float(crop[1])), train
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ConfigError(f"data.view.crop: needs 0 < from <= to <= 1, found {crop}")
        if resize not in ("pad", "squash"):
            raise ConfigError(f"data.view.resize: 'pad' or 'squash', found {resize!r}")

    def __call__(self, item: AnnotatedImage, seed: int) -> Sample:
        """Cut the view from an annotated image; the same seed cuts the same view."""
        image, words = item.image, [word for word in item.words if not word.ignore]
        legible = len(words)
        weak = any(word.polygon is None for word in item.words)
        if self.train and not weak and self.crop != (1.0, 1.0):
            image, words = self._crop(image, words, np.random.default_rng(seed))
        words = [word for word in words if _is_inside(word, *image.shape[:2])]
        height, width = self.size
        if self.resize == "pad":
            height, width = letterbox_size(image.shape[:2], self.size)
        scale = np.array([width / image.shape[1], height / image.shape[0]], np.float32)
        canvas, mask = self._pad(resize(image, height, width))
        polygons = [None if word.polygon is None else word.polygon * scale for word in words]
        text, cropped = [word.text for word in words], legible - len(words)
        return Sample(canvas, mask, text, polygons, item.id, seed, cropped)

    def _crop(
        self, image: np.ndarray, words: list[Word], rng: np.random.Generator
    ) -> tuple[np.ndarray, list[Word]]:
        y, x, height, width = random_crop(image.shape[:2], self.crop, rng)
        kept = []
        for word in words:
            polygon = word.polygon
            assert polygon is not None
            if visible_share(polygon, y, x, height, width) >= MIN_VISIBLE:
                kept.append(Word(word.text, polygon - np.array([x, y], np.float32)))
        return image[y : y + height, x : x + width], kept

    def _pad(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        height, width = image.shape[:2]
        if (height, width) == self.size:
            return image, None
        canvas = np.zeros((*self.size, 3), np.uint8)
        canvas[:height, :width] = image
        mask = np.ones(self.size, bool)
        mask[:height, :width] = False
        return canvas, mask


def _is_inside(word: Word, height: int, width: int) -> bool:
    return word.polygon is None or visible_share(word.polygon, 0, 0, height, width) > 0


VIEWS = {"scene": SceneView}


def stack_images(samples: list[Sample]) -> tuple[Tensor, Tensor | None]:
    """(B, 3, H, W) uint8 and (B, H, W) bool padding, or None where no sample is padded."""
    image = torch.from_numpy(np.stack([sample.image for sample in samples]))
    image = image.permute(0, 3, 1, 2).contiguous()
    if all(sample.mask is None for sample in samples):
        return image, None
    masks = [
        np.zeros(sample.image.shape[:2], bool) if sample.mask is None else sample.mask
        for sample in samples
    ]
    return image, torch.from_numpy(np.stack(masks))

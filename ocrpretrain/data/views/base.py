"""What all views share: the sample that they return, and how a picture fits the view's size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ocrpretrain.data.sources.base import AnnotatedImage
from ocrpretrain.data.transforms import letterbox_size, resize
from ocrpretrain.errors import ConfigError

Resize = Literal["pad", "squash"]


@dataclass(slots=True)
class Sample:
    """One training example.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        mask: (H, W) bool, True = padding; None where nothing is padded.
        text: legible words inside the view; one entry for a word or a page.
        polygons: one (N, 2) float32 per text in pixels of the view, None for a weak label.
        id: name of the image.
        seed: what every later random choice about this sample derives from.
        cropped: legible words that lie outside the view and are not in the label.
        replaced: unusable images that this one stands in for.
        tiles: (T, t, t, 3) uint8, parts of a page in detail, row by row; None where there are none.
        grid: columns and rows of the tiles.
        given: of a page, the beginning of its text, which the image does not show.
    """

    image: np.ndarray
    mask: np.ndarray | None
    text: list[str]
    polygons: list[np.ndarray | None]
    id: str
    seed: int
    cropped: int = 0
    replaced: int = 0
    tiles: np.ndarray | None = None
    grid: tuple[int, int] = (0, 0)
    given: str = ""


class View(ABC):
    """What a head is shown of an annotated image, at a fixed size.

    Args:
        size: height and width of the view, or one number for both.
        resize: 'pad' keeps the aspect and pads right and below; 'squash' does not.
        train: whether random choices that make the task harder are made.

    Raises:
        ConfigError: an unknown `resize`.
    """

    def __init__(self, size: Sequence[int] | int, resize: Resize, train: bool) -> None:
        height, width = (size, size) if isinstance(size, int) else size
        self.size, self.resize, self.train = (int(height), int(width)), resize, train
        if resize not in ("pad", "squash"):
            raise ConfigError(f"data.view.resize: 'pad' or 'squash', found {resize!r}")

    @abstractmethod
    def __call__(self, item: AnnotatedImage, seed: int) -> Sample:
        """Cut the view from an annotated image; the same seed cuts the same view.

        Raises:
            DataError: an image that has nothing for this view.
        """

    def sizes(self) -> list[tuple[int, int]]:
        """Heights and widths that a backbone is shown."""
        return [self.size]

    def needs(self, height: int, width: int) -> tuple[int, int]:
        """Least height and width at which a picture may be decoded without harm to the view."""
        return self.fitted(height, width)

    def fitted(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the part of the view that a picture of this size fills."""
        return letterbox_size((height, width), self.size) if self.resize == "pad" else self.size

    def fit(self, image: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 -> resized to what it fills of the view."""
        return resize(image, *self.fitted(*image.shape[:2]))

    def pad(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """A fitted image -> (H, W, 3) uint8, and the (H, W) padding or None."""
        height, width = image.shape[:2]
        if (height, width) == self.size:
            return image, None
        canvas = np.zeros((*self.size, 3), np.uint8)
        canvas[:height, :width] = image
        mask = np.ones(self.size, bool)
        mask[:height, :width] = False
        return canvas, mask

    def whole(self, image: np.ndarray, text: str, id: str, seed: int, cropped: int) -> Sample:
        """The sample of a picture that shows one text, which fills it."""
        fitted = self.fit(image)
        height, width = fitted.shape[:2]
        border = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        return Sample(*self.pad(fitted), [text], [border], id, seed, cropped)


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
